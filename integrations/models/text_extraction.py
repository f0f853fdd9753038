"""Compute the embeddings of texts once and store them on disk."""

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spectral_select._features.store import EmbeddingStore
from spectral_select._features.store_writer import StoreWriter
from spectral_select._utils.progress_bar import progress_bar
from spectral_select._utils.validation import check_positive_int
from spectral_select.integrations.data.labeled_split import LabeledSplit

__all__ = ["extract_text_embeddings"]


class TextEncoder(Protocol):
    """Maps texts to embeddings.

    Attributes
    ----------
    name, weights, weights_hash : str
        Strings that identify the encoder in a store.
    dim : int
        Length of an embedding.
    library, library_version : str
        The encoder's package and its version, recorded in the store.
    """

    name: str
    dim: int
    weights: str
    weights_hash: str
    library: str
    library_version: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings of `texts`, shape (n, dim)."""


def extract_text_embeddings(
    split: LabeledSplit,
    encoder: TextEncoder,
    out: str | os.PathLike[str],
    *,
    block_size: int = 1024,
    overwrite: bool = False,
    progress: bool | None = None,
    meta: Mapping[str, Any] | None = None,
) -> EmbeddingStore:
    """Compute the embedding of every text in a split, in order, and write a store.

    If the process is killed, the same call resumes from the last block written to disk. If the
    store is complete, it is only opened. In both cases, the texts, labels and encoder must be
    the same as before.

    Parameters
    ----------
    split : LabeledSplit
        A split of a `TextDataset`.
    encoder : TextEncoder
        A `TfidfEncoder`, a `SentenceEncoder` or another object with the same interface.
    out : path
        Folder for the store.
    block_size : int, default 1024
        Number of texts between writes.
    overwrite : bool, default False
        Whether to replace an existing store in `out`.
    progress : bool, optional
        Whether to show a progress bar; by default, only on a terminal.
    meta : mapping, optional
        Additional JSON-serializable metadata for the store.

    Returns
    -------
    EmbeddingStore
        The complete store.

    Raises
    ------
    StoreError
        If `out` contains embeddings of different data, or from a different encoder.
    ValueError
        If there are no texts, or an embedding is not finite.

    Examples
    --------
    >>> import tempfile
    >>> from spectral_select.integrations.data.texts import Texts
    >>> from spectral_select.integrations.models.tfidf import TfidfEncoder
    >>> texts = ["a small cat", "a large dog", "a small dog"]
    >>> split = LabeledSplit(Texts(texts, ["0", "1", "2"]), None, [0, 1, 2], [], "all")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = extract_text_embeddings(split, TfidfEncoder(texts), folder)
    ...     store.features.shape, store.paths
    ((3, 3), ('0', '1', '2'))
    """
    block_size = check_positive_int(block_size, "block_size")
    n = len(split)
    if not n:
        raise ValueError("the dataset is empty: there is nothing to extract")
    origin = {
        "fingerprint": split.fingerprint,
        "dataset": split.dataset or None,
        "split": split.name,
        "drawn_from": split.drawn_from,
        "classes": list(split.classes) or None,
        "unit": "texts",
        "backbone": encoder.name,
        "weights": encoder.weights,
        "weights_hash": encoder.weights_hash,
        "library": encoder.library,
        "library_version": encoder.library_version,
    }
    with StoreWriter(
        out,
        count=n,
        dim=encoder.dim,
        labels=split.labels,
        paths=split.paths,
        meta=dict(meta or {}) | origin,
        block_size=block_size,
        overwrite=overwrite,
    ) as writer:
        if writer.complete:
            return EmbeddingStore.open(out)
        start, n_rows, unknown = time.perf_counter(), n - writer.n_done, list[str]()
        with progress_bar(
            n, desc="embeddings", unit="texts", initial=writer.n_done, enabled=progress
        ) as bar:
            while writer.n_done < n:
                rows = range(writer.n_done, min(n, writer.n_done + writer.block_size))
                texts = [split.samples.load(int(split.indices[row])) for row in rows]
                block = encoder.encode(texts)
                if not np.isfinite(block).all():
                    row = rows[int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])]
                    raise ValueError(f"the embedding of {split.source(row)} is not finite")
                zero = np.flatnonzero(~block.any(axis=1))
                unknown += [split.source(rows[i]) for i in zero]
                writer.write_block(block)
                bar.update(len(rows))
        if unknown:
            warnings.warn(
                f"{len(unknown)} texts have no word that {encoder.name} knows, so their embeddings "
                f"are zero; the first is {unknown[0]}",
                stacklevel=2,
            )
        # Extrapolate from the rows computed in this call.
        return writer.finish(seconds=(time.perf_counter() - start) * n / n_rows)
