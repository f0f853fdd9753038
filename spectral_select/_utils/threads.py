"""Run small solves in parallel, on as many threads as BLAS would use, with one BLAS thread each.

For matrices the size of a candidate batch, BLAS is slower with several threads than with one. The
batches are independent, so it is faster to solve several at once.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from threading import Lock
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

__all__ = ["map_in_threads", "one_blas_thread"]

T = TypeVar("T")
R = TypeVar("R")

_lock = Lock()
_users = 0
_limit: Any = None


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _n_threads() -> int:
    return max((library.num_threads for library in _blas().lib_controllers), default=1)


@contextmanager
def one_blas_thread() -> Iterator[int]:
    """Limit BLAS to one thread, and yield the number of threads it used before.

    Overlapping calls from several threads are counted, so that only the last call to finish
    restores the original number.
    """
    global _users, _limit, _had
    with _lock:
        if _users == 0:
            _had = _n_threads()
            _limit = _blas().limit(limits=1)
        _users += 1
    try:
        yield _had
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limit.restore_original_limits()


_had = 1


def _forget_users() -> None:
    """Reset the count in a forked child, which does not have its parent's threads."""
    global _lock, _users
    _lock = Lock()
    if _users:
        _users = 0
        _limit.restore_original_limits()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_users)


def map_in_threads(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Apply `function` to `items` in threads, and yield the results in order.

    The threads run in copies of the caller's context, so that `numpy.errstate` also applies there.
    """
    with one_blas_thread() as n_threads:
        if n_threads == 1 or len(items) == 1:
            yield from map(function, items)
            return
        with ThreadPoolExecutor(min(n_threads, len(items))) as pool:
            contexts = [copy_context() for _ in items]
            yield from pool.map(lambda context, item: context.run(function, item), contexts, items)
