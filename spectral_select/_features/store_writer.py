"""Write an embedding store in blocks, so that a killed process loses at most one block.

Until a store is complete, it has no ``meta.json``. Instead, it has ``embeddings.npy.partial``,
and ``progress.json`` with a checksum for each block on disk.
"""

import io
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._features.store import (
    EMBEDDINGS,
    FORMAT,
    LABELS,
    META,
    PATHS,
    EmbeddingStore,
    manifest_of,
)
from spectral_select._utils.atomic_files import remove_leftovers, write_atomically
from spectral_select._utils.folders import StoreError, inside
from spectral_select._utils.json_files import read_json_object, write_json_atomically
from spectral_select._utils.labels import check_labels
from spectral_select._utils.locks import FolderLock
from spectral_select._utils.validation import check_positive_int

__all__ = ["StoreWriter", "save_embeddings"]

_PARTIAL, _PROGRESS = EMBEDDINGS + ".partial", "progress.json"


class StoreWriter:
    """Write a store in blocks of rows, resuming where an interrupted writer stopped.

    Parameters
    ----------
    path : path
        The folder, created if needed. Files that do not belong to a store are left alone.
    count, dim : int
        Number of rows and columns in the complete store.
    labels : array of int, shape (count,), optional
        Labels.
    paths : sequence of str, optional
        Where each sample comes from: the path of its file, or a name.
    meta : mapping, optional
        Metadata. ``fingerprint``, ``backbone``, ``weights_hash``, ``image_size``, ``content`` (a
        hash of sampled images) and ``output`` distinguish stores; anything else that JSON can
        hold is only recorded.
    block_size : int, default 1024
        Rows per block. A resumed store keeps its block size.
    overwrite : bool, default False
        Whether to start over if the folder already holds a store.

    Attributes
    ----------
    block_size : int
        Number of rows in each block except the last, which may be shorter.
    complete : bool
        Whether the store is complete, so that there is nothing left to write.
    earlier : mapping
        Metadata of the rows that an earlier writer left; empty if there are none.

    Raises
    ------
    StoreError
        If the folder holds a complete or partial store of different data, or from a different
        backbone or different weights, or if another process is writing to the folder.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with StoreWriter(folder, count=3, dim=2, block_size=2) as writer:
    ...         writer.write_block(np.zeros((2, 2)))
    ...         writer.n_done, writer.complete
    ...     with StoreWriter(folder, count=3, dim=2, block_size=2) as writer:
    ...         writer.write_block(np.ones((1, 2)))  # resumes after the first block
    ...         writer.finish().features.shape
    (2, False)
    (3, 2)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        count: int,
        dim: int,
        labels: ArrayLike | None = None,
        paths: Sequence[str] | None = None,
        meta: Mapping[str, Any] | None = None,
        block_size: int = 1024,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.count = check_positive_int(count, "count")
        self.dim = check_positive_int(dim, "dim")
        self.block_size = check_positive_int(block_size, "block_size")
        self._labels = _check_labels(labels, self.count)
        self._paths = _check_paths(paths, self.count)
        own = {"format": FORMAT, "count": self.count, "dim": self.dim}
        own |= {"has_labels": labels is not None, "has_paths": paths is not None}
        self._meta = dict(meta or {}) | own
        self.earlier: Mapping[str, Any] = {}
        self._crc32: list[int] = []
        self._n_written = 0
        self._file: IO[bytes] | None = None
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is a file; expected a folder for the embeddings")
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock: FolderLock | None = None
        self.complete = not overwrite and self._is_complete()
        if self.complete:
            with suppress(OSError):  # the folder may be read-only
                remove_leftovers(self.path)
                (self.path / _PROGRESS).unlink(missing_ok=True)
            return
        self._lock = FolderLock(self.path)
        try:
            if overwrite:
                # Remove meta.json first, so that an incomplete folder is not read as a store.
                for name in (META, _PROGRESS, _PARTIAL, EMBEDDINGS, LABELS, PATHS):
                    (self.path / name).unlink(missing_ok=True)
            self.complete = self._is_complete()  # another writer may have finished it
            if not self.complete:
                self._start()
        except BaseException:
            self.close()
            raise

    @property
    def n_done(self) -> int:
        """Number of rows on disk; also the index of the next block's first row."""
        return self.count if self.complete else min(len(self._crc32) * self.block_size, self.count)

    def first_row(self) -> NDArray[np.float32] | None:
        """Return the first row, or None if it has not been written."""
        if self.complete:
            return np.array(EmbeddingStore.open(self.path).features[0])
        if not self._crc32:
            return None
        start = len(_header(self.count, self.dim))
        return np.fromfile(self.path / _PARTIAL, np.float32, self.dim, offset=start)

    def write_block(self, block: ArrayLike) -> None:
        """Append the next block; once this returns, the block is safe on disk.

        Parameters
        ----------
        block : array, shape (m, dim)
            Rows from `n_done` on; m is `block_size`, or less for the last block.

        Raises
        ------
        ValueError
            If the shape is wrong or a value is not finite in float32.
        """
        if self.complete or self._file is None:
            raise ValueError("the store is complete; there is no block to write")
        n_rows = min(self.block_size, self.count - self.n_done)
        with np.errstate(over="ignore"):  # overflow is reported below, with the row
            rows = np.asarray(block, dtype=np.float32)
        if rows.shape != (n_rows, self.dim) or n_rows == 0:
            raise ValueError(f"block must have shape {(n_rows, self.dim)}; got {rows.shape}")
        if not np.isfinite(rows).all():
            bad = self.n_done + int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise ValueError(f"the embedding of row {bad} has a value that is NaN or infinite")
        data = rows.tobytes()
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._crc32.append(zlib.crc32(data))
        self._n_written += n_rows
        write_json_atomically(self.path / _PROGRESS, self._progress())

    def finish(self, **more: Any) -> EmbeddingStore:
        """Complete the store and open it.

        Parameters
        ----------
        **more
            Additional metadata that JSON can hold.

        Returns
        -------
        EmbeddingStore
            Open for reading.

        Raises
        ------
        ValueError
            If rows are missing.
        """
        if not self.complete:
            if self.n_done < self.count:
                raise ValueError(f"only {self.n_done} of {self.count} rows have been written")
            if self._labels is not None:
                labels = self._labels
                write_atomically(self.path / LABELS, lambda file: np.save(file, labels))
            if self._paths is not None:
                write_json_atomically(self.path / PATHS, {"paths": self._paths})
            self._close_file()
            (self.path / _PARTIAL).replace(self.path / EMBEDDINGS)
            write_json_atomically(self.path / META, more | self._progress())
            (self.path / _PROGRESS).unlink(missing_ok=True)
            self.complete = True
        self.close()
        store = EmbeddingStore.open(self.path)
        store.n_written = self._n_written
        return store

    def close(self) -> None:
        """Close the files; blocks already written are kept for the next writer."""
        self._close_file()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _progress(self) -> dict[str, Any]:
        return self._meta | {"block_size": self.block_size, "block_crc32": self._crc32}

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_complete(self) -> bool:
        if not inside(self.path, META).exists():
            return False
        try:
            store = EmbeddingStore.open(self.path)
        except StoreError as error:
            raise StoreError(f"{error}; overwrite it or choose another folder") from error
        self._refuse_other(store.meta)
        self.earlier = store.meta
        if self._labels is not None and not np.array_equal(self._labels, store.labels):  # type: ignore[arg-type]
            raise StoreError(
                f"{self.path} holds different labels; overwrite it or choose another folder"
            )
        return True

    def _refuse_other(self, found: Mapping[str, Any]) -> None:
        if unlike := manifest_of(found).diff(manifest_of(self._meta)):
            raise StoreError(
                f"{self.path} holds embeddings of something else ({'; '.join(unlike)}); "
                "overwrite it or choose another folder"
            )

    def _start(self) -> None:
        partial = inside(self.path, _PARTIAL)
        remove_leftovers(self.path)
        header = _header(self.count, self.dim)
        progress = self._read_progress()
        if progress is not None:
            self._refuse_other(progress)
            if not partial.exists() and inside(self.path, EMBEDDINGS).exists():
                (self.path / EMBEDDINGS).replace(partial)  # killed before meta.json was written
            self.block_size = progress["block_size"]
            self._crc32 = _whole_blocks(partial, header, progress, self.count, self.dim)
            self.earlier = progress if self._crc32 else {}
        elif partial.exists() or (self.path / EMBEDDINGS).exists():
            # Without a usable progress file, it is unknown which data the rows belong to.
            if (self.path / EMBEDDINGS).exists():
                raise StoreError(
                    f"{self.path} holds an {EMBEDDINGS} without {META}; "
                    "overwrite it or choose another folder"
                )
            partial.unlink()
        if not self._crc32:
            write_json_atomically(self.path / _PROGRESS, self._progress())
            partial.write_bytes(header)
        self._file = partial.open("r+b")
        self._file.truncate(len(header) + self.n_done * self.dim * 4)
        self._file.seek(0, os.SEEK_END)

    def _read_progress(self) -> dict[str, Any] | None:
        """Return the progress of an earlier writer, or None if it is missing or unusable."""
        path = inside(self.path, _PROGRESS)
        if not path.exists():
            return None
        try:
            found = read_json_object(path)
        except ValueError:
            return None  # damaged: start over
        size, crc32 = found.get("block_size"), found.get("block_crc32")
        if found.get("format") != FORMAT or type(size) is not int or size < 1:
            return None
        if not isinstance(crc32, list) or any(type(x) is not int for x in crc32):
            return None
        return found


def _whole_blocks(
    path: Path, header: bytes, progress: Mapping[str, Any], count: int, dim: int
) -> list[int]:
    """Return the checksums of the leading blocks in `path` that are intact."""
    good: list[int] = []
    with suppress(FileNotFoundError), path.open("rb") as file:
        if file.read(len(header)) != header:
            return good
        for k, expected in enumerate(progress["block_crc32"]):
            n_rows = min(progress["block_size"], count - k * progress["block_size"])
            n_bytes = max(n_rows, 0) * dim * 4
            block = file.read(n_bytes)
            if not n_bytes or len(block) != n_bytes or zlib.crc32(block) != expected:
                break
            good.append(expected)
    return good


def _header(count: int, dim: int) -> bytes:
    buffer = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": (count, dim)}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _check_labels(labels: ArrayLike | None, count: int) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    array = check_labels(labels, count, "labels")
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"labels must be {count} integers; got dtype {array.dtype}")
    return array.astype(np.int64)


def _check_paths(paths: Sequence[str] | None, count: int) -> list[str] | None:
    if paths is None:
        return None
    if isinstance(paths, str) or not all(isinstance(path, str) for path in paths):
        raise TypeError("paths must be a sequence of strings, one per row")
    if len(paths) != count:
        raise ValueError(
            f"paths must have one entry for each of the {count} rows; got {len(paths)}"
        )
    return list(paths)


def save_embeddings(
    path: str | os.PathLike[str],
    features: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    paths: Sequence[str] | None = None,
    overwrite: bool = False,
    **meta: Any,
) -> EmbeddingStore:
    """Write an array as an embedding store, and open the store.

    Parameters
    ----------
    path : path
        The folder; created if it does not exist.
    features : array, shape (n, d)
        Embeddings.
    labels : array of int, shape (n,), optional
        Labels.
    paths : sequence of str, optional
        Where each sample comes from. If given, the command ``select`` writes the paths of the
        selected samples.
    overwrite : bool, default=False
        Whether to replace an existing store in the folder.
    **meta
        Metadata, such as ``fingerprint``, ``backbone`` and ``dataset``; see `meta` of
        `StoreWriter`.

    Returns
    -------
    EmbeddingStore
        The store, open for reading.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from spectral_select import save_embeddings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(save_embeddings(folder + "/store", np.eye(3), [0, 1, 1]))
    3
    """
    X = np.asarray(features)
    if X.ndim != 2 or not np.issubdtype(X.dtype, np.number) or np.iscomplexobj(X):
        raise ValueError(
            f"features must be a 2-D array of real numbers; got shape {X.shape} of type {X.dtype}"
        )
    with StoreWriter(
        path,
        count=X.shape[0],
        dim=X.shape[1],
        labels=labels,
        paths=paths,
        meta=meta,
        overwrite=overwrite,
    ) as writer:
        for start in range(writer.n_done, len(X), writer.block_size):
            writer.write_block(X[start : start + writer.block_size])
        return writer.finish()
