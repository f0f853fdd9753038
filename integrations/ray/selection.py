"""Selection of rows of a Ray dataset by the Fiedler vector of each candidate batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from ray.data import ActorPoolStrategy
from sklearn.base import clone

from spectral_select import FiedlerBatchSelector
from spectral_select.integrations.ray.blocks import Columns
from spectral_select.integrations.ray.inspection import check_columns

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["select"]


def select(
    ds: Dataset,
    *,
    id_column: str,
    embedding_column: str,
    selector: FiedlerBatchSelector,
    num_gpus: float = 0,
    concurrency: int = 1,
) -> Dataset:
    """Select rows of a Ray dataset by the Fiedler vector of each candidate batch.

    Candidate batches are consecutive rows of a block of the dataset. If each file is one block,
    ``spectral-select select --id`` selects the same rows.

    Parameters
    ----------
    ds : ray.data.Dataset
        The dataset; it is read once, when the result is read.
    id_column : str
        Column of ids.
    embedding_column : str
        Column of lists of numbers.
    selector : FiedlerBatchSelector
        The selector, with a `candidate_size`.
    num_gpus : float, default=0
        Number of GPUs for each of the actors, which compute Fiedler vectors with torch. With 0,
        tasks compute them on CPUs.
    concurrency : int, default=1
        Number of actors; not used if `num_gpus` is 0.

    Returns
    -------
    ray.data.Dataset
        One row for each selected row, in any order, with its id and ``score``.

    Raises
    ------
    ValueError
        If a column does not exist, or if `selector` has no `candidate_size`.

    See Also
    --------
    spectral_select.FiedlerBatchSelector : The same for arrays in memory.

    Examples
    --------
    >>> from spectral_select.integrations.ray import select
    >>> columns = {"id_column": "id", "embedding_column": "embedding"}
    >>> found = select(dataset, **columns, selector=selector)  # doctest: +SKIP
    """
    if selector.candidate_size is None:
        raise ValueError("selector must have a candidate_size; got None")
    columns = check_columns(ds, id_column, embedding_column)
    rows = ds.select_columns(columns.names)
    if not num_gpus:

        def selected(table: Any) -> Any:
            return _selected(table, columns, selector, "cpu")

        return rows.map_batches(selected, batch_format="pyarrow")
    return rows.map_batches(
        _OnGpu,
        fn_constructor_args=(columns, selector),
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=concurrency),
        num_gpus=num_gpus,
    )


class _OnGpu:
    """An actor that selects rows of each block on a GPU."""

    def __init__(self, columns: Columns, selector: FiedlerBatchSelector) -> None:
        self._columns, self._selector = columns, selector

    def __call__(self, table: Any) -> Any:
        return _selected(table, self._columns, self._selector, "cuda")


def _selected(table: Any, columns: Columns, selector: FiedlerBatchSelector, device: str) -> Any:
    X: Any = columns.features(table)
    if device != "cpu":
        import torch

        X = torch.as_tensor(X, device=device)
    selector = clone(selector).fit(X)
    kept = np.sort(selector.sample_indices_)
    ids = table[columns.id].take(pa.array(kept))
    return pa.table({columns.id: ids, "score": selector.scores_[kept]})
