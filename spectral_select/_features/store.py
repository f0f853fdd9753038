"""Embeddings in a folder on disk, tied to the data they were computed from.

A store is a folder with ``embeddings.npy`` (float32, n × d), ``labels.npy`` (int64, optional),
``paths.json`` (where each sample comes from, optional) and ``meta.json``. It is complete if and
only if ``meta.json`` exists, because that file is written last. The file names in the folder are
fixed, and paths in ``meta.json`` or ``paths.json`` are never opened.
"""

import os
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._features.dataset_samples import sample_labels, sample_paths
from spectral_select._utils.folders import StoreError, inside
from spectral_select._utils.json_files import read_json_object
from spectral_select._utils.manifest import Manifest
from spectral_select._utils.npy_files import load_npy

__all__ = [
    "EMBEDDINGS",
    "FORMAT",
    "LABELS",
    "META",
    "PATHS",
    "EmbeddingStore",
    "load_array",
    "manifest_of",
]

FORMAT = "spectral_select embeddings 1"
EMBEDDINGS, LABELS, PATHS, META = "embeddings.npy", "labels.npy", "paths.json", "meta.json"

#: Metadata that identifies the source of embeddings, with names for use in messages.
IDENTITY = {
    "count": "number of rows",
    "dim": "length of an embedding",
    "fingerprint": "fingerprint of the data",
    "content": "hash of a sample of the images",
    "backbone": "backbone",
    "weights_hash": "hash of the weights",
    "image_size": "image size",
    "output": "output of the backbone",
}


class EmbeddingStore:
    """A complete store, opened for reading by `EmbeddingStore.open`.

    Attributes
    ----------
    path : Path
        The folder.
    features : memmap of float32, shape (n, d)
        The embeddings, a read-only memory map.
    labels : array of int64, shape (n,), or None
        The labels, if the data have any.
    meta : dict
        ``count``, ``dim``, ``fingerprint``, ``backbone``, ``library``, ``library_version``,
        ``weights``, ``weights_hash``, ``revision``, ``image_size``, ``dataset``, ``split`` and
        others, as far as known.
    n_written : int
        Number of rows written by the call that returned this store; 0 if the call only opened
        the store.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from spectral_select import EmbeddingStore, save_embeddings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_embeddings(folder + "/store", np.eye(3), [0, 1, 1])
    ...     store = EmbeddingStore.open(folder + "/store")
    ...     store.features.shape, store.labels.tolist()
    ((3, 3), [0, 1, 1])
    """

    def __init__(
        self,
        path: Path,
        features: NDArray[np.float32],
        labels: NDArray[np.int64] | None,
        meta: dict[str, Any],
    ) -> None:
        self.path = path
        self.features = features
        self.labels = labels
        self.meta = meta
        self.n_written = 0

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "EmbeddingStore":
        """Open the store in the folder `path`, without reading any embeddings yet.

        Parameters
        ----------
        path : path
            The folder.

        Returns
        -------
        EmbeddingStore

        Raises
        ------
        FileNotFoundError
            If the folder does not exist.
        StoreError
            If the folder is not a store, if the store is incomplete, or if a file is damaged,
            truncated or a link that leads out of the folder.
        """
        path = Path(path)
        meta = read_meta(path)
        count, dim = meta["count"], meta["dim"]
        features = load_array(path, EMBEDDINGS, np.float32, (count, dim), mmap=True)
        labels = load_array(path, LABELS, np.int64, (count,)) if meta["has_labels"] else None
        return cls(path, features, labels, meta)

    def __len__(self) -> int:
        return int(self.meta["count"])

    def __repr__(self) -> str:
        return f"EmbeddingStore({str(self.path)!r}: {self.meta['count']} × {self.meta['dim']})"

    def check_matches(self, dataset: Any) -> None:
        """Raise StoreError unless the rows are embeddings of `dataset`, in the same order.

        Parameters
        ----------
        dataset : sized
            Compared by length, then by ``fingerprint`` if both the store and the dataset have
            one, otherwise by the samples' paths and labels, as far as these are known.
        """
        if len(dataset) != len(self):
            raise StoreError(
                f"{self.path} holds {len(self)} embeddings, but the dataset has {len(dataset)} "
                "samples; extract them again, or use the split they were extracted from"
            )
        theirs = getattr(dataset, "fingerprint", None)
        own = self.meta.get("fingerprint")
        if theirs is not None and own is not None:
            if theirs != own:
                raise StoreError(
                    f"{self.path} belongs to other data: its fingerprint is {own[:12]}…, but the "
                    f"dataset's is {str(theirs)[:12]}… (files, their order, sizes or labels differ)"
                )
            return
        paths, labels = sample_paths(dataset), sample_labels(dataset)
        if paths is not None and self.paths is not None:
            pairs = enumerate(zip(paths, self.paths, strict=True))
            # The paths may be relative to different folders.
            row = next((i for i, (a, b) in pairs if not (_ends(a, b) or _ends(b, a))), None)
            if row is not None:
                raise StoreError(
                    f"{self.path} belongs to other data: row {row} is {self.paths[row]}, but "
                    f"sample {row} of the dataset is {paths[row]}"
                )
        if labels is not None and self.labels is not None:
            if len(labels) != len(self):
                raise StoreError(f"the dataset has {len(labels)} labels for {len(self)} samples")
            differ = np.flatnonzero(labels != self.labels)
            if differ.size:
                raise StoreError(
                    f"{self.path} belongs to other data: {differ.size} labels differ, "
                    f"the first at row {differ[0]}"
                )

    @cached_property
    def paths(self) -> tuple[str, ...] | None:
        """Where each sample comes from, or None if that is not known.

        These are file paths relative to the dataset folder, or row names. They are never opened
        here.
        """
        if self.meta.get("has_paths") is not True:
            return None
        path = inside(self.path, PATHS)
        if not path.is_file():
            raise StoreError(f"{self.path} is damaged: {PATHS} is missing")
        try:
            paths = read_json_object(path).get("paths")
        except ValueError as error:
            raise StoreError(str(error)) from error
        if not isinstance(paths, list) or not all(isinstance(name, str) for name in paths):
            raise StoreError(f"{path} is damaged: expected a list of paths")
        if len(paths) != len(self):
            raise StoreError(f"{path} is damaged: {len(paths)} paths for {len(self)} samples")
        return tuple(paths)

    @property
    def extent(self) -> str:
        """Part of the dataset that the rows cover, such as "216 of 300 images (train split)"."""
        split = self.meta.get("split")
        total = self.meta.get("n_samples", self.meta.get("n_images"))
        if type(total) is not int or total == len(self):
            total = self.meta.get("drawn_from")
        of = f" of {total}" if type(total) is int and total > len(self) else ""
        unit = self.meta.get("unit")
        unit = unit if isinstance(unit, str) else "images"
        return f"{len(self)}{of} {unit}" + (f" ({split} split)" if of and split else "")

    def verify(self) -> None:
        """Read all embeddings and raise StoreError if any has changed since it was written."""
        size = self.meta["block_size"]
        for k, expected in enumerate(self.meta["block_crc32"]):
            block = self.features[k * size : (k + 1) * size]
            if zlib.crc32(block.tobytes()) != expected:
                raise StoreError(
                    f"{self.path / EMBEDDINGS} is damaged between rows {k * size} and "
                    f"{min((k + 1) * size, len(self)) - 1}; extract it again with overwrite"
                )


def _ends(path: str, end: str) -> bool:
    return path == end or path.endswith("/" + end)


def read_meta(folder: Path) -> dict[str, Any]:
    """Return the checked ``meta.json`` of the store in `folder`."""
    if not folder.exists():
        raise FileNotFoundError(f"there is no embedding store {folder}")
    if not folder.is_dir():
        raise StoreError(
            f"{folder} is a file; expected an embedding store: "
            f"a folder with {EMBEDDINGS} and {META}"
        )
    path = inside(folder, META)
    if not path.is_file():
        state = (
            "an extraction into it has not finished; run the same extraction again to resume"
            if (folder / "progress.json").exists()
            else f"expected {META} and {EMBEDDINGS} in it, as spectral-select extract writes them"
        )
        raise StoreError(f"{folder} is not a complete embedding store: {state}")
    try:
        meta = read_json_object(path)
    except ValueError as error:
        raise StoreError(str(error)) from error
    if meta.get("format") != FORMAT:
        raise StoreError(f"{path} has format {meta.get('format')!r}; expected {FORMAT!r}")
    for key in ("count", "dim", "block_size"):
        if type(meta.get(key)) is not int or meta[key] < 1:
            raise StoreError(f"{path} is damaged: {key!r} is {meta.get(key)!r}")
    for key, kind in (("has_labels", bool), ("block_crc32", list)):
        if type(meta.get(key)) is not kind:
            raise StoreError(f"{path} is damaged: {key!r} is {meta.get(key)!r}")
    if len(meta["block_crc32"]) != -(-meta["count"] // meta["block_size"]):
        raise StoreError(f"{path} is damaged: it has {len(meta['block_crc32'])} block checksums")
    if not isinstance(meta.get("fingerprint"), str | None):
        raise StoreError(f"{path} is damaged: 'fingerprint' is {meta['fingerprint']!r}")
    return meta


def manifest_of(meta: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a store's embeddings."""
    return Manifest({key: meta.get(key) for key in IDENTITY}, IDENTITY)


def load_array(
    folder: Path, name: str, dtype: Any, shape: tuple[int, ...], *, mmap: bool = False
) -> NDArray[Any]:
    """Read an array from a store; raise StoreError if its dtype or shape is not as expected.

    Parameters
    ----------
    folder : Path
        The store.
    name : str
        Name of the .npy file.
    dtype : dtype
        Expected dtype.
    shape : tuple of int
        Expected shape.
    mmap : bool, default False
        Whether to memory-map the file instead of reading all of it into memory.

    Returns
    -------
    ndarray of shape `shape`
        Read-only if `mmap`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(folder + "/ones.npy", np.ones(2))
    ...     load_array(Path(folder), "ones.npy", float, (2,))
    array([1., 1.])
    """
    path = inside(folder, name)
    if not path.is_file():
        raise StoreError(f"{folder} is damaged: {name} is missing")
    try:
        array = load_npy(path, mmap=mmap)
    except (ValueError, OSError) as error:
        raise StoreError(f"{error}; the store is damaged or truncated") from error
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        raise StoreError(
            f"{path} is damaged: it holds {array.dtype} of shape {array.shape}; "
            f"expected {np.dtype(dtype)} of shape {shape}"
        )
    result: NDArray[Any] = array
    return result
