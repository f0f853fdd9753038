"""Write files atomically: write a temporary file, then rename it to the target."""

import os
import platform
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from zlib import crc32

__all__ = ["remove_leftovers", "write_atomically"]

_SUFFIX = ".tmp"


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file next to `path`, then rename it to `path`.

    A process killed at any moment leaves either the old file or the new file, never a partial
    file. The temporary file of a killed process is removed the next time `path` is written.

    Parameters
    ----------
    path : path
        The file to write; its folder must exist.
    write : callable
        Called with a binary file open for writing.

    Raises
    ------
    OSError
        If the folder is missing or not writable, or the disk is full; the temporary
        file is then removed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(folder + "/kept.txt", lambda file: file.write(b"17"))
    ...     Path(folder, "kept.txt").read_text(), os.listdir(folder)
    ('17', ['kept.txt'])
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; expected a file name")
    try:
        remove_leftovers(path.parent, path.name)
        prefix = f".{path.name}.{_writer()}{os.getpid()}-"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=path.parent)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"cannot write {path}: the folder {path.parent} does not exist"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; give it the permissions of any new file.
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_leftovers(folder: str | os.PathLike[str], name: str = "") -> None:
    """Remove temporary files left by processes that no longer run on this machine.

    Parameters
    ----------
    folder : path
        The folder that contains the temporary files.
    name : str, optional
        Name of the file that was being written; by default, any file.
    """
    pattern = re.compile(
        rf"\.{re.escape(name) or '.*'}\.{re.escape(_writer())}(\d+)-[^.]*{re.escape(_SUFFIX)}"
    )
    with os.scandir(folder) as entries:
        found = [(entry.path, pattern.fullmatch(entry.name)) for entry in entries]
    for path, match in found:
        if match is not None and not _exists(int(match[1])):
            Path(path).unlink(missing_ok=True)


def _writer() -> str:
    """Return a prefix that distinguishes this machine from others that use the same disk."""
    return f"{crc32(platform.node().encode()):08x}-"


def _exists(process: int) -> bool:
    if os.name != "posix":
        return True  # on Windows, signal 0 would end the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process belongs to another user
        pass
    return True


def _umask() -> int:
    # os.umask can read the mask only by setting it, so read /proc if it exists.
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    return 0o022
