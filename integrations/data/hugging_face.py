"""Hugging Face datasets of images or texts, read from a folder or from the cache."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spectral_select._features.dataset_samples import label_column
from spectral_select.integrations.data.class_names import label_codes, sorted_classes
from spectral_select.integrations.data.folders import split_of
from spectral_select.integrations.data.images import ImageDataset, UnreadableImageError
from spectral_select.integrations.data.labeled_dataset import SPLITS, LabeledDataset, SplitOptions
from spectral_select.integrations.data.rgb import as_rgb
from spectral_select.integrations.data.text_files import TextColumns, collect_texts
from spectral_select.integrations.data.texts import TextDataset, Texts

__all__ = ["PREFIX", "HubColumns", "HubImages", "load_hugging_face"]

#: Prefix for the names of these datasets on the command line.
PREFIX = "hf-dataset:"

_BATCH = 1024  # rows read at a time


@dataclass(frozen=True, kw_only=True)
class HubColumns:
    """The columns of a Hugging Face dataset.

    Parameters
    ----------
    image : str, optional
        Column with the images; by default, the only column of images.
    text : str, optional
        Column with the texts; by default, "text" if there are no images.
    label : str, optional
        Column with the labels; by default, "label" or "labels", if there is such a column.
    id : str, optional
        Column with an identifier for each sample. The default identifiers are SPLIT[INDEX].

    Examples
    --------
    >>> HubColumns(image="img").label is None
    True
    """

    image: str | None = None
    text: str | None = None
    label: str | None = None
    id: str | None = None


class HubImages:
    """The images in a column of a Hugging Face dataset, decoded when requested.

    Parameters
    ----------
    parts : sequence of (str, Dataset)
        The name of each split and its dataset.
    column : str
        The column with the images.
    id_column : str, optional
        Column with an identifier for each image.

    Examples
    --------
    >>> from datasets import Dataset
    >>> images = HubImages([("train", Dataset.from_dict({"n": [7, 8]}))], "n")
    >>> len(images), images.name(1)
    (2, 'train[1]')
    """

    def __init__(
        self, parts: Sequence[tuple[str, Any]], column: str, id_column: str | None = None
    ) -> None:
        self.parts = list(parts)
        self.column = column
        self.id_column = id_column
        self._starts = np.cumsum([0, *(len(dataset) for _, dataset in parts)])
        self._ids: list[str] | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    def name(self, i: int) -> str:
        """Return the name of image `i`, for messages."""
        part, index = self._locate(i)
        return f"{self.parts[part][0]}[{index}]"

    def id(self, i: int) -> str:
        """Return the identifier of image `i`."""
        if self.id_column is None:
            return self.name(i)
        if self._ids is None:
            self._ids = [str(x) for _, part in self.parts for x in part[self.id_column]]
        return self._ids[i]

    def load(self, i: int) -> Image.Image:
        """Return image `i` as 8-bit RGB."""
        part, index = self._locate(i)
        try:
            image = self.parts[part][1][index][self.column]
            if image is None:
                raise ValueError("it is missing")
            return as_rgb(image)
        except (OSError, SyntaxError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UnreadableImageError(f"cannot read the image {self.name(i)}: {reason}") from error

    def digest(self, indices: NDArray[np.int64]) -> bytes:
        """Return a SHA-256 digest of the names and sizes of the images at `indices`, in order."""
        sizes = np.concatenate([_sizes(part, self.column) for _, part in self.parts])
        digest = hashlib.sha256()
        for i in indices:
            digest.update(f"{self.id(int(i))}\0{sizes[i]}\0".encode("utf-8", "surrogateescape"))
        return digest.digest()

    def joined(self, others: "Sequence[HubImages]") -> "HubImages":
        """Return these images followed by those of `others`."""
        parts = [part for images in (self, *others) for part in images.parts]
        return HubImages(parts, self.column, self.id_column)

    def _locate(self, i: int) -> tuple[int, int]:
        part = int(np.searchsorted(self._starts, i, side="right")) - 1
        return part, int(i - self._starts[part])


def load_hugging_face(
    name: str | os.PathLike[str],
    columns: HubColumns | None = None,
    options: SplitOptions | None = None,
) -> LabeledDataset:
    """Load a Hugging Face dataset that is on this machine; nothing is downloaded.

    Parameters
    ----------
    name : str or path
        A folder written by ``save_to_disk``, or NAME or NAME:CONFIGURATION of a dataset in the
        cache.
    columns : HubColumns, optional
        The columns to use.
    options : SplitOptions, optional
        How missing splits are drawn.

    Returns
    -------
    ImageDataset or TextDataset

    Raises
    ------
    FileNotFoundError
        If the dataset does not exist.
    ValueError
        If a column or the training split is missing, or a text or label is missing or empty.

    Examples
    --------
    >>> import tempfile
    >>> from datasets import Dataset
    >>> rows = {"text": ["a cat", "a dog", "a cow"], "label": ["small", "small", "large"]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Dataset.from_dict(rows).save_to_disk(folder)
    ...     data = load_hugging_face(folder, options=SplitOptions(test_fraction=0.34))
    >>> data.classes, len(data.train), len(data.test), data.unit
    (('large', 'small'), 2, 1, 'texts')
    """
    columns = HubColumns() if columns is None else columns
    options = SplitOptions() if options is None else options
    name = os.fspath(name)
    parts, layout = _parts(_open(name), name)
    train = parts["train"][1]
    label = columns.label if columns.label is not None else label_column(train)
    chosen = {"image": columns.image, "text": columns.text, "label": label, "id": columns.id}
    for split_name, part in parts.values():
        for kind, column in chosen.items():
            if column is not None and column not in part.column_names:
                raise ValueError(
                    f"{name} has no {kind} column {column!r} in {split_name}; it has "
                    f"{', '.join(map(repr, part.column_names))}"
                )
    full_name = PREFIX + name
    image = _image_column(train, columns, name)
    sources: dict[str, tuple[Any, Any]] = {}
    classes: list[str] = []
    for key, (split_name, part) in parts.items():
        if image is not None:
            samples: Any = HubImages([(split_name, part)], image, columns.id)
            places = [samples.name(i) for i in range(len(part))]
        else:
            samples, places = _texts(part, split_name, columns)
        codes = None
        if label is not None:
            values = _label_values(part, label)
            classes = _classes(part, label, values, places) if key == "train" else classes
            codes = label_codes(values, places, label, classes)
        sources[key] = samples, codes
    dataset_class = TextDataset if image is None else ImageDataset
    return dataset_class.divide(full_name, sources, classes, options, layout)


def _open(name: str) -> Mapping[str, Any]:
    """Return the splits of a dataset by name; a single dataset is named after its folder."""
    import datasets

    path = Path(name).expanduser().resolve()
    if path.is_dir():
        try:
            found = datasets.load_from_disk(str(path))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{path} holds no Hugging Face dataset; expected a folder that save_to_disk wrote"
            ) from error
        return dict(found) if isinstance(found, datasets.DatasetDict) else {path.name: found}
    repository, _, configuration = name.partition(":")
    try:
        with _offline():
            return dict(datasets.load_dataset(repository, configuration or None))
    except (OSError, ValueError, RuntimeError) as error:  # load_dataset raises any of these
        raise FileNotFoundError(
            f"there is no folder {name}, and no dataset of this name can be read from the cache "
            f"({' '.join(str(error).split())}); download it once with datasets.load_dataset in "
            "Python"
        ) from error


@contextmanager
def _offline() -> Iterator[None]:
    from datasets import config
    from datasets.utils import logging

    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # hides the warning that the cache is used
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before
        logging.set_verbosity(verbosity)


def _parts(found: Mapping[str, Any], name: str) -> tuple[dict[str, tuple[str, Any]], str]:
    """Return the name and data of each split, "train" first, and a description of the layout."""
    if len(found) == 1:
        return {"train": next(iter(found.items()))}, "one Hugging Face dataset"
    parts: dict[str, tuple[str, Any]] = {}
    for split_name, dataset in found.items():
        part = split_of(split_name)
        if part is not None:
            parts.setdefault(part, (split_name, dataset))
    if "train" not in parts:
        raise ValueError(f"{name} has no split called train; it has {', '.join(found)}")
    if "val" in parts and "test" not in parts:
        parts["test"] = parts.pop("val")
    described = ", ".join(f"{split_name} as {key}" for key, (split_name, _) in parts.items())
    ordered = {key: parts[key] for key in SPLITS if key in parts}
    return ordered, f"Hugging Face splits {described}"


def _image_column(dataset: Any, columns: HubColumns, name: str) -> str | None:
    """Return the column with the images, or None for a dataset of texts."""
    from datasets import Image as ImageFeature

    images = [key for key, kind in dataset.features.items() if isinstance(kind, ImageFeature)]
    if columns.image is not None and columns.text is not None:
        raise ValueError("name an image column or a text column, not both")
    if columns.image is not None and columns.image not in images:
        raise ValueError(
            f"column {columns.image!r} of {name} holds {dataset.features[columns.image]}, not "
            "images"
        )
    if columns.image is not None or columns.text is not None:
        return columns.image
    if len(images) > 1:
        raise ValueError(f"{name} has several columns of images; name one: {', '.join(images)}")
    if not images and "text" not in dataset.column_names:
        raise ValueError(
            f"{name} has no column of images and no column 'text'; name the column of texts: "
            f"{', '.join(map(repr, dataset.column_names))}"
        )
    return images[0] if images else None


def _texts(dataset: Any, name: str, columns: HubColumns) -> tuple[Texts, list[str]]:
    wanted = TextColumns(text=columns.text or "text", id=columns.id)
    kept = [column for column in (wanted.text, wanted.id) if column is not None]
    rows = (
        (f"{name}[{i}]", f"{name}[{i}]", row) for i, row in enumerate(dataset.select_columns(kept))
    )
    found = collect_texts(rows, wanted, name)
    return Texts(found.texts, found.ids), found.places


def _label_values(dataset: Any, column: str) -> list[Any]:
    """Return the labels, as class names if known, with None for missing labels."""
    values = list(dataset[column])
    names = getattr(dataset.features[column], "names", None)
    if names is None:
        return values
    return [None if value is None or value < 0 else names[value] for value in values]


def _classes(dataset: Any, column: str, values: list[Any], places: list[str]) -> list[str]:
    names = getattr(dataset.features[column], "names", None)
    return list(names) if names is not None else sorted_classes(values, places, column)


def _sizes(dataset: Any, column: str) -> NDArray[np.int64]:
    """Return the sizes of encoded images in bytes; the bytes themselves are not read."""
    import pyarrow.compute as pc

    sizes = []
    for table in dataset.select_columns([column]).with_format("arrow").iter(_BATCH):
        images = table[column].combine_chunks()
        embedded = pc.binary_length(pc.struct_field(images, "bytes")).to_pylist()
        paths = pc.struct_field(images, "path").to_pylist()
        for size, path in zip(embedded, paths, strict=True):
            on_disk = size is None and path is not None and Path(path).is_file()
            sizes.append(Path(path).stat().st_size if on_disk else size or 0)
    return np.array(sizes, dtype=np.int64)
