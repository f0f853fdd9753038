"""The saved state of a sampler: how its configuration is identified and checked."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from spectral_select._utils.validation import check_int

__all__ = ["STATE_VERSION", "check_state", "describe", "describe_estimator"]

STATE_VERSION = 1
_MAX_LENGTH = 200  # keeps a state small whatever the selector's parameters hold


def describe(value: object) -> str:
    """Return a string that is the same for equal values in every process."""
    text = repr(value)
    if " at 0x" in text:
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    if len(text) > _MAX_LENGTH:
        return f"{text[:_MAX_LENGTH]}… ({crc32(text.encode()):08x})"
    return text


def describe_estimator(estimator: Any, without: tuple[str, ...]) -> str:
    """Return a string with the class and the parameters of an estimator."""
    parameters = estimator.get_params(deep=False)
    listed = (f"{k}={describe(v)}" for k, v in sorted(parameters.items()) if k not in without)
    return f"{type(estimator).__qualname__}({', '.join(listed)})"


def check_state(
    state: Mapping[str, Any],
    configuration: Callable[[int], dict[str, Any]],
    *,
    sampler: str,
    unit: str,
    extra: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return a copy of a state, or raise if the sampler cannot resume from it.

    Parameters
    ----------
    state : mapping
        The state passed by the user.
    configuration : callable
        Returns the sampler's configuration for a given epoch.
    sampler : str
        Class name for messages.
    unit : str
        What the sampler yields, "batches" or "indices": the state counts them under
        ``{unit}_yielded`` and ``n_{unit}``.
    extra : tuple of str
        Additional keys that a state must have.

    Raises
    ------
    TypeError, ValueError
        If `state` is not a sampler state, or if its configuration or dataset is not the sampler's.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state_dict must be a mapping; got {type(state).__name__}")
    yielded, total = f"{unit}_yielded", f"n_{unit}"
    keys = {"version", "epoch", yielded, total, "configuration", *extra}
    if state.get("version") != STATE_VERSION or not state.keys() >= keys:
        raise ValueError(
            f"state_dict must be a result of {sampler}.state_dict() (version {STATE_VERSION}); "
            f"got version {state.get('version')!r} with keys {sorted(map(str, state))}"
        )
    checked = {key: state[key] for key in keys}
    for key in ("epoch", yielded, total):
        checked[key] = check_int(state[key], f"state_dict[{key!r}]", 0)
    if checked[yielded] > checked[total]:
        raise ValueError(
            f"state_dict[{yielded!r}] must be at most state_dict[{total!r}]; got "
            f"{checked[yielded]} of {checked[total]}"
        )
    if checked.get("order") is not None:
        check_int(checked["order"], "state_dict['order']", 0)
    if checked.get("generator") is not None:
        try:
            b64decode(checked["generator"], validate=True)
        except (TypeError, ValueError):
            raise ValueError("state_dict['generator'] must be None or base64 text") from None
    _check_same(checked["configuration"], configuration(checked["epoch"]))
    return checked


def _check_same(saved: Any, current: dict[str, Any]) -> None:
    if not isinstance(saved, Mapping):
        raise TypeError(
            f"state_dict['configuration'] must be a mapping; got {type(saved).__name__}"
        )
    for key, value in current.items():
        if key not in saved or saved[key] != value:
            what = "dataset" if key in ("features", "labels") else "configuration"
            raise ValueError(
                f"state_dict belongs to a different {what}: it was saved with "
                f"{key}={saved.get(key)!r}, but this sampler has {key}={value!r}"
            )
