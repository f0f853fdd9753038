"""Group the rows of a Ray dataset by key, in partitions small enough for memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.ray.blocks import Columns

__all__ = ["check_distinct_ids", "join_by_key", "n_partitions"]

_PARTITION_ROWS = 2**18


def n_partitions(n_rows: int) -> int:
    """Return the number of partitions of a dataset."""
    return max(1, -(-n_rows // _PARTITION_ROWS))


def partition_of(keys: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the partition of each key."""
    return np.asarray(keys.view(np.uint64) % np.uint64(count), np.int64)


def check_distinct_ids(dataset: Any, columns: Columns, count: int) -> None:
    """Raise an error if an id occurs twice.

    Parameters
    ----------
    dataset : ray.data.Dataset
        The dataset.
    columns : Columns
        Its columns.
    count : int
        Number of partitions.
    """
    import pyarrow as pa

    def keyed(table: Any) -> Any:
        keys = columns.keys(table)
        parts = {"part": partition_of(keys, count), "key": keys}
        return pa.table({**parts, "id": table[columns.id]})

    def repeated(table: Any) -> Any:
        keys = table["key"].to_numpy()
        order = np.argsort(keys, kind="stable")
        again = order[1:][keys[order][1:] == keys[order][:-1]]
        return table.select(["id"]).take(pa.array(again[:1]))

    ids = dataset.select_columns([columns.id]).map_batches(keyed, batch_format="pyarrow")
    found = ids.groupby("part", count).map_groups(repeated, batch_format="pyarrow").take(1)
    if found:
        raise ValueError(
            f"column {columns.id!r} must hold distinct ids; {found[0]['id']!r} occurs twice"
        )


def join_by_key(scores: Any, others: Any, schema: Any, count: int) -> Any:
    """Join the rows of two datasets by ``key``.

    Parameters
    ----------
    scores : ray.data.Dataset
        One row for each key.
    others : ray.data.Dataset
        At least one row for each key, with the columns ``distance`` and ``exact``.
    schema : pyarrow.Schema
        The schema of `scores`.
    count : int
        Number of partitions.

    Returns
    -------
    ray.data.Dataset
        The rows of `scores`, with the smallest ``distance`` of each key, and whether any row of
        the key is ``exact``.
    """
    import pyarrow as pa

    # Give both datasets the same columns, so that their rows can be shuffled together.
    for name, kind in (("distance", pa.float32()), ("exact", pa.bool_())):
        schema = schema.append(pa.field(name, kind))

    def with_partition(table: Any) -> Any:
        part = partition_of(table["key"].to_numpy(), count)
        columns = {
            field.name: table[field.name]
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in schema
        }
        return pa.table({"part": part, **columns})

    def merged(table: Any) -> Any:
        is_other = table["distance"].is_valid()
        left = table.filter(is_other.to_numpy() == 0).drop_columns(["distance", "exact", "part"])
        right = table.filter(is_other)
        keys, place = np.unique(right["key"].to_numpy(), return_inverse=True)
        distance = np.full(len(keys), np.inf, np.float32)
        np.minimum.at(distance, place, right["distance"].to_numpy())
        exact = np.zeros(len(keys), bool)
        exact[place[right["exact"].to_numpy()]] = True
        own = np.searchsorted(keys, left["key"].to_numpy())
        left = left.append_column("distance", pa.array(distance[own]))
        return left.append_column("exact", pa.array(exact[own]))

    both = scores.union(others).map_batches(with_partition, batch_format="pyarrow")
    return both.groupby("part", count).map_groups(merged, batch_format="pyarrow")
