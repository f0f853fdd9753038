"""Schedules: the filter ratio of each epoch, fixed before training starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi
from numbers import Real
from typing import Any, TypeAlias

from spectral_select._selectors.ratio import check_filter_ratio
from spectral_select._utils.validation import check_int, check_positive_int

__all__ = [
    "CallableSchedule",
    "ConstantSchedule",
    "CosineSchedule",
    "LinearSchedule",
    "Schedule",
    "StepSchedule",
    "make_schedule",
]


class Schedule(ABC):
    """Filter ratio as a function of the epoch.

    Calling a schedule with an epoch (an integer, counted from 0) returns the share of samples to
    discard in that epoch, in [0, 1). Subclasses implement ``_ratio(epoch)``; this class checks
    the epoch and the result.

    Examples
    --------
    >>> from spectral_select import Schedule, make_schedule
    >>> isinstance(make_schedule(0.8), Schedule)
    True
    """

    def __call__(self, epoch: int) -> float:
        """Return the filter ratio for an epoch.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.

        Returns
        -------
        float
            Share of candidates to discard, in [0, 1).

        Raises
        ------
        TypeError, ValueError
            If `epoch` is not an integer of at least 0, or if the schedule returns
            an invalid filter ratio.
        """
        epoch = check_int(epoch, "epoch", 0)
        return check_filter_ratio(self._ratio(epoch), f"{self!r}({epoch})")

    @abstractmethod
    def _ratio(self, epoch: int) -> float:
        """Return the filter ratio for a checked epoch."""


@dataclass(frozen=True)
class ConstantSchedule(Schedule):
    """The same filter ratio in every epoch.

    Parameters
    ----------
    filter_ratio : float
        Share to discard, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If `filter_ratio` is not a real number in [0, 1).

    Examples
    --------
    >>> from spectral_select import ConstantSchedule
    >>> ConstantSchedule(0.8)(17)
    0.8
    """

    filter_ratio: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "filter_ratio", check_filter_ratio(self.filter_ratio))

    def _ratio(self, epoch: int) -> float:
        return self.filter_ratio


@dataclass(frozen=True)
class _Ramp(Schedule):
    start: float
    end: float
    n_epochs: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", check_filter_ratio(self.start, "start"))
        object.__setattr__(self, "end", check_filter_ratio(self.end, "end"))
        object.__setattr__(self, "n_epochs", check_positive_int(self.n_epochs, "n_epochs"))

    def _ratio(self, epoch: int) -> float:
        # The ratio is exact at both ends, and roundoff never takes it beyond them.
        if epoch == 0 and self.n_epochs > 1:
            return self.start
        if epoch >= self.n_epochs - 1:
            return self.end
        fraction = self._fraction(epoch / (self.n_epochs - 1))
        ratio = self.start + (self.end - self.start) * fraction
        return min(max(ratio, min(self.start, self.end)), max(self.start, self.end))

    def _fraction(self, time: float) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class LinearSchedule(_Ramp):
    """A filter ratio that changes by the same amount every epoch.

    Parameters
    ----------
    start, end : float
        Filter ratios of the first epoch and of epoch ``n_epochs - 1``, in [0, 1).
    n_epochs : int
        Number of epochs from `start` to `end`, including both. Later epochs have the ratio
        `end`. With ``n_epochs=1``, the first epoch also has the ratio `end`.

    Raises
    ------
    TypeError, ValueError
        If a ratio is outside [0, 1) or `n_epochs` is not a positive integer.

    Examples
    --------
    >>> from spectral_select import LinearSchedule
    >>> schedule = LinearSchedule(0.75, 0.25, n_epochs=5)
    >>> [schedule(epoch) for epoch in range(7)]
    [0.75, 0.625, 0.5, 0.375, 0.25, 0.25, 0.25]
    """

    def _fraction(self, time: float) -> float:
        return time


@dataclass(frozen=True)
class CosineSchedule(_Ramp):
    """A filter ratio that follows half a period of a cosine, flat at both ends.

    Parameters
    ----------
    start, end : float
        Filter ratios of the first epoch and of epoch ``n_epochs - 1``, in [0, 1).
    n_epochs : int
        Number of epochs from `start` to `end`, including both. Later epochs have the ratio
        `end`. With ``n_epochs=1``, the first epoch also has the ratio `end`.

    Raises
    ------
    TypeError, ValueError
        If a ratio is outside [0, 1) or `n_epochs` is not a positive integer.

    Examples
    --------
    >>> from spectral_select import CosineSchedule
    >>> schedule = CosineSchedule(0.8, 0.4, n_epochs=5)
    >>> [round(schedule(epoch), 3) for epoch in range(6)]
    [0.8, 0.741, 0.6, 0.459, 0.4, 0.4]
    """

    def _fraction(self, time: float) -> float:
        return (1.0 - cos(pi * time)) / 2.0


@dataclass(frozen=True)
class StepSchedule(Schedule):
    """A filter ratio that is constant between milestones.

    Parameters
    ----------
    filter_ratios : sequence of float
        The ratio before the first milestone and the ratio from each milestone on, each in [0, 1).
        There must be one more ratio than milestones.
    milestones : sequence of int
        Epochs, strictly ascending, at which the next ratio starts.

    Raises
    ------
    TypeError, ValueError
        If a ratio is outside [0, 1), if the milestones are not ascending positive
        integers, or if there is not one more ratio than milestones.

    Examples
    --------
    >>> from spectral_select import StepSchedule
    >>> schedule = StepSchedule([0.9, 0.8, 0.5], milestones=[2, 4])
    >>> [schedule(epoch) for epoch in range(6)]
    [0.9, 0.9, 0.8, 0.8, 0.5, 0.5]
    """

    filter_ratios: Sequence[float]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        ratios = tuple(
            check_filter_ratio(ratio, f"filter_ratios[{i}]")
            for i, ratio in enumerate(_items(self.filter_ratios, "filter_ratios", "floats"))
        )
        milestones = tuple(
            check_positive_int(epoch, f"milestones[{i}]")
            for i, epoch in enumerate(_items(self.milestones, "milestones", "integers"))
        )
        if len(ratios) != len(milestones) + 1:
            raise ValueError(
                "filter_ratios must hold one more ratio than milestones; "
                f"got {len(ratios)} ratios and {len(milestones)} milestones"
            )
        if any(a >= b for a, b in pairwise(milestones)):
            raise ValueError(f"milestones must be strictly ascending; got {milestones}")
        object.__setattr__(self, "filter_ratios", ratios)
        object.__setattr__(self, "milestones", milestones)

    def _ratio(self, epoch: int) -> float:
        return self.filter_ratios[sum(epoch >= milestone for milestone in self.milestones)]


@dataclass(frozen=True)
class CallableSchedule(Schedule):
    """A schedule defined by a callable of the epoch, whose results are checked.

    Parameters
    ----------
    function : callable
        ``function(epoch) -> filter_ratio``. To pickle the schedule (for spawned workers or
        checkpoints), use a module-level function, not a lambda.

    Raises
    ------
    TypeError
        If `function` is not callable.

    Examples
    --------
    >>> from spectral_select import make_schedule
    >>> schedule = make_schedule(lambda epoch: 1.0 - 0.5**epoch)
    >>> schedule(0), schedule(1), schedule(2)
    (0.0, 0.5, 0.75)
    """

    function: Callable[[int], float]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function must be a callable of the epoch; got {self.function!r}")

    def __repr__(self) -> str:
        # Leave out the memory address, so that the text identifies the schedule in every process.
        named = self.function if hasattr(self.function, "__qualname__") else type(self.function)
        return f"CallableSchedule({named.__module__}.{named.__qualname__})"

    def _ratio(self, epoch: int) -> float:
        return self.function(epoch)


ScheduleLike: TypeAlias = float | Schedule | Callable[[int], float]


def make_schedule(filter_ratio: ScheduleLike) -> Schedule:
    """Return a schedule from a filter ratio, a schedule or a callable of the epoch.

    Parameters
    ----------
    filter_ratio : float, Schedule or callable
        A ratio becomes a `ConstantSchedule`; a schedule is returned unchanged; any other
        callable is called with the epoch, and its result is checked each time.

    Returns
    -------
    Schedule
        Maps an epoch (int, from 0) to a filter ratio (float in [0, 1)).

    Raises
    ------
    TypeError, ValueError
        If `filter_ratio` has the wrong type or is outside [0, 1).

    Examples
    --------
    >>> from spectral_select import make_schedule
    >>> make_schedule(0.8)
    ConstantSchedule(filter_ratio=0.8)
    >>> make_schedule(1.2)
    Traceback (most recent call last):
        ...
    ValueError: filter_ratio must be in [0, 1), the share of rows discarded; got 1.2
    """
    if isinstance(filter_ratio, Schedule):
        return filter_ratio
    if not callable(filter_ratio) and isinstance(filter_ratio, Real):
        return ConstantSchedule(filter_ratio)
    if isinstance(filter_ratio, type) or not callable(filter_ratio):
        raise TypeError(
            "schedule must be a filter ratio in [0, 1), a Schedule or a callable of the epoch; "
            f"got {filter_ratio!r} of type {type(filter_ratio).__name__}"
        )
    return CallableSchedule(filter_ratio)


def _items(values: Sequence[Any], name: str, what: str) -> tuple[Any, ...]:
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be a sequence of {what}; got {values!r}")
    return tuple(values)
