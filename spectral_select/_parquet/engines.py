"""Where the work on each file is done: in this process, one file after another, or elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

__all__ = ["Engine", "in_this_process"]


class Engine(Protocol):
    """Calls a function on each of some items, and yields the results in the order of the items."""

    def __call__(
        self, function: Callable[..., Any], items: Iterable[Any], *shared: Any
    ) -> Iterator[Any]:
        """Yield ``function(item, *shared)`` for each item."""


def in_this_process(
    function: Callable[..., Any], items: Iterable[Any], *shared: Any
) -> Iterator[Any]:
    """Do the work in this process."""
    for item in items:
        yield function(item, *shared)
