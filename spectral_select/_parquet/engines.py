"""Engines that do the work on each file, in this process or in several processes.

An engine calls a function on each item, and yields the results in the order of the items, so that
sums are added in the same order with every engine.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

__all__ = ["Engine", "local_engine", "worker_processes"]

# Arguments: the function, the items, and further arguments of the function.
Engine: TypeAlias = Callable[..., Iterator[Any]]

_MANY_ROWS = 100_000  # with at least this many rows, starting processes saves time


def local_engine(workers: int | None, n_rows: int) -> Engine:
    """Return an engine of `workers` processes; None means one, or one per core for many rows."""
    if workers is None:
        workers = joblib.cpu_count() if n_rows >= _MANY_ROWS else 1
    return _in_this_process if workers == 1 else worker_processes(workers)


def _in_this_process(
    function: Callable[..., Any], items: Iterable[Any], *shared: Any
) -> Iterator[Any]:
    for item in items:
        yield function(item, *shared)


def worker_processes(n: int) -> Engine:
    """Return an engine of n processes with one thread each."""

    def engine(function: Callable[..., Any], items: Iterable[Any], *shared: Any) -> Iterator[Any]:
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            pool = joblib.Parallel(n, return_as="generator")
        try:
            yield from pool(joblib.delayed(function)(item, *shared) for item in items)
        except TerminatedWorkerError as error:
            raise OSError(
                "a worker process was killed, perhaps for lack of memory; to resume, repeat the "
                "command with fewer workers"
            ) from error

    return engine
