"""Names for the rows of a feature file: image paths, or indices."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowNames"]


@dataclass(frozen=True)
class RowNames:
    """Names for the rows of a feature file: paths if they are known, otherwise indices.

    Attributes
    ----------
    paths : tuple of str or None
        Where each row comes from, if known.
    labels : list or None
        Label of each row, as a class name if the names of the classes are known.
    extent : str
        Which part of the dataset the rows cover; empty if they cover all of it.
    unclear : str
        Explains why indices alone do not identify the images; empty if they do.

    Examples
    --------
    >>> RowNames(("cat/0.jpg", "dog/0.jpg"), [0, 1]).columns(np.array([1]))
    {'path': ['dog/0.jpg'], 'label': [1]}
    """

    paths: tuple[str, ...] | None = None
    labels: list[Any] | None = None
    extent: str = ""
    unclear: str = ""

    @classmethod
    def of(cls, features: str) -> "RowNames":
        """Return the names in an embedding store; rows of other files are named by index."""
        if not Path(features).is_dir():
            return cls()
        from spectral_select._features.store import EmbeddingStore

        store = EmbeddingStore.open(features)
        unclear = ""
        if store.meta.get("drawn_from") is not None and store.meta.get("split_named") is False:
            unclear = (
                f"{features} holds {store.extent}, because it was extracted without --split. Row "
                "indices do not match the files in the dataset"
            )
        labels = None if store.labels is None else store.labels.tolist()
        classes = store.meta.get("classes")
        if labels and isinstance(classes, list) and 0 <= min(labels) <= max(labels) < len(classes):
            labels = [classes[label] for label in labels]
        extent = store.extent if " of " in store.extent else ""
        return cls(store.paths, labels, extent, unclear)

    def check_format(self, out: Path | None) -> None:
        """Raise if the format of `out` cannot identify the selected samples."""
        suffix = ".txt" if out is None else out.suffix
        if self.unclear and (self.paths is None or suffix == ".npy"):
            paths = "" if self.paths is None else "write .txt, .csv, .json or .parquet, or "
            raise ValueError(f"{self.unclear}: {paths}extract again with --split all --overwrite")
        if suffix == ".txt" and any("\n" in path or "\r" in path for path in self.paths or ()):
            raise ValueError("a path contains a line break; write .csv or .json")
        if suffix == ".parquet" and any(not path.isprintable() for path in self.paths or ()):
            raise ValueError("a path contains unprintable characters; write .csv or .json")

    def columns(self, indices: NDArray[np.int64]) -> dict[str, list[Any]]:
        """Return the table columns for the rows at `indices`, except index and score."""
        if self.paths is None:
            return {}
        known = {"path": self.paths} | ({} if self.labels is None else {"label": self.labels})
        return {key: [values[i] for i in indices] for key, values in known.items()}

    def lines(self, indices: NDArray[np.int64]) -> str:
        """Return the rows at `indices` as text, one path or index per line."""
        rows = indices.tolist() if self.paths is None else self.columns(indices)["path"]
        return "".join(f"{row}\n" for row in rows)
