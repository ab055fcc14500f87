"""How the C library keeps memory, set for trainings on a CPU.

A step of a convolutional network allocates the same few megabytes again and again. As it comes, glibc gives each such
block back to the system when it is freed, and the system then hands it out a page at a time, zeroed: up to 6,700 page
faults a step of the conv VAE. Without them `aevq.train model=vae_conv` trains 1.1 to 1.2 times as many images a second.
"""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
GIB, LARGEST_MMAP_THRESHOLD = 2**30, 2**25
USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of what it frees, in blocks of up to 32 MiB, for its next allocations.

    Return whether it was applied: not without glibc, nor where the user has set these values in the environment.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in USERS_OWN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, GIB) and mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD))
