"""What methods check: their options, and that they were handed what they need."""

from typing import Any

from spectral_select.integrations.methods.interface import Candidates

__all__ = ["given"]


def given(candidates: Candidates, name: str) -> Any:
    """Return an attribute of the candidates, or say that the driver left it out."""
    value = getattr(candidates, name)
    if value is None:
        raise ValueError(f"the method needs candidates with {name}; got None")
    return value
