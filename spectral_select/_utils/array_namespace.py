"""The few array functions that NumPy and PyTorch spell differently.

All other functions that the solver uses are shared by both libraries. Importing this module does
not import torch: if a tensor is passed, torch is already loaded.
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np

__all__ = [
    "Array",
    "arange",
    "argsort",
    "astype",
    "cast",
    "dtype_name",
    "epsilon",
    "is_cuda",
    "is_torch",
    "namespace",
    "to_numpy",
    "zeros",
]

Array = Any  # numpy.ndarray or torch.Tensor


def is_torch(x: object) -> bool:
    """Return whether `x` is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def is_cuda(x: object) -> bool:
    """Return whether `x` is a torch tensor on a GPU, where reading it blocks the host."""
    return is_torch(x) and bool(x.is_cuda)  # type: ignore[attr-defined]


def namespace(x: Array) -> ModuleType:
    """Return the library that `x` belongs to: numpy or torch."""
    return sys.modules["torch"] if is_torch(x) else np


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Return zeros with the dtype and device of `like`."""
    return like.new_zeros(shape) if is_torch(like) else np.zeros(shape, like.dtype)


def astype(x: Array, dtype: str) -> Array:
    """Return `x` in the given dtype, "float32" or "float64"; copy only if needed."""
    if is_torch(x):
        return x.to(getattr(sys.modules["torch"], dtype))
    return x.astype(dtype, copy=False)


def cast(x: Array, like: Array) -> Array:
    """Return `x` in the dtype of `like`; copy only if needed."""
    return x.to(like.dtype) if is_torch(x) else x.astype(like.dtype, copy=False)


def dtype_name(x: Array) -> str:
    """Return the dtype of `x` as a name that both libraries know."""
    return str(x.dtype).removeprefix("torch.")


def epsilon(x: Array) -> float:
    """Return the machine epsilon of the floating-point dtype of `x`."""
    return float(namespace(x).finfo(x.dtype).eps)


def to_numpy(x: Array) -> np.ndarray[Any, Any]:
    """Return `x` as a NumPy array on the host."""
    return x.detach().cpu().numpy() if is_torch(x) else np.asarray(x)


def arange(n: int, like: Array) -> Array:
    """Return 0, …, n − 1 on the device of `like`."""
    if is_torch(like):
        return namespace(like).arange(n, device=like.device)
    return np.arange(n)


def argsort(x: Array) -> Array:
    """Return the indices that sort the last axis in ascending order; ties keep index order."""
    if is_torch(x):
        return x.argsort(dim=-1, stable=True)
    return np.argsort(x, axis=-1, kind="stable")
