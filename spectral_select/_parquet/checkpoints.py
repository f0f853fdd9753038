"""State of a pass over files, saved after each file so that an interrupted pass can resume."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._utils.atomic_files import write_atomically

__all__ = ["load_state", "save_state"]


def save_state(path: Path, **arrays: Any) -> None:
    """Write arrays to an .npz file, atomically."""
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_state(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that `save_state` wrote, or None if nothing was saved."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
