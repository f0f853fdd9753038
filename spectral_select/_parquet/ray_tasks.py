"""Run work on files as tasks of a Ray cluster, which repeats the tasks of a worker that dies."""

import re
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from spectral_select._parquet.engines import Engine

__all__ = ["connect", "ray_tasks"]

_SECONDS = 10.0  # after this time, a machine is treated as unreachable


def connect(address: str | None = None) -> None:
    """Connect this process to a Ray cluster, by default one that is started on this machine.

    Raises
    ------
    OSError
        If there is no cluster at `address`.
    """
    ray: Any = import_module("ray")

    if ray.is_initialized():
        return
    options = {"include_dashboard": False} if address is None else {}
    try:
        if host := re.fullmatch(r"(?:ray://)?(.+):(\d+)", address or ""):
            # Ray itself would try for minutes, and then end this process.
            socket.create_connection((host[1], int(host[2])), timeout=_SECONDS).close()
        ray.init(address or "local", log_to_driver=False, logging_level="error", **options)
    except (OSError, ValueError, OverflowError) as error:
        raise OSError(f"no Ray cluster was reached at {address}: {error}") from error


def ray_tasks(address: str | None = None) -> Engine:
    """Return an engine that runs each call as a task of a Ray cluster; see `connect`.

    All machines of the cluster must see the files under the same paths.
    """
    ray: Any = import_module("ray")

    connect(address)

    def engine(function: Callable[..., Any], items: Iterable[Any], *shared: Any) -> Iterator[Any]:
        task = ray.remote(function)
        given = [ray.put(value) for value in shared]
        # Maximum number of tasks that wait or run.
        most = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting: deque[Any] = deque()
        for item in items:
            waiting.append(task.remote(item, *given))
            if len(waiting) == most:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())

    return engine


def _result(task: Any) -> Any:
    ray: Any = import_module("ray")

    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[0]
        raise OSError(f"the Ray cluster failed ({first}); repeat the command to resume") from error
