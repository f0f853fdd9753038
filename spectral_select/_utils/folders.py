"""Folders that hold a dataset's files: what is wrong with one, and paths that stay inside."""

from pathlib import Path

__all__ = ["StoreError", "inside"]


class StoreError(ValueError):
    """A store that is missing a part, damaged, or belongs to other data."""


def inside(folder: Path, name: str) -> Path:
    """Return `folder` / `name`, or raise StoreError if a link there leads out.

    Parameters
    ----------
    folder : Path
        The store.
    name : str
        A file name in it.

    Returns
    -------
    Path
        Of a file that may not exist.

    Examples
    --------
    >>> from pathlib import Path
    >>> inside(Path("photos.store"), "meta.json").as_posix()
    'photos.store/meta.json'
    """
    path = folder / name
    if path.is_symlink() and path.resolve().parent != folder.resolve():
        raise StoreError(
            f"{path} is a link that leads out of the store (to {path.resolve()}); refused"
        )
    return path
