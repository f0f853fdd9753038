"""What methods check: their options, and that they were handed what they need."""

from numbers import Real
from typing import Any

from spectral_select.integrations.methods._interface import Candidates

__all__ = ["check_number", "given"]


def check_number(value: object, name: str, low: float, high: float, *, closed: bool = True) -> None:
    """Raise unless `value` is a number in [low, high], or in [low, high) if not `closed`."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; got {value!r} of type {type(value).__name__}")
    # NaN fails the comparison.
    if not (low <= float(value) <= high) or (not closed and value == high):
        bracket = "]" if closed else ")"
        raise ValueError(f"{name} must be in [{low:g}, {high:g}{bracket}; got {value!r}")


def given(candidates: Candidates, name: str) -> Any:
    """Return an attribute of the candidates, or say that the driver left it out."""
    value = getattr(candidates, name)
    if value is None:
        raise ValueError(f"the method needs candidates with {name}; got None")
    return value
