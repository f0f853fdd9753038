"""Argument checks; each message states what was expected and what was passed."""

from collections.abc import Sequence
from math import inf
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from scipy import sparse

from spectral_select._utils.array_namespace import Array, is_torch, namespace
from spectral_select._utils.widened_rows import WidenedRows, widened

__all__ = [
    "NotFiniteError",
    "check_affinity",
    "check_bool",
    "check_features",
    "check_finite",
    "check_in",
    "check_int",
    "check_matrix",
    "check_not_masked",
    "check_number",
    "check_positive_int",
    "check_tol",
]

_BLOCK_ROWS = 4096


class NotFiniteError(ValueError):
    """Features hold NaN or infinity."""


def check_in(value: object, name: str, allowed: Sequence[str]) -> None:
    """Raise unless `value` is one of the `allowed` strings."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")


def check_int(value: object, name: str, low: int) -> int:
    """Return `value` as an int if it is an integer (not a bool) of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(
            f"{name} must be an integer of at least {low}; "
            f"got {value!r} of type {type(value).__name__}"
        )
    if value < low:
        raise ValueError(f"{name} must be an integer of at least {low}; got {value!r}")
    return int(value)


def check_positive_int(n: int, name: str) -> int:
    """Return `n` as an int if it is a positive integer."""
    return check_int(n, name, 1)


def check_bool(value: object, name: str) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return value


def check_number(
    value: object,
    name: str,
    low: float = -inf,
    high: float = inf,
    *,
    closed: Literal["left", "right", "both", "neither"] = "both",
) -> None:
    """Raise unless `value` is a finite number between `low` and `high`."""
    from_low = closed in ("left", "both") and low > -inf
    to_high = closed in ("right", "both") and high < inf
    interval = f"{'[' if from_low else '('}{low:g}, {high:g}{']' if to_high else ')'}"
    expected = f"{name} must be a number in {interval}; got {value!r}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{expected} of type {type(value).__name__}")
    number = float(value)  # NaN fails the comparisons
    above = number >= low if from_low else number > low
    below = number <= high if to_high else number < high
    if not (above and below):
        raise ValueError(expected)


def check_tol(tol: object) -> None:
    """Raise unless `tol` is None or a number between 0 and 1."""
    if tol is not None:
        check_number(tol, "tol", 0, 1, closed="neither")


def check_not_masked(X: Any, name: str = "X") -> None:
    """Raise if `X` is a masked array, because NumPy would silently drop the mask."""
    if np.ma.isMaskedArray(X):
        raise ValueError(f"{name} must not be a masked array; fill in or drop the masked entries")


def check_features(X: Any, name: str = "X") -> Array:
    """Return features of shape (n, d) or (b, n, d) in float32 or float64.

    float32 is kept, half precision becomes float32, and any other numeric type becomes float64. A
    tensor stays on its device. A large array that needs converting is returned as `WidenedRows`.
    Dense features are not checked for NaN and infinity; see `check_finite`.
    """
    X = _as_floating(X, name)
    if sparse.issparse(X):
        if X.ndim != 2:
            raise ValueError(f"{name} must be 2-dimensional if sparse; got shape {X.shape}")
        X = sparse.csr_array(X)
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
    elif X.ndim not in (2, 3):
        raise ValueError(
            f"{name} must have shape (n_samples, n_features), or (n_batches, n_samples, "
            f"n_features); got shape {tuple(X.shape)}"
        )
    if 0 in X.shape:
        raise ValueError(
            f"{name} must have at least one sample and one feature; got shape {tuple(X.shape)}"
        )
    if sparse.issparse(X):
        check_finite(X, name)
    return X


def check_matrix(X: Any, name: str = "X") -> Array:
    """Return features of shape (n, d) as `check_features` does, and check that they are finite."""
    X = check_features(X, name)
    if X.ndim != 2:
        raise ValueError(f"{name} must have shape (n_samples, n_features); got {tuple(X.shape)}")
    check_finite(X, name)
    return X


def check_affinity(X: Any, name: str = "X") -> Array:
    """Return affinities of shape (n, n) or (b, n, n) if they are finite and symmetric."""
    X = check_features(X, name)
    X = np.asarray(X) if isinstance(X, WidenedRows) else X
    if X.shape[-1] != X.shape[-2]:
        raise ValueError(
            f"{name} must be square with affinity='precomputed', one row and one column per "
            f"sample; got shape {tuple(X.shape)}"
        )
    check_finite(X, name)
    if sparse.issparse(X):
        difference = abs(X - X.T).max()
        largest = abs(X).max()
    else:
        difference = abs(X - X.swapaxes(-1, -2)).max()
        largest = abs(X).max()
    if float(difference) > 1e-5 * float(largest):
        raise ValueError(
            f"{name} must be symmetric with affinity='precomputed'; entries differ from "
            f"their mirror images by up to {float(difference):.3g}"
        )
    return X


def _as_floating(X: Any, name: str) -> Array:
    if is_torch(X):
        torch = namespace(X)
        if X.layout != torch.strided or X.is_nested or X.device.type == "meta":
            raise TypeError(
                f"{name} must be a dense tensor that holds data; got layout {X.layout} on "
                f"device {X.device}. SciPy sparse arrays are accepted"
            )
        X = X.detach()
        if X.is_complex() or X.dtype == torch.bool:
            raise TypeError(f"{name} must hold real numbers; got dtype {X.dtype}")
        if X.dtype in (torch.float32, torch.float64):
            return X
        half = X.dtype in (torch.float16, torch.bfloat16)
        return X.to(torch.float32 if half else torch.float64)
    if isinstance(X, WidenedRows):
        return X
    check_not_masked(X, name)
    if not sparse.issparse(X):
        X = np.asarray(X)  # for a memory map, this is a view, which reads nothing
    if X.dtype.kind not in "fiub" and X.dtype.kind == "O":
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must hold numbers; {error}") from None
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers; got dtype {X.dtype}")
    if not sparse.issparse(X):
        return widened(X)
    return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)


def check_finite(X: Array, name: str = "X", rows: Any = None) -> None:
    """Raise if `X` holds NaN or infinity; name the first bad row, numbered by `rows` if given.

    Dense features need no check before the Fiedler vectors are computed, because the squared row
    norms reveal bad values (`NotFiniteError`). Then this function is called to find the row.
    """
    if isinstance(X, WidenedRows):
        for start in range(0, len(X), _BLOCK_ROWS) if X.array.dtype.kind == "f" else ():
            numbers = np.arange(start, min(start + _BLOCK_ROWS, len(X)))
            check_finite(np.asarray(X[numbers]), name, numbers if rows is None else rows[numbers])
        return
    values = X.data if sparse.issparse(X) else X
    xp = namespace(values)
    # If the sum is finite, so is every term. If not, check each term, as the sum may overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        if bool(xp.isfinite(values.sum())) or bool(xp.isfinite(values).all()):
            return
    if sparse.issparse(X):
        bad = np.flatnonzero(~np.isfinite(X.data))[0]
        row = int(np.searchsorted(X.indptr, bad, side="right") - 1)
    else:
        finite = xp.isfinite(values).all(-1).reshape(-1)
        row = int(xp.argmax(xp.where(finite, 0, 1)))
    row = row if rows is None else int(rows[row])
    raise ValueError(f"{name} must be finite; row {row} holds NaN or infinity (the first such row)")
