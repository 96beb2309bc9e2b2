"""What a worker process sets up: one thread per library, for the processes are the parallelism, and kept memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

__all__ = ["keep_memory", "limit_threads"]

#: Variables that the numerical libraries read when they are first imported; Arrow takes that of OpenMP.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLOSC_NUM_THREADS",
    "TIFFFILE_NUM_THREADS",
    "TIFFFILE_NUM_IOTHREADS",
)
#: Parameters of the memory allocator of Linux, and what they are set to, bytes: blocks of less than the first come from
#: memory that the process keeps, as long as no more than the second of it is free at its end.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 128 * 2**20


def limit_threads() -> None:
    """Limit this process to one thread per library, whether it was imported already or comes later.

    A linear algebra library that was loaded before keeps its number: whoever started the process sets that, as dask's
    nanny does for its workers.
    """
    for name in _VARIABLES:
        # numba refuses a changed variable once its threads run
        if not (name == "NUMBA_NUM_THREADS" and "numba" in sys.modules):
            os.environ[name] = "1"
    import cv2

    cv2.setNumThreads(1)
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(1)
        sys.modules["pyarrow"].set_io_thread_count(1)


def keep_memory() -> None:
    """Have this process keep the memory of images that it is done with, for the next ones.

    Otherwise each image of some megabytes is given back to Linux and asked for again, page by page: 4 % of the time.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library than that of GNU
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
            libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
