"""Binds this process to some of the device's cores. In: core numbers. Out: those it runs on now."""

from __future__ import annotations

import os
from typing import Iterable, Optional, Sequence, Tuple

from edgeface.errors import DeviceError


def pin_to_cores(cores: Sequence[int]) -> Optional[Tuple[int, ...]]:
    """Let this thread, and all that it starts later, run on these cores only.

    To be called before the runtime makes its threads.

    Args:
        cores: numbers from 0; empty leaves the choice to the kernel.

    Returns:
        The cores in order; None if it is left to the kernel.

    Raises:
        DeviceError: there is no such core, this process may not use it, or the system cannot pin.
    """
    if not cores:
        return None
    if not hasattr(os, "sched_setaffinity"):
        raise DeviceError("cores: this system cannot bind a process to cores; leave --cores out")
    # the kernel itself would ignore a core that is not there, as long as another one is
    usable = os.sched_getaffinity(0)
    if not usable.issuperset(cores):
        raise DeviceError(
            f"cores: found {_listed(cores)}, expected some of those this process may use: "
            f"{_listed(usable)}"
        )
    try:
        os.sched_setaffinity(0, cores)
    except OSError as err:
        raise DeviceError(f"cores: cannot bind to {_listed(cores)} ({err.strerror})") from err
    return tuple(sorted(cores))


def _listed(cores: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
