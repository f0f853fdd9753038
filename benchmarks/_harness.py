"""Helpers shared by all benchmarks: alternating timings, machine description, JSON."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

PACKAGES = (
    "spectral_select", "numpy", "scipy", "scikit-learn", "torch", "torchvision", "cleanlab", "timm",
    "transformers", "open_clip_torch",
)  # fmt: skip


def alternate(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Time the functions in turn, so that noise affects them equally; return seconds by name."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median(seconds: list[float]) -> float:
    return float(np.median(seconds))


def spread(seconds: list[float]) -> str:
    """Return the median and the quartiles in milliseconds."""
    low, mid, high = np.quantile(seconds, [0.25, 0.5, 0.75]) * 1e3
    return f"{mid:.3g} ({low:.3g}-{high:.3g})"


def environment() -> dict[str, Any]:
    """Return the command, versions and hardware that produced a result."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "command": " ".join(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
        "versions": versions,
        "hardware": {
            "cpu": _cpu(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "blas": sorted({f"{i['internal_api']} {i['version']}" for i in threadpool_info()}),
        },
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def peak_resident_bytes() -> int:
    """Return this process's peak resident memory (ru_maxrss would include the parent's)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status does not list the peak resident memory")


def table(rows: list[list[str]]) -> str:
    """Return rows as aligned text, with the first row as a header."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def write(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**environment(), **results}, indent=1) + "\n")
    print(f"wrote {path}")
