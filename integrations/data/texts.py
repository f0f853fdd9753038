"""Texts in memory, and datasets of texts with splits."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.data.class_names import label_codes, sorted_classes
from spectral_select.integrations.data.folders import split_of
from spectral_select.integrations.data.labeled_dataset import LabeledDataset, SplitOptions
from spectral_select.integrations.data.text_files import TEXT_SUFFIXES, TextColumns, read_texts

__all__ = ["TextDataset", "Texts", "holds_texts", "load_texts"]


class Texts:
    """Texts in memory, each with an identifier.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    ids : sequence of str
        Identifiers, such as FILE:LINE, that name the samples in a store.

    Examples
    --------
    >>> texts = Texts(["a cat", "a dog"], ["pets.jsonl:1", "pets.jsonl:2"])
    >>> len(texts), texts.load(1), texts.name(1)
    (2, 'a dog', 'pets.jsonl:2')
    """

    def __init__(self, texts: Sequence[str], ids: Sequence[str]) -> None:
        self.texts = list(texts)
        self.ids = list(ids)

    def __len__(self) -> int:
        return len(self.texts)

    def id(self, i: int) -> str:
        """Return the identifier of text `i`."""
        return self.ids[i]

    def name(self, i: int) -> str:
        """Return the identifier of text `i`, for messages."""
        return self.ids[i]

    def load(self, i: int) -> str:
        """Return text `i`."""
        return self.texts[i]

    def digest(self, indices: NDArray[np.int64]) -> bytes:
        """Return a SHA-256 digest of the identifiers and texts at `indices`, in order."""
        digest = hashlib.sha256()
        for i in indices:
            for part in (self.ids[i], self.texts[i]):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.digest()

    def joined(self, others: "Sequence[Texts]") -> "Texts":
        """Return these texts followed by those of `others`."""
        parts = (self, *others)
        return Texts([t for part in parts for t in part.texts], [i for p in parts for i in p.ids])


class TextDataset(LabeledDataset):
    """A dataset of texts with three splits.

    Attributes
    ----------
    name : str
        Path of the file or folder.
    classes : tuple of str
        Class names, by label; empty if the texts have no labels.
    train, val, test : LabeledSplit
        The splits; `val` and `test` may be empty.
    record : dict
        How the dataset was split (layout, seed, fractions), for JSON.
    sources : tuple of (Texts, labels)
        The texts of the files that the splits were drawn from, with their labels.
    image_size : None
        Texts have no size in pixels.

    Examples
    --------
    >>> from spectral_select.integrations.data.labeled_dataset import SplitOptions
    >>> parts = {"train": (Texts(["a cat", "a dog"], ["0", "1"]), None)}
    >>> data = TextDataset.divide("pets", parts, [], SplitOptions(test_fraction=0.5), "one part")
    >>> len(data.train), len(data.test), data.unit
    (1, 1, 'texts')
    """

    unit = "texts"


def holds_texts(name: str | os.PathLike[str]) -> bool:
    """Return whether `name` is the path of a file of texts, or of a folder with such files.

    Parameters
    ----------
    name : path
        The name or path given by the user.

    Returns
    -------
    bool

    Examples
    --------
    >>> holds_texts("pets.jsonl"), holds_texts("digits")
    (True, False)
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return any(_split_of(file) == "train" for file in path.iterdir())
    return path.suffix.lower() in TEXT_SUFFIXES


def load_texts(
    name: str | os.PathLike[str],
    columns: TextColumns | None = None,
    options: SplitOptions | None = None,
) -> TextDataset:
    r"""Load texts from a file, or from a folder with a file for each split.

    Parameters
    ----------
    name : path
        A file that `read_texts` reads, or a folder with files called ``train`` and ``test``
        (``val`` is optional; a ``val`` without ``test`` becomes the test split). Other common
        names work too ("training", "valid", "dev", …).
    columns : TextColumns, optional
        The columns to read.
    options : SplitOptions, optional
        How missing splits are drawn.

    Returns
    -------
    TextDataset
        Its classes are in numerical order if all are numbers, otherwise sorted as strings.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If a file is missing, damaged or lacks a column, a text is empty, a label is missing, or
        a split has a class that the training split lacks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "pets.csv")
    ...     _ = path.write_text("text,label\na cat,4\na dog,12\na cow,4\n")
    ...     data = load_texts(path, options=SplitOptions(val_fraction=0, test_fraction=0.34))
    >>> data.classes, len(data.train), len(data.test), data.split("all").paths[0]
    (('4', '12'), 2, 1, 'pets.csv:2')
    """
    path = Path(name).expanduser()
    columns = TextColumns() if columns is None else columns
    files, layout = _files(path)
    read = {key: read_texts(file, columns) for key, file in files.items()}
    classes: list[str] = []
    parts = {}
    for key, rows in read.items():
        labels = None
        if read["train"].label_column is not None:
            if rows.labels is None or rows.label_column is None:
                raise ValueError(
                    f"{files[key]} has no column {read['train'].label_column!r}, but "
                    f"{files['train']} has one"
                )
            if key == "train":
                classes = sorted_classes(rows.labels, rows.places, rows.label_column)
            labels = label_codes(rows.labels, rows.places, rows.label_column, classes)
        parts[key] = Texts(rows.texts, rows.ids), labels
    options = SplitOptions() if options is None else options
    return TextDataset.divide(str(name), parts, classes, options, layout)


def _split_of(file: Path) -> str | None:
    """Return the split whose texts a file contains, or None."""
    if file.suffix.lower() not in TEXT_SUFFIXES or not file.is_file():
        return None
    return split_of(file.stem)


def _files(path: Path) -> tuple[dict[str, Path], str]:
    """Return the file of each split, "train" first, and a description of the layout."""
    if not path.is_dir():
        return {"train": path}, "one file"
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        key = _split_of(file)
        if key in files:
            raise ValueError(f"{path} has two files for the {key} split")
        if key is not None:
            files[key] = file
    if "train" not in files:
        raise FileNotFoundError(
            f"{path} has no file of training texts; expected train.jsonl, train.csv or "
            "train.parquet"
        )
    if "val" in files and "test" not in files:
        files["test"] = files.pop("val")
    named = ", ".join(f"{file.name} as {key}" for key, file in sorted(files.items()))
    return {key: files[key] for key in ("train", "val", "test") if key in files}, f"files {named}"
