"""Files that are either whole or absent: write beside the target, then rename over it."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

__all__ = ["read_json_object", "write_atomically", "write_json_atomically"]


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    A process killed at any moment leaves the old file or the new one, never a part.

    Parameters
    ----------
    path : path
        Where the file goes; its folder must exist.
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
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
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


def write_json_atomically(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write `content` as JSON to `path`, whole or not at all."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the JSON object in `path`, or raise ValueError naming the file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}); it is damaged") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a JSON object")
    return content


def _umask() -> int:
    # The mask can only be read by setting it; /proc tells without that where there is one.
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    return 0o022
