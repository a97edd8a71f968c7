"""Keeps the memory of a large message for the next one.

glibc asks the system for each large block anew and gives it back when it is free. The pages of an image of a megabyte
then come as hundreds of page faults with each request, in each of its copies: 1 ms of 4 where it comes as a list of
numbers. A service that has had large messages will have more.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

# <malloc.h>. Above the first, blocks come from the system one by one; 32 MiB is the most that glibc takes. Of what is
# free at the end of the heap, more than the second is given back.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 32 << 20
_KEPT: Final = 64 << 20
# Where somebody has chosen for himself.
_CHOSEN: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Have this process keep up to 64 MiB that are free; False where its C library has no such setting."""
    if any(name in os.environ for name in _CHOSEN):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
