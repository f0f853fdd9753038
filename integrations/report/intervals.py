"""Means over seeds and paired differences, with 95% confidence intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import mean, stdev

__all__ = ["Interval", "mean_interval", "paired_difference"]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% confidence interval.

    Attributes
    ----------
    mean : float
        Mean.
    half_width : float or None
        Half the width of Student's t-interval; None for a single value.
    n : int
        Number of values.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def side(self) -> int:
        """1 if the interval lies above 0, -1 if below, 0 if it contains 0 or is unknown.

        The interval of two values is treated as unknown, because they may be close by chance.
        """
        if self.half_width is None or self.n < 3 or abs(self.mean) <= self.half_width:
            return 0
        return 1 if self.mean > 0 else -1

    def format(self, digits: int, *, scale: float = 1.0, signed: bool = False) -> str:
        """Return the mean, followed by ± the half-width of the interval if known.

        Examples
        --------
        >>> Interval(0.5, 0.0125, 3).format(1, scale=100)
        '50.0 ± 1.2'
        """
        text = f"{scale * self.mean:{'+' if signed else ''},.{digits}f}".replace("-", "−")
        if self.half_width is not None:
            text += f" ± {scale * self.half_width:,.{digits}f}"
        return text


def mean_interval(values: Iterable[float | None]) -> Interval | None:
    """Return the mean of the finite values with its 95% t-interval.

    Parameters
    ----------
    values : iterable of float or None
        One value per seed; None, NaN and infinities are ignored.

    Returns
    -------
    Interval or None
        None if no value is finite.

    Examples
    --------
    >>> mean_interval([1.0, 2.0, 3.0]).format(3)
    '2.000 ± 2.484'
    >>> mean_interval([0.5]).format(1), mean_interval([None])
    ('0.5', None)
    """
    known = [value for value in values if value is not None and isfinite(value)]
    if not known:
        return None
    if len(known) == 1:
        return Interval(known[0], None, 1)
    from scipy.stats import t

    quantile = float(t.ppf(0.975, len(known) - 1))
    return Interval(mean(known), quantile * stdev(known) / sqrt(len(known)), len(known))


def paired_difference(
    ours: Mapping[int, float | None], theirs: Mapping[int, float | None]
) -> Interval | None:
    """Return the mean of `ours` minus `theirs` over the shared seeds, with its 95% interval.

    Parameters
    ----------
    ours, theirs : mapping of int to float or None
        Values by seed.

    Returns
    -------
    Interval or None
        None if no seed is shared.

    Examples
    --------
    >>> paired_difference({0: 1.0, 1: 2.0, 2: 9.0}, {0: 0.5, 1: 1.5, 3: 0.0})
    Interval(mean=0.5, half_width=0.0, n=2)
    """
    pairs = [(ours[seed], theirs[seed]) for seed in ours if seed in theirs]
    return mean_interval(a - b for a, b in pairs if a is not None and b is not None)
