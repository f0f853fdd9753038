"""Store folders: the error for an unusable store, and paths that stay in the folder."""

from pathlib import Path

__all__ = ["StoreError", "inside"]


class StoreError(ValueError):
    """A store is incomplete or damaged, or belongs to different data."""


def inside(folder: Path, name: str) -> Path:
    """Return `folder` / `name`; raise StoreError if it is a link that leads out of `folder`.

    Parameters
    ----------
    folder : Path
        The store.
    name : str
        Name of a file in the store.

    Returns
    -------
    Path
        The path; the file need not exist.

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
