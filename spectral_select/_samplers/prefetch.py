"""Run an iterator ahead of its consumer, on a background thread with a bounded queue."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Generic, TypeVar

__all__ = ["Prefetcher"]

T = TypeVar("T")

_JOIN_SECONDS = 10.0


class _Shared(Generic[T]):
    """State shared by producer and consumer; it refers to neither of them."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.ready: deque[T] = deque()
        self.change = threading.Condition()
        self.stopped = False
        self.finished = False
        self.error: BaseException | None = None


class Prefetcher(Iterator[T]):
    """Iterate over ``make_iterator(0)``, while a thread computes up to `depth` items in advance.

    The thread starts when the first item is requested. It ends after the last item, after an
    error, on `close`, when the iterator is garbage collected, and when the interpreter exits.
    An error on the thread is raised in the consumer, with its traceback, after all items that
    precede it.

    Parameters
    ----------
    make_iterator : callable
        ``make_iterator(n)`` returns an iterable that starts at item `n`. Neither `make_iterator`
        nor the iterable may refer to the `Prefetcher`, which could then never be garbage
        collected. A forked child does not have the thread, so it calls `make_iterator` again,
        starting at the first item that was not consumed.
    depth : int
        Maximum number of items computed in advance. With 0, each item is computed on request,
        without a thread.

    Attributes
    ----------
    waited : float
        Seconds that the consumer spent waiting for items.

    Examples
    --------
    >>> from spectral_select._samplers.prefetch import Prefetcher
    >>> list(Prefetcher(lambda n: range(n, 4), depth=2))
    [0, 1, 2, 3]
    """

    def __init__(self, make_iterator: Callable[[int], Iterable[T]], depth: int) -> None:
        self.waited = 0.0
        self._make_iterator = make_iterator
        self._depth = depth
        self._n_consumed = 0
        self._inline: Iterator[T] | None = None
        self._shared: _Shared[T] | None = None
        self._finalizer: weakref.finalize[..., Prefetcher[T]] | None = None
        self._process = os.getpid()
        self._closed = False

    def __next__(self) -> T:
        if self._closed:
            raise StopIteration
        begin = perf_counter()
        try:
            item = self._next_item()
        except BaseException:  # including StopIteration and KeyboardInterrupt
            self.close()
            raise
        finally:
            self.waited += perf_counter() - begin
        self._n_consumed += 1
        return item

    def close(self) -> None:
        """Stop the thread and wait for it; no more items are yielded."""
        self._closed = True
        self._inline = None
        if self._finalizer is not None:
            self._finalizer()

    def _next_item(self) -> T:
        if self._depth == 0 or self._process != os.getpid():
            if self._inline is None:
                self._inline = iter(self._make_iterator(self._n_consumed))
            return next(self._inline)
        if self._shared is None:
            self._shared = self._start()
        shared = self._shared
        with shared.change:
            while not shared.ready and not shared.finished:
                shared.change.wait()
            if shared.ready:
                item = shared.ready.popleft()
                shared.change.notify_all()
                return item
        if shared.error is not None:
            raise shared.error
        raise StopIteration

    def _start(self) -> _Shared[T]:
        shared: _Shared[T] = _Shared(self._depth)
        thread = threading.Thread(
            target=_produce,
            args=(shared, self._make_iterator, self._n_consumed),
            name="spectral-select",
            daemon=True,  # never keeps a process alive; the finalizer stops it before exit
        )
        thread.start()
        self._finalizer = weakref.finalize(self, _stop, shared, thread, self._process)
        return shared


def _produce(shared: _Shared[T], make_iterator: Callable[[int], Iterable[T]], start: int) -> None:
    try:
        for item in make_iterator(start):
            with shared.change:
                while len(shared.ready) >= shared.depth and not shared.stopped:
                    shared.change.wait()
                if shared.stopped:
                    return
                shared.ready.append(item)
                shared.change.notify_all()
    except BaseException as error:  # raised again in the consumer
        shared.error = error
    finally:
        with shared.change:
            shared.finished = True
            shared.change.notify_all()


def _stop(shared: _Shared[T], thread: threading.Thread, process: int) -> None:
    if process != os.getpid():
        return  # a forked child does not have the thread, which may have held the lock
    with shared.change:
        shared.stopped = True
        shared.ready.clear()
        shared.change.notify_all()
    # The garbage collector may run on the thread to be stopped, which cannot join itself.
    if thread is not threading.current_thread():
        thread.join(_JOIN_SECONDS)
