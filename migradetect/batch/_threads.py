"""What a worker process sets up: one thread per library, for the processes are the parallelism."""

from __future__ import annotations

import os
import sys

__all__ = ["limit_threads"]

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
