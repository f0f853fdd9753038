"""Name a run's files, and read them safely: only from the run's folder, without pickles."""

import re
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._utils.npy_files import reason

__all__ = ["find_inside", "read_arrays", "run_name", "slug"]

# A small file can unpack to any size. A run's files are far below this limit.
_MAX_BYTES = 512 * 2**20


def slug(method: str) -> str:
    """Return a prefix for a method's file names that is unique to the method.

    Parameters
    ----------
    method : str
        The method, with its options.

    Examples
    --------
    >>> slug("top_loss"), slug("jest:n_chunks=8")
    ('top_loss', 'jest-n_chunks-8-db9466')
    """
    plain = re.sub(r"[^a-z0-9_]+", "-", method.lower()).strip("-")[:60]
    if plain and plain == method:
        return plain
    # Different methods may be reduced to the same characters, so append a hash.
    digest = sha256(method.encode(errors="backslashreplace")).hexdigest()
    return f"{plain}-{digest[:6]}"


def run_name(method: str, seed: int) -> str:
    """Return a file name without suffix that is unique to the method and seed.

    Examples
    --------
    >>> run_name("random", 3), run_name("jest:n_chunks=8", 0)
    ('random-seed3', 'jest-n_chunks-8-db9466-seed0')
    """
    return f"{slug(method)}-seed{seed}"


def find_inside(folder: Path, name: Any) -> Path:
    """Return the path of the file `name` in a run's folder.

    Raises
    ------
    ValueError
        If `name` is not a relative path, or is outside the folder, possibly through a link.
    FileNotFoundError
        If the file does not exist.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"{name!r} is not a file name")
    path = folder / name
    if Path(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name} is outside the run's folder, so it was not read")
    if not path.is_file():
        raise FileNotFoundError(f"{name} is missing")
    return path


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays in an ``.npz`` file.

    Raises
    ------
    ValueError
        If the file is not an ``.npz`` file, is damaged, or would need more than 512 MiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
        if n_bytes > _MAX_BYTES:
            raise ValueError(f"{path.name} would need {n_bytes} bytes, so it was not read")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    # On damaged archives, zlib, zipfile and NumPy's header parser raise all kinds of errors.
    except Exception as error:
        raise ValueError(f"{path.name} is damaged ({reason(error)})") from error
