"""Read .npy files, with errors that name the file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_npy", "reason"]


def load_npy(path: Path, *, mmap: bool = True) -> NDArray[Any]:
    """Return the array in a .npy file, without unpickling anything.

    Parameters
    ----------
    path : Path
        The file.
    mmap : bool, default=True
        Whether to memory-map the file instead of reading all of it into memory.

    Raises
    ------
    ValueError
        If the file is not a .npy file, is damaged or truncated, or contains pickled objects.
    """
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{path} is not a NumPy .npy file")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    # NumPy parses the header as Python code, so a damaged one may raise SyntaxError, TokenError
    # and other errors.
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {reason(error)}") from error
    return array


def reason(error: Exception) -> str:
    """Return an error's message on one line, or the name of its type if it has no message."""
    text = " ".join(str(error).split()) or type(error).__name__
    # NumPy's message suggests unpickling, which is unsafe for files from unknown sources.
    pickled = "allow_pickle" in text or "Python objects" in text
    return "it contains pickled objects, which are not supported" if pickled else text
