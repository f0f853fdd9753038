"""A folder of scores: one file per input file, a marker for each, and the state of the work."""

import shutil
from pathlib import Path
from typing import Any, Self

from spectral_select._parquet.parquet_files import CorruptFileError, ParquetFiles
from spectral_select._utils.atomic_files import write_atomically
from spectral_select._utils.json_files import read_json_object, write_json_atomically
from spectral_select._utils.locks import FolderLock
from spectral_select._utils.manifest import Manifest

__all__ = ["OutputFolder"]


class OutputFolder:
    """The folder that receives the scores of some files; locked while it is open.

    Parameters
    ----------
    path : Path
        The folder; made if it does not exist.
    files : ParquetFiles
        The input files.
    options : dict
        What else the scores depend on.

    Raises
    ------
    ValueError
        If the folder holds scores of other files or options.
    """

    def __init__(self, path: Path, files: ParquetFiles, options: dict[str, Any]) -> None:
        self.path, self.state = path, path / ".state"
        self._done = path / "completions"
        self._left_out = path / "left_out.json"
        path.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(path)
        try:
            manifest = Manifest(
                {
                    "files": {
                        name: [file.stat().st_size, file.stat().st_mtime_ns]
                        for name, file in zip(files.names, files.paths, strict=True)
                    },
                    "columns": [files.id, files.embedding, files.label],
                    "options": options,
                }
            )
            saved = path / "manifest.json"
            if saved.exists():
                if changes := Manifest(read_json_object(saved)).diff(manifest):
                    raise ValueError(
                        f"{path} holds scores made otherwise ({'; '.join(changes[:3])}); "
                        "name another folder, or remove it"
                    )
            elif any(entry.name != ".lock" for entry in path.iterdir()):
                raise ValueError(f"{path} holds other files; name an empty or a new folder")
            else:
                write_json_atomically(saved, manifest.content)
            self.state.mkdir(exist_ok=True)
            self._done.mkdir(exist_ok=True)
        except BaseException:
            self._lock.close()
            raise

    @property
    def complete(self) -> bool:
        """Whether all files are done."""
        return (self.path / "complete.json").exists()

    def is_done(self, name: str) -> bool:
        """Return whether the scores of a file are written."""
        return (self._done / name).exists() and (self.path / name).exists()

    def leave_out(self, files: ParquetFiles, error: CorruptFileError) -> None:
        """Leave out a file, discard the state that included it, and remember this."""
        name = files.remove(error.path)
        known = read_json_object(self._left_out) if self._left_out.exists() else {}
        # First the state: without it, a killed process only repeats work.
        for outdated in (self.state, self._done):
            shutil.rmtree(outdated)
            outdated.mkdir()
        write_json_atomically(self._left_out, {**known, name: str(error)})

    def leave_out_known(self, files: ParquetFiles) -> list[str]:
        """Leave out the files that an interrupted command left out; return its messages."""
        if not self._left_out.exists():
            return []
        known = read_json_object(self._left_out)
        for name in known:
            files.remove(files.paths[files.names.index(name)])
        return [str(message) for message in known.values()]

    def write(self, name: str, columns: dict[str, Any]) -> None:
        """Write the scores of a file, then its marker."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(columns)
        for path in (self.path / name, self._done / name):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / name, lambda file: pq.write_table(table, file))
        write_atomically(self._done / name, lambda file: None)

    def finish(self, summary: dict[str, Any]) -> None:
        """Record that all files are done."""
        write_json_atomically(self.path / "complete.json", summary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.close()
