"""Record what a result depends on besides its configuration: command, versions, hardware."""

import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from spectral_select import __version__

__all__ = ["describe_command", "describe_hardware", "describe_versions", "n_cores"]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "torchvision", "pillow")


def describe_command() -> str:
    """Return the command line, with the program's usual name.

    Examples
    --------
    >>> isinstance(describe_command(), str)
    True
    """
    program = Path(sys.argv[0]).name
    # Under python -m and torchrun, the program is __main__.py.
    program = "spectral-select" if program == "__main__.py" else program
    return shlex.join([program, *sys.argv[1:]])


def describe_versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that a result depends on.

    Examples
    --------
    >>> sorted(describe_versions())[:2]
    ['numpy', 'pillow']
    """
    versions: dict[str, str | None] = {
        "python": platform.python_version(),
        "spectral_select": __version__,
    }
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def describe_hardware(device: Any) -> dict[str, Any]:
    """Return the processor, cores, compute threads, memory and GPU.

    Parameters
    ----------
    device : torch.device
        Device used for training.

    Examples
    --------
    >>> import torch
    >>> describe_hardware(torch.device("cpu"))["gpu"] is None
    True
    """
    import psutil
    import torch

    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": n_cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }


def n_cores() -> int:
    """Return the number of cores that this process may use.

    Examples
    --------
    >>> n_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
