"""The names of the rows of a file of features: paths of images, or indices."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowNames"]


@dataclass(frozen=True)
class RowNames:
    """What the rows of a file of features are called; without paths, they have only indices.

    Attributes
    ----------
    paths : tuple of str or None
        Where each row comes from.
    labels : list or None
        Label of each row, by its name where that is known.
    extent : str
        Which part of a dataset the rows are; empty if they are all of it.
    unclear : str
        Why indices alone do not say which images are meant; empty if they do.

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
        """Return the names in an embedding store, none for other files."""
        if not Path(features).is_dir():
            return cls()
        from spectral_select._features.store import EmbeddingStore

        store = EmbeddingStore.open(features)
        unclear = ""
        if store.meta.get("drawn_from") is not None and store.meta.get("split_named") is False:
            unclear = (
                f"{features} holds {store.extent}, a split drawn without the option --split of "
                "extract: its indices do not match the files of the dataset"
            )
        labels = None if store.labels is None else store.labels.tolist()
        classes = store.meta.get("classes")
        if labels and isinstance(classes, list) and 0 <= min(labels) <= max(labels) < len(classes):
            labels = [classes[label] for label in labels]
        extent = store.extent if " of " in store.extent else ""
        return cls(store.paths, labels, extent, unclear)

    def check_format(self, out: Path | None) -> None:
        """Refuse a file whose format cannot say which samples are meant."""
        suffix = ".txt" if out is None else out.suffix
        if self.unclear and (self.paths is None or suffix == ".npy"):
            raise ValueError(
                f"{self.unclear}; write .txt, .csv, .json or .parquet, which hold paths, or "
                "extract with --split all --overwrite"
            )
        if suffix == ".txt" and any("\n" in path or "\r" in path for path in self.paths or ()):
            raise ValueError("a path has a line break; write .csv or .json")
        if suffix == ".parquet" and any(not path.isprintable() for path in self.paths or ()):
            raise ValueError("a path has characters that are not text; write .csv or .json")

    def columns(self, indices: NDArray[np.int64]) -> dict[str, list[Any]]:
        """Return the columns of a table of the rows at `indices`, without index and score."""
        if self.paths is None:
            return {}
        known = {"path": self.paths} | ({} if self.labels is None else {"label": self.labels})
        return {key: [values[i] for i in indices] for key, values in known.items()}

    def lines(self, indices: NDArray[np.int64]) -> str:
        """Return a path or an index on each line."""
        rows = indices.tolist() if self.paths is None else self.columns(indices)["path"]
        return "".join(f"{row}\n" for row in rows)
