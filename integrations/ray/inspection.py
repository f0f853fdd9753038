"""Wrong labels, outliers and near-duplicates of a Ray dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import ray

from spectral_select._inspection.block_inspection import (
    InspectionPlan,
    InspectionScorer,
    InspectOptions,
)
from spectral_select._inspection.duplicate_cells import group_pairs
from spectral_select._utils.validation import check_number, check_positive_int
from spectral_select.integrations.ray.blocks import Columns
from spectral_select.integrations.ray.partitions import (
    check_distinct_ids,
    join_by_key,
    n_partitions,
)
from spectral_select.integrations.ray.states import IndexState, SampleState, SumsState, state_of

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["check_columns", "inspect"]


def inspect(
    ds: Dataset,
    *,
    id_column: str,
    embedding_column: str,
    label_column: str | None = None,
    n_landmarks: int = 1024,
    duplicate_similarity: float | None = None,
    seed: int = 0,
) -> Dataset:
    """Find wrong labels, outliers and near-duplicates in a Ray dataset.

    Parameters
    ----------
    ds : ray.data.Dataset
        The dataset; it is read four times.
    id_column : str
        Column of distinct ids, integers or strings.
    embedding_column : str
        Column of embeddings, each a list of d numbers.
    label_column : str, optional
        Column of labels, integers or strings. Without labels, no wrong labels are found.
    n_landmarks : int, default=1024
        As in `inspect_dataset`.
    duplicate_similarity : float, optional
        As in `inspect_dataset`.
    seed : int, default=0
        Seed for the landmarks and for sampling.

    Returns
    -------
    ray.data.Dataset
        One row for each row of `ds`, in any order, with its id, its label and the columns of
        scores that ``spectral-select inspect --id`` writes. Scores are computed when they are
        read.

    Raises
    ------
    ValueError, TypeError
        If a column does not exist or has invalid values, or if an id is missing or repeated.

    See Also
    --------
    spectral_select.inspect_dataset : The same for arrays in memory.

    Notes
    -----
    Four states are shared by all workers: a sample of 20,000 rows, a plan of a few megabytes, sums
    of size `n_landmarks` × (`n_landmarks` + number of classes), and the ids of the
    near-duplicates. Embeddings are moved between machines only to bring together rows that may be
    near-duplicates; each embedding is sent at most twice.

    Examples
    --------
    >>> from spectral_select.integrations.ray import inspect
    >>> columns = {"id_column": "id", "embedding_column": "embedding"}
    >>> found = inspect(dataset, **columns)  # doctest: +SKIP
    """
    check_positive_int(n_landmarks, "n_landmarks")
    if duplicate_similarity is not None:
        check_number(duplicate_similarity, "duplicate_similarity", 0, 1)
    columns = check_columns(ds, id_column, embedding_column, label_column)
    ds = ds.select_columns(columns.names)
    options = InspectOptions(n_landmarks, duplicate_similarity, seed)
    try:
        return _inspect(ds, columns, options)
    except ray.exceptions.RayTaskError as error:
        raise _cause(error) from None


def check_columns(
    ds: Dataset, id_column: str, embedding_column: str, label_column: str | None = None
) -> Columns:
    """Return the names of the columns, which must exist."""
    names = ds.schema().names
    columns = Columns(id_column, embedding_column, label_column)
    for name in columns.names:
        if name not in names:
            known = ", ".join(map(repr, names))
            raise ValueError(f"the dataset has no column {name!r}; it has {known}")
    return columns


def _cause(error: BaseException) -> BaseException:
    """Return the error that our own function raised in a failed Ray task."""
    while isinstance(error, ray.exceptions.RayError) or type(error).__name__ == "UserCodeException":
        inner = getattr(error, "cause", None) or error.__cause__
        if inner is None:
            break
        error = inner
    return error


def _inspect(ds: Dataset, columns: Columns, options: InspectOptions) -> Dataset:
    names = [name for name in columns.names if name != columns.embedding]
    index = state_of(ds.select_columns(names), IndexState(columns))
    if index.n < 2:
        raise ValueError(f"the dataset must have at least 2 rows; got {index.n}")
    if index.classes is not None and len(index.classes) < 2:
        raise ValueError(f"column {columns.label!r} must hold at least two classes; got 1 class")
    columns = replace(columns, classes=index.classes)
    parts = n_partitions(index.n)
    check_distinct_ids(ds, columns, parts)
    sample = state_of(ds, SampleState(columns, options.sample_size, options.seed))
    classes = np.empty(0, np.int64) if index.classes is None else index.classes
    plan = InspectionPlan(sample, classes, options)
    shared = ray.put(plan)
    scorer = ray.put(plan.scorer(state_of(ds, SumsState(columns, shared))))
    nearest = _nearest(ds, columns, shared, plan.n_cells).materialize()
    groups = ray.put(group_pairs(_all_pairs(nearest)))

    def score(table: Any) -> Any:
        return _scores(table, columns, ray.get(scorer))

    scores = ds.map_batches(score, batch_format="pyarrow")
    schema = score(ds.take_batch(1, batch_format="pyarrow")).schema
    joined = join_by_key(scores, nearest.drop_columns(["links"]), schema, parts)

    def finish(table: Any) -> Any:
        key, distance, exact = (table[name].to_numpy() for name in ("key", "distance", "exact"))
        scores = table.drop_columns(["key", "distance", "exact"])
        for name, values in ray.get(groups).columns(key, distance, exact).items():
            scores = scores.append_column(name, pa.array(values))
        return scores

    scored: Dataset = joined.map_batches(finish, batch_format="pyarrow")
    return scored


def _nearest(ds: Dataset, columns: Columns, plan: Any, n_cells: int) -> Dataset:
    """Return each row's distance to its nearest neighbor in each cell that contains the row."""

    def to_cells(table: Any) -> Any:
        tables = []
        for _, block in columns.blocks(table):
            cells = ray.get(plan).cells_of(block.features)
            width = cells.shape[1]
            rows = np.repeat(block.features, width, axis=0)
            values = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
            keys = np.repeat(block.keys, width)
            tables.append(pa.table({"cell": cells.ravel(), "key": keys, "row": values}))
        return pa.concat_tables(tables)

    def pairs_of_cell(table: Any) -> Any:
        keys = table["key"].to_numpy()
        order = np.argsort(keys)
        X = Columns("key", "row").features(table)
        found = ray.get(plan).close_pairs(keys[order], X[order])
        # Each pair is stored in the row of its smaller key.
        pairs = found.pairs[np.argsort(found.pairs[:, 0], kind="stable")]
        bounds = np.searchsorted(pairs[:, 0], np.append(found.keys, np.iinfo(np.int64).max))
        links = pa.ListArray.from_arrays(bounds.astype(np.int32), pa.array(pairs[:, 1]))
        columns = {"key": found.keys, "distance": found.distance, "exact": found.exact}
        return pa.table({**columns, "links": links})

    cells: Dataset = ds.map_batches(to_cells, batch_format="pyarrow")
    of_cell = cells.groupby("cell", n_cells)
    found: Dataset = of_cell.map_groups(pairs_of_cell, batch_format="pyarrow")
    return found


def _all_pairs(nearest: Dataset) -> Any:
    def pairs(table: Any) -> Any:
        links = table["links"].combine_chunks()
        first = np.repeat(table["key"].to_numpy(), links.value_lengths().to_numpy())
        return pa.table({"first": first, "second": links.flatten()})

    found = [np.empty((0, 2), np.int64)]
    for batch in nearest.map_batches(pairs, batch_format="pyarrow").iter_batches(batch_size=None):
        found.append(np.column_stack([batch["first"], batch["second"]]))
    return np.concatenate(found)


def _scores(table: Any, columns: Columns, scorer: InspectionScorer) -> Any:
    tables = []
    for ids, block in columns.blocks(table):
        found: dict[str, Any] = {columns.id: ids, "key": block.keys}
        if block.labels is not None:
            found[str(columns.label)] = scorer.classes[block.labels]
        tables.append(pa.table({**found, **scorer.score(block)}))
    return pa.concat_tables(tables)
