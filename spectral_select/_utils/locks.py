"""A folder held for writing by one process at a time."""

import errno
import os
from pathlib import Path
from typing import ClassVar, Self

from spectral_select._utils.folders import StoreError, inside

__all__ = ["FolderLock"]

_NAME = ".lock"


class FolderLock:
    """Holds a folder for this process; the system lets go of it when the process ends.

    A record lock, because children do not inherit it: those of a killed process, such as
    the processes that load images, live on for some seconds. (Without record locks, on
    Windows, it keeps apart the writers of one process only.)

    Parameters
    ----------
    folder : Path
        The folder, which must exist.
    wait : bool, default=False
        Whether to wait for another process that holds it.

    Raises
    ------
    StoreError
        If it is held, by another process if `wait` is False.

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

    _held: ClassVar[set[str]] = set()  # record locks do not tell two writers of one process

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
        """Let go of the folder."""
        self._held.discard(self._key)
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
