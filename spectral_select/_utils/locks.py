"""A lock that lets one process at a time write to a folder."""

import errno
import os
from pathlib import Path
from typing import ClassVar, Self

from spectral_select._utils.folders import StoreError, inside

__all__ = ["FolderLock"]

_NAME = ".lock"


class FolderLock:
    """Locks a folder for this process; the system releases the lock when the process ends.

    This is a record lock, which child processes do not inherit. The children of a killed process,
    such as data-loader workers, may outlive it by seconds and would otherwise keep the lock. On
    Windows, which has no record locks, only other writers in the same process are excluded.

    Parameters
    ----------
    folder : Path
        The folder, which must exist.
    wait : bool, default=False
        Whether to wait if another process holds the lock.

    Raises
    ------
    StoreError
        If this process already holds the lock, or if another process does and `wait` is False.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder, FolderLock(Path(folder)):
    ...     FolderLock(Path(folder))
    Traceback (most recent call last):
        ...
    spectral_select._utils.folders.StoreError: another process is writing to ...
    """

    # Record locks do not exclude writers in the same process, so keep a set of locked folders.
    _held: ClassVar[set[str]] = set()

    def __init__(self, folder: Path, *, wait: bool = False) -> None:
        self._key = os.path.realpath(folder)
        self._file = None
        busy = StoreError(f"another process is writing to {folder}; wait until it has finished")
        if self._key in self._held:
            raise busy
        try:
            import fcntl
        except ImportError:
            pass
        else:
            self._file = inside(folder, _NAME).open("ab")
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError as error:
                self._file.close()
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
                raise busy from error
            except BaseException:
                self._file.close()
                raise
        self._held.add(self._key)

    def close(self) -> None:
        """Release the lock."""
        self._held.discard(self._key)
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
