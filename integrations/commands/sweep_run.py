"""Run a sweep: each run in its own process, several in parallel if memory allows."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil

from spectral_select._utils.json_files import read_json_object, write_json_atomically
from spectral_select._utils.manifest import Manifest
from spectral_select.integrations.commands.sweep_plan import Run
from spectral_select.integrations.methods import FEATURES, REFERENCE
from spectral_select.integrations.records.results import read_results
from spectral_select.integrations.runtime.provenance import n_cores

__all__ = ["SweepError", "is_done", "run_all"]

_POLL = 0.1
_SETTLE = 20.0  # seconds after which a run is assumed to have loaded its data


class SweepError(ValueError):
    """A run's folder contains a different run."""


@dataclass
class _Started:
    run: Run
    process: "subprocess.Popen[bytes]"
    log: Any
    begin: float
    peak: int = 0


def is_done(out: Path, run: Run) -> bool:
    """Return whether a run is complete, and reject a folder that contains a different run.

    Parameters
    ----------
    out : Path
        The sweep's folder.
    run : Run

    Raises
    ------
    SweepError
        If the folder was created with different arguments.
    """
    folder = out / run.folder
    if not (folder / "run.json").exists():
        return False
    saved = read_json_object(folder / "run.json").get("arguments")
    arguments = saved if isinstance(saved, list) else []
    if unlike := _manifest(arguments).diff(_manifest(run.arguments)):
        raise SweepError(
            f"{folder} was created with different options ({'; '.join(unlike)}); "
            "choose another folder, or remove this one"
        )
    try:
        return read_results(folder).status == "complete"
    except FileNotFoundError:
        return False


def _manifest(arguments: Sequence[str]) -> Manifest:
    """Return the arguments of a run as a manifest; a word without ``=`` is a separate entry."""
    words = (str(word).partition("=") for word in arguments)
    return Manifest({option: value if equals else True for option, equals, value in words})


def run_all(
    out: Path,
    runs: Sequence[Run],
    *,
    jobs: int,
    on_end: Callable[[Run, int, float], object],
) -> list[Run]:
    """Run the incomplete runs, at most `jobs` at a time, and return the failed runs.

    The first run that needs features extracts them, and the first run that needs a reference
    model trains it; other runs wait for the result and share it. A parallel run starts at least
    20 s after the previous run started, and only if twice the memory of the largest run is free.

    Parameters
    ----------
    out : Path
        The sweep's folder.
    runs : sequence of Run
        The incomplete runs.
    jobs : int
        Maximum number of parallel runs. The processor's cores are divided among them.
    on_end : callable
        Called when a run ends, with the run, its exit status and its duration in seconds.

    Returns
    -------
    list of Run
        The runs that did not exit with status 0.
    """
    waiting, going, failed = list(runs), list[_Started](), list[Run]()
    settled: set[str] = set()  # inputs of runs that have ended; no run waits for them
    needed = 0
    try:
        while waiting or going:
            started = _next(out, waiting, going, jobs, needed, settled)
            if started is not None:
                going.append(_start(out, started, jobs))
                continue
            sleep(_POLL)
            for each in list(going):
                each.peak = max(each.peak, _resident(each.process.pid))
                status = each.process.poll()
                if status is not None:
                    going.remove(each)
                    each.log.close()
                    needed = max(needed, each.peak)
                    settled |= each.run.needs
                    failed += [each.run] if status else []
                    on_end(each.run, status, monotonic() - each.begin)
    finally:
        _interrupt(going)
    return failed


def _next(
    out: Path,
    waiting: list[Run],
    going: Sequence[_Started],
    jobs: int,
    needed: int,
    settled: set[str],
) -> Run | None:
    """Remove the next run from `waiting` and return it, or return None if it must wait."""
    if not waiting or len(going) >= jobs:
        return None
    run = waiting[0]
    if going:
        if any(_shared(out, need) is None for need in run.needs - settled):
            return None  # another run is still computing an input that this run shares
        largest = max([needed, *(each.peak for each in going)])
        recent = min(monotonic() - each.begin for each in going)
        if recent < _SETTLE or psutil.virtual_memory().available < 2 * largest:
            return None  # the latest run is still loading, or too little memory is free
    return waiting.pop(0)


def _shared(out: Path, need: str) -> Path | None:
    """Return the folder of an input that runs share, or None if it does not exist yet."""
    name, complete = {
        FEATURES: ("features", "meta.json"),
        REFERENCE: ("reference", "reference.json"),
    }[need]
    made = sorted((out / "runs").glob(f"*/{name}/{complete}"))
    return made[0].parent if made else None


def _start(out: Path, run: Run, jobs: int) -> _Started:
    folder = out / run.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_json_atomically(folder / "run.json", {"arguments": list(run.arguments)})
    arguments = ["train", *run.arguments, "--out", str(folder), "--resume", "--no-progress"]
    for need in sorted(run.needs):
        shared = _shared(out, need)
        given = any(word.startswith(f"--{need}=") for word in run.arguments)
        if not given and shared is not None and shared.parent != folder:
            arguments += [f"--{need}", str(shared)]
    threads = str(max(1, n_cores() // jobs))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    log = (folder / "log.txt").open("ab")
    process = subprocess.Popen(  # noqa: S603  (runs this package)
        [sys.executable, "-m", "spectral_select", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment if jobs > 1 else None,
        start_new_session=True,  # only this process receives Ctrl-C, and forwards it once
    )
    return _Started(run, process, log, monotonic())


def _interrupt(going: Sequence[_Started]) -> None:
    """Stop runs as Ctrl-C would, so that they save a checkpoint, and wait for them to exit."""
    for each in going:
        each.process.send_signal(signal.SIGINT)
    for each in going:
        try:
            each.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            each.process.kill()
            each.process.wait()
        each.log.close()


def _resident(pid: int) -> int:
    """Return the resident memory of a process in bytes, or 0 if it has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
