"""Check that a method receives the inputs it needs."""

from typing import Any

from spectral_select.integrations.methods.interface import Candidates

__all__ = ["given"]


def given(candidates: Candidates, name: str) -> Any:
    """Return an attribute of the candidates, or raise an error if it is missing."""
    value = getattr(candidates, name)
    if value is None:
        raise ValueError(f"the method requires candidates.{name}; got None")
    return value
