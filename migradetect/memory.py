"""Memory that this process keeps for the next images, and gives back when other sizes are needed."""

from __future__ import annotations

import contextlib
import ctypes
import sys

__all__ = ["give_back_memory", "keep_memory"]

#: Parameters of the memory allocator of Linux, and what they are set to, bytes: blocks of less than the first come from
#: memory that the process keeps, as long as no more than the second of it is free at its end.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 128 * 2**20


def keep_memory() -> None:
    """Have this process keep the memory of images that it is done with, for the next ones.

    Otherwise each image of some megabytes is given back to Linux and asked for again, page by page: 4 % of the time.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library than that of GNU
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
            libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_memory() -> None:
    """Give memory that is free, but kept for the next images, back to the system; on Linux, elsewhere nothing.

    Between two passes the sizes of what is needed change: what was kept for the one would come on top of the other.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library than that of GNU
            ctypes.CDLL(None).malloc_trim(0)
