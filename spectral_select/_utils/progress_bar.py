"""A tqdm progress bar on stderr, if tqdm is installed and stderr is a terminal."""

import sys
from typing import Any, Protocol, Self

__all__ = ["ProgressBar", "progress_bar"]


class ProgressBar(Protocol):
    """The context manager that `progress_bar` returns."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> object: ...
    def update(self, n: int = 1) -> object:
        """Advance the bar by `n`."""

    def set_postfix(self, **values: Any) -> object:
        """Show `values` after the bar."""

    def close(self) -> object:
        """Stop updating the bar, which stays visible."""


class _Silent:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        pass

    def set_postfix(self, **values: Any) -> None:
        pass

    def close(self) -> None:
        pass


def progress_bar(
    total: int | None = None,
    *,
    desc: str = "",
    unit: str = "it",
    initial: int = 0,
    enabled: bool | None = None,
) -> ProgressBar:
    """Return a progress bar, to be used as a context manager.

    Parameters
    ----------
    total : int, optional
        Total number of units.
    desc : str
        Description of the task, in a word or two.
    unit : str
        Name of the unit. The rate is shown in units per second.
    initial : int, default 0
        Number of units already done.
    enabled : bool, optional
        Whether to show the bar. By default, it is shown only if stderr is a terminal, so that logs
        stay readable. Without tqdm (extra ``torch``), nothing is shown.

    Returns
    -------
    ProgressBar
        With ``update(n)``, ``set_postfix(**values)`` and ``close()``.

    Examples
    --------
    >>> with progress_bar(3, desc="count", enabled=False) as bar:
    ...     bar.update(3)
    """
    if enabled is None:
        enabled = sys.stderr is not None and sys.stderr.isatty()
    if not enabled:
        return _Silent()
    try:
        from tqdm import tqdm
    except ImportError:
        return _Silent()
    bar: ProgressBar = tqdm(
        total=total,
        desc=desc,
        unit=f" {unit}" if unit.isalpha() else unit,
        initial=initial,
        file=sys.stderr,
        dynamic_ncols=True,
        smoothing=0.05,
    )
    return bar
