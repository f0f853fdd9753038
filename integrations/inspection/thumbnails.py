"""Thumbnails of samples, each embedded in a page once, as a CSS class."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Protocol

from PIL import Image

from spectral_select._features.store import EmbeddingStore

__all__ = ["Images", "Thumbnails", "images_of_store"]

_SIDE = 112  # pixels
_QUALITY = 72


class Images(Protocol):
    """Images that are loaded by sample index."""

    def load(self, i: int) -> Image.Image:
        """Return image `i` as RGB."""


class Thumbnails:
    """Thumbnails of the samples that a page shows.

    Parameters
    ----------
    images : Images or None
        Source of the thumbnails; with None, there are no thumbnails.
    prefix : str
        Prefix for the names of CSS classes.
    """

    def __init__(self, images: Images | None, prefix: str = "t") -> None:
        self._images, self._prefix = images, prefix
        self._pictures: dict[int, str] = {}
        self.n_unreadable = 0

    def name(self, sample: int) -> str:
        """Return the CSS class of a sample's thumbnail; empty if there is none."""
        if self._images is None:
            return ""
        if sample not in self._pictures:
            try:
                self._pictures[sample] = _data_uri(self._images.load(sample))
            except ValueError:  # the image is missing or damaged
                self._pictures[sample] = ""
                self.n_unreadable += 1
        return f"{self._prefix}{sample}" if self._pictures[sample] else ""

    def rules(self) -> str:
        """Return the CSS rules of all thumbnails that `name` was called for."""
        return "\n".join(
            f".{self._prefix}{sample}{{background-image:url({uri})}}"
            for sample, uri in self._pictures.items()
            if uri
        )


def _data_uri(image: Image.Image) -> str:
    image = image.copy()
    image.thumbnail((_SIDE, _SIDE))
    if max(image.size) < _SIDE / 2:  # enlarge small images without blurring them
        factor = _SIDE // max(image.size)
        image = image.resize(
            (factor * image.width, factor * image.height), Image.Resampling.NEAREST
        )
    data = BytesIO()
    image.save(data, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + b64encode(data.getvalue()).decode()


def images_of_store(store: EmbeddingStore, dataset: str) -> Images:
    """Return the images that the embeddings of a store were computed from.

    Parameters
    ----------
    store : EmbeddingStore
        A store written by the command ``extract``.
    dataset : str
        The folder that the store's paths are relative to, or the name of a dataset, which may
        start with ``hf-dataset:``.

    Raises
    ------
    ValueError, FileNotFoundError
        If the store and the dataset do not match.
    """
    from spectral_select.integrations.data.datasets import SPLITS, load_dataset
    from spectral_select.integrations.data.hugging_face import PREFIX
    from spectral_select.integrations.data.images import ImageFiles
    from spectral_select.integrations.inspection.store_dataset import hub_images_of_store

    if dataset.startswith(PREFIX):
        return _OfSplit(*hub_images_of_store(store, dataset))
    if store.paths is not None and Path(dataset).is_dir():
        strange = next((path for path in store.paths if not _lies_below(path)), None)
        if strange is not None:
            raise ValueError(f"{store.path} has a path outside the dataset: {strange!r}")
        images = ImageFiles(Path(dataset), store.paths)
        if not Path(images.name(0)).is_file():
            raise FileNotFoundError(
                f"there is no file {images.name(0)}; expected the folder that the paths in "
                f"{store.path} are relative to"
            )
        return images
    part = store.meta.get("split")
    split = load_dataset(dataset, download=False).split(part if part in SPLITS else "all")
    store.check_matches(split)
    return _OfSplit(split.samples, split.indices.tolist())


def _lies_below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts


class _OfSplit:
    def __init__(self, images: Images, indices: list[int]) -> None:
        self._images, self._indices = images, indices

    def load(self, i: int) -> Image.Image:
        return self._images.load(self._indices[i])
