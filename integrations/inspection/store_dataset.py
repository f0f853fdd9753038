"""Find the images or texts of the samples in a store by the names that the store records."""

from typing import Any

from spectral_select._features.store import EmbeddingStore
from spectral_select.integrations.data.hugging_face import PREFIX, HubColumns, load_hugging_face
from spectral_select.integrations.data.labeled_dataset import LabeledDataset
from spectral_select.integrations.data.text_files import TextColumns
from spectral_select.integrations.data.texts import TextDataset, load_texts

__all__ = ["hub_images_of_store", "texts_of_store"]


def texts_of_store(store: EmbeddingStore, dataset: str) -> list[str]:
    """Return the texts that the embeddings of a store were computed from.

    Parameters
    ----------
    store : EmbeddingStore
        A store written by the command ``extract``.
    dataset : str
        The file, folder or ``hf-dataset:`` name that was extracted.

    Returns
    -------
    list of str
        One text for each row.

    Raises
    ------
    ValueError, FileNotFoundError
        If `dataset` has no texts, or lacks one of the store's samples.
    """
    columns = _columns(store)
    data: LabeledDataset
    if dataset.startswith(PREFIX):
        data = load_hugging_face(dataset.removeprefix(PREFIX), HubColumns(**columns))
    else:
        data = load_texts(dataset, TextColumns(**columns))
    if not isinstance(data, TextDataset):
        raise ValueError(f"{dataset} holds {data.unit}, not texts")
    samples, indices = _samples(store, data)
    return [samples.load(i) for i in indices]


def hub_images_of_store(store: EmbeddingStore, dataset: str) -> tuple[Any, list[int]]:
    """Return the images of a Hugging Face dataset, and the index of each row's image.

    Parameters
    ----------
    store : EmbeddingStore
        A store written by the command ``extract``.
    dataset : str
        The ``hf-dataset:`` name that was extracted.

    Raises
    ------
    ValueError, FileNotFoundError
        If `dataset` has no images, or lacks one of the store's samples.
    """
    data = load_hugging_face(dataset.removeprefix(PREFIX), HubColumns(**_columns(store)))
    if isinstance(data, TextDataset):
        raise ValueError(f"{dataset} holds texts, not images")
    return _samples(store, data)


def _columns(store: EmbeddingStore) -> dict[str, str]:
    """Return the columns that the store was extracted from."""
    known = store.meta.get("columns")
    known = known if isinstance(known, dict) else {}
    kinds = ("image", "text", "label", "id")
    return {kind: known[kind] for kind in kinds if isinstance(known.get(kind), str)}


def _samples(store: EmbeddingStore, data: LabeledDataset) -> tuple[Any, list[int]]:
    whole = data.split("all")
    if store.paths is None:
        raise ValueError(f"{store.path} does not name its samples; extract it again")
    places = {name: i for i, name in enumerate(whole.paths)}
    for name in store.paths:
        if name not in places:
            raise ValueError(f"{data.name} has no sample {name!r}, which is in {store.path}")
    return whole.samples, [places[name] for name in store.paths]
