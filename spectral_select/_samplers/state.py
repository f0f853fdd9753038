"""The state of a sampler between two processes: what it holds, and when it is refused."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from spectral_select._utils.validation import check_int

__all__ = ["STATE_VERSION", "check_state", "describe", "describe_estimator"]

STATE_VERSION = 1
_LONGEST = 200  # a state is to stay small whatever a selector's parameters hold
_KEYS = frozenset(
    {"version", "epoch", "batches_yielded", "n_batches", "order", "generator", "configuration"}
)


def describe(value: object) -> str:
    """Return text that is the same for equal values in every process."""
    text = repr(value)
    if " at 0x" in text:
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST]}… ({crc32(text.encode()):08x})"
    return text


def describe_estimator(estimator: Any, without: tuple[str, ...]) -> str:
    """Return an estimator's class and parameters as text."""
    parameters = estimator.get_params(deep=False)
    listed = (f"{k}={describe(v)}" for k, v in sorted(parameters.items()) if k not in without)
    return f"{type(estimator).__qualname__}({', '.join(listed)})"


def check_state(
    state: Mapping[str, Any], configuration: Callable[[int], dict[str, Any]]
) -> dict[str, Any]:
    """Return a copy of a state, or say why a sampler cannot go on from it.

    Parameters
    ----------
    state : mapping
        What a user hands over.
    configuration : callable
        The configuration that the sampler has in a given epoch.

    Raises
    ------
    TypeError, ValueError
        If it is no state, or one of another configuration or dataset.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state_dict must be a mapping; got {type(state).__name__}")
    if state.get("version") != STATE_VERSION or not state.keys() >= _KEYS:
        raise ValueError(
            "state_dict must come from SpectralBatchSampler.state_dict() (version "
            f"{STATE_VERSION}); got version {state.get('version')!r} with keys "
            f"{sorted(map(str, state))}"
        )
    checked = {key: state[key] for key in _KEYS}
    for key in ("epoch", "batches_yielded", "n_batches"):
        checked[key] = check_int(state[key], f"state_dict[{key!r}]", 0)
    if checked["batches_yielded"] > checked["n_batches"]:
        raise ValueError(
            "state_dict must not have yielded more batches than there are; got "
            f"{checked['batches_yielded']} of {checked['n_batches']}"
        )
    if checked["order"] is not None:
        check_int(checked["order"], "state_dict['order']", 0)
    if checked["generator"] is not None:
        try:
            b64decode(checked["generator"], validate=True)
        except (TypeError, ValueError):
            raise ValueError("state_dict['generator'] must be None or base64 text") from None
    _check_same(checked["configuration"], configuration(checked["epoch"]))
    return checked


def _check_same(saved: Any, mine: dict[str, Any]) -> None:
    if not isinstance(saved, Mapping):
        raise TypeError(
            f"state_dict['configuration'] must be a mapping; got {type(saved).__name__}"
        )
    for key, value in mine.items():
        if key not in saved or saved[key] != value:
            what = "dataset" if key in ("features", "labels") else "configuration"
            raise ValueError(
                f"state_dict belongs to another {what}: it was saved with "
                f"{key}={saved.get(key)!r}, this sampler has {key}={value!r}"
            )
