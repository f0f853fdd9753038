"""A folder of scores: one file per input file, a marker for each, and the state of the work.

Only score files end in ``.parquet``, and dataset readers ignore names that begin with an
underscore, so the folder can be read as one table.
"""

import platform
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from spectral_select import __version__
from spectral_select._parquet.parquet_files import CorruptFileError, ParquetFiles
from spectral_select._utils.atomic_files import write_atomically
from spectral_select._utils.json_files import read_json_object, write_json_atomically
from spectral_select._utils.locks import FolderLock
from spectral_select._utils.manifest import Manifest

__all__ = ["OutputFolder"]

# Packages whose version may affect the last digits of a score.
_PACKAGES = ("numpy", "scipy", "scikit-learn", "pyarrow")


class OutputFolder:
    """The folder that receives the scores of some files; locked while it is open.

    Parameters
    ----------
    path : Path
        The folder; created if it does not exist.
    files : ParquetFiles
        The input files.
    options : dict
        Everything else that the scores depend on.

    Raises
    ------
    ValueError
        If the folder holds input files, or scores from different files, options or versions.
    """

    def __init__(self, path: Path, files: ParquetFiles, options: dict[str, Any]) -> None:
        self.path = path
        progress = path / "_progress"
        self.state = progress / "state"
        self._done, self._left_out = progress / "done", progress / "left_out.json"
        self._summary = path / "_SUCCESS"
        self._names = list(files.names)
        self._sizes = {
            name: _size_and_time(file) for name, file in zip(files.names, files.paths, strict=True)
        }
        _check_apart(path, files)
        manifest = Manifest(
            {
                "files": self._sizes,
                "columns": [files.id, files.embedding, files.label],
                "options": options,
                "versions": _versions(),
            }
        )
        path.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(path)
        try:
            saved = progress / "manifest.json"
            if saved.exists():
                if changes := Manifest(read_json_object(saved)).diff(manifest):
                    raise ValueError(
                        f"{path} holds scores of a different run ({'; '.join(changes[:3])}); "
                        "name another folder, or remove it"
                    )
            elif any(entry.name not in (".lock", progress.name) for entry in path.iterdir()):
                raise ValueError(f"{path} holds other files; name an empty or new folder")
            self.state.mkdir(parents=True, exist_ok=True)
            self._done.mkdir(exist_ok=True)
            if not saved.exists():
                write_json_atomically(saved, manifest.content)
        except BaseException:
            self._lock.close()
            raise

    def fill(
        self,
        files: ParquetFiles,
        work: Callable[[], int],
        *,
        skip_corrupt: bool,
        restart: bool,
        report: Callable[[str], object],
    ) -> list[str]:
        """Write the scores, unless they are complete.

        Parameters
        ----------
        files : ParquetFiles
            The input files; files that are left out are removed from this object.
        work : callable
            Writes the scores of all `files`, and returns the number of rows.
        skip_corrupt : bool
            Whether to leave out files that cannot be read.
        restart : bool
            Whether all scores depend on all files. If so, leaving out a file discards the scores
            written so far.
        report : callable
            Called with a line of text.

        Returns
        -------
        list of str
            Messages about files that were left out, now or by an interrupted command.
        """
        self._leave_out_known(files, skip_corrupt)
        if self._complete:
            self._remove_state()  # left by a process killed at the very end
            report("all files are done already")
            return self._messages()
        while True:
            try:
                n_rows = work()
                break
            except CorruptFileError as error:
                if not skip_corrupt:
                    raise
                self._leave_out(files, error, restart=restart)
        write_json_atomically(self._summary, {"n_rows": n_rows, "skipped": self._messages()})
        self._remove_state()
        return self._messages()

    def is_done(self, name: str) -> bool:
        """Return whether the scores of a file have been written."""
        return self._marker(name).exists() and (self.path / name).exists()

    def write(self, name: str, source: Path, columns: dict[str, Any]) -> None:
        """Write the scores of the file `source`, then their marker.

        Raises
        ------
        ValueError
            If the file has changed since the work began.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if _size_and_time(source) != self._sizes[name]:
            raise ValueError(f"{source} changed while it was being read; name another folder")
        table = pa.table(columns)
        self._summary.unlink(missing_ok=True)  # exists only if finished scores were removed
        for path in (self.path / name, self._marker(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / name, lambda file: pq.write_table(table, file))
        write_atomically(self._marker(name), lambda file: None)

    @property
    def _complete(self) -> bool:
        """Whether all files are done, and no scores have been removed since then."""
        if not self._summary.exists():
            return False
        left_out = self._known()
        return all(self.is_done(name) for name in self._names if name not in left_out)

    def _leave_out(self, files: ParquetFiles, error: CorruptFileError, *, restart: bool) -> None:
        name = files.remove(error.path)
        # Remove the state before recording the file as left out: a process killed between these
        # two steps then only repeats work.
        for outdated in (self.state, self._done) if restart else ():
            shutil.rmtree(outdated)
            outdated.mkdir()
        write_json_atomically(self._left_out, {**self._known(), name: str(error)})

    def _leave_out_known(self, files: ParquetFiles, skip_corrupt: bool) -> None:
        """Leave out the files that an earlier command left out."""
        for name, message in self._known().items():
            if not skip_corrupt:
                raise ValueError(
                    f"{message}; the scores in {self.path} leave out this file: skip it again"
                )
            files.remove(files.paths[files.names.index(name)])

    def _messages(self) -> list[str]:
        return list(self._known().values())

    def _remove_state(self) -> None:
        # The state may be larger than the embeddings.
        shutil.rmtree(self.state, ignore_errors=True)

    def _marker(self, name: str) -> Path:
        return self._done / f"{name}.done"

    def _known(self) -> dict[str, str]:
        return read_json_object(self._left_out) if self._left_out.exists() else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.close()


def _size_and_time(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _versions() -> dict[str, str]:
    named = {name: metadata.version(name) for name in _PACKAGES}
    return {"spectral_select": __version__, "python": platform.python_version(), **named}


def _check_apart(out: Path, files: ParquetFiles) -> None:
    """Raise if an input file is inside `out`, the folder for the scores."""
    whole = out.resolve()
    for path in files.paths:
        if path.resolve().is_relative_to(whole):
            raise ValueError(f"{out} holds the input file {path}; name a separate folder")
