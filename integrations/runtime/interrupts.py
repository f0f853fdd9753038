"""Delay Ctrl-C until training can stop."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Self

from spectral_select.integrations.runtime.distributed import ONE, Ranks

__all__ = ["Interrupt", "interrupt_held"]

# Processes started by torchrun receive each Ctrl-C twice: from the terminal and from torchrun.
# So a second signal within this many seconds is ignored.
_SAME_SECONDS = 1.0
# Number of steps from one exchange between the ranks to the next; all stop at the same step.
_STEPS_BETWEEN = 16


class Interrupt:
    """Context in which Ctrl-C only requests a stop; a second Ctrl-C stops immediately.

    Parameters
    ----------
    ranks : Ranks, optional
        Processes that must stop together.

    Examples
    --------
    >>> import os
    >>> with Interrupt() as stop:
    ...     before = stop.asked()
    ...     os.kill(os.getpid(), signal.SIGINT)
    ...     before, stop.asked()
    (False, True)
    """

    def __init__(self, ranks: Ranks = ONE) -> None:
        self._ranks = ranks
        self._heard: float | None = None
        self._old: object = None
        self._calls = 0

    def __enter__(self) -> Self:
        # Python handles signals only in the main thread.
        if threading.current_thread() is threading.main_thread():
            self._old = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)  # type: ignore[arg-type]
            self._old = None

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._heard is None:
            self._heard = monotonic()
            if self._ranks.first and sys.stderr is not None:
                print(
                    "\nstopping after this step; press Ctrl-C again to stop immediately",
                    file=sys.stderr,
                )
        elif monotonic() - self._heard > _SAME_SECONDS:
            raise KeyboardInterrupt

    def asked(self, *, every_call: bool = False) -> bool:
        """Return whether to stop; all ranks must call this, and all receive the same result.

        Parameters
        ----------
        every_call : bool, default=False
            Whether the ranks communicate in this call. By default, they do so only in every
            sixteenth call.
        """
        heard = self._heard is not None
        if self._ranks.size == 1:
            return heard
        self._calls += 1
        if not every_call and self._calls % _STEPS_BETWEEN:
            return False
        return self._ranks.any(heard)


@contextmanager
def interrupt_held() -> Iterator[None]:
    """Delay Ctrl-C until the end of this context.

    Use it when forking. An exception that Ctrl-C raises during a fork is lost, and a child
    process that receives Ctrl-C dies without a message. Children forked in this context ignore
    Ctrl-C; the parent receives it and stops them.

    Examples
    --------
    >>> import os
    >>> try:
    ...     with interrupt_held():
    ...         os.kill(os.getpid(), signal.SIGINT)
    ...         print("still here")
    ... except KeyboardInterrupt:
    ...     print("heard")
    still here
    heard
    """
    old = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(old):
        yield  # Python does not handle Ctrl-C here, so there is nothing to delay
        return
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
    if heard:
        old(signal.SIGINT, None)
