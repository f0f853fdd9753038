"""States that Ray's aggregations accumulate over the blocks of a dataset."""

import pickle
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import ray
from numpy.typing import NDArray
from ray.data.aggregate import AggregateFnV2
from ray.data.block import BlockAccessor

from spectral_select._inspection.block_inspection import (
    InspectionPlan,
    InspectionSums,
    combine_sums,
)
from spectral_select._inspection.row_sample import RowSample, accumulate_sample, combine_samples
from spectral_select.integrations.ray.blocks import Columns

__all__ = ["IndexState", "SampleState", "SumsState", "state_of"]

State = TypeVar("State")


class _State(AggregateFnV2[bytes, bytes], ABC, Generic[State]):
    """An aggregation whose accumulator is a pickled state; empty bytes mean no state."""

    def __init__(self, columns: Columns) -> None:
        super().__init__("state", lambda: b"", on=None, ignore_nulls=False)
        self._columns = columns

    @abstractmethod
    def accumulate(self, table: Any) -> State:
        """Return the state of a table with at least one row."""

    @abstractmethod
    def add(self, a: State, b: State) -> State:
        """Return the state of the combined rows."""

    def aggregate_block(self, block: Any) -> bytes:
        table = BlockAccessor.for_block(block).to_arrow()
        return pickle.dumps(self.accumulate(table)) if table.num_rows else b""

    def combine(self, current: bytes, new: bytes) -> bytes:
        if not (current and new):
            return current or new
        # Unpickling is safe, because `aggregate_block` made these bytes in this cluster.
        states: Any = [pickle.loads(part) for part in (current, new)]  # noqa: S301
        return pickle.dumps(self.add(*states))


@dataclass
class Index:
    """Number of rows, and the sorted classes, which are None without labels."""

    n: int
    classes: NDArray[Any] | None


class IndexState(_State[Index]):
    """Computes the index of a dataset, and checks its ids and labels."""

    def accumulate(self, table: Any) -> Index:  # noqa: D102 - see _State
        columns = self._columns
        columns.keys(table)
        return Index(table.num_rows, np.unique(columns.labels(table)) if columns.label else None)

    def add(self, a: Index, b: Index) -> Index:  # noqa: D102
        if a.classes is None or b.classes is None:
            return Index(a.n + b.n, None)
        if (a.classes.dtype.kind == "U") != (b.classes.dtype.kind == "U"):
            raise TypeError(f"column {self._columns.label!r} holds strings in only some rows")
        return Index(a.n + b.n, np.union1d(a.classes, b.classes))


class SampleState(_State[RowSample]):
    """Draws a sample of a dataset's rows."""

    def __init__(self, columns: Columns, size: int, seed: int) -> None:
        super().__init__(columns)
        self._size, self._seed = size, seed

    def accumulate(self, table: Any) -> RowSample:  # noqa: D102
        states = (
            accumulate_sample(block, self._size, self._seed)
            for _, block in self._columns.blocks(table)
        )
        return combine_samples(states, self._size)

    def add(self, a: RowSample, b: RowSample) -> RowSample:  # noqa: D102
        widths = [state.features.shape[1] for state in (a, b)]
        if widths[0] != widths[1]:
            raise ValueError(
                f"column {self._columns.embedding!r} has embeddings of {widths[0]} and of "
                f"{widths[1]} numbers"
            )
        return combine_samples([a, b], self._size)


class SumsState(_State[InspectionSums]):
    """Computes the sums of an inspection; `plan` is Ray's reference to the plan."""

    def __init__(self, columns: Columns, plan: Any) -> None:
        super().__init__(columns)
        self._plan = plan

    def accumulate(self, table: Any) -> InspectionSums:  # noqa: D102
        plan: InspectionPlan = ray.get(self._plan)
        return combine_sums(plan.accumulate(block) for _, block in self._columns.blocks(table))

    def add(self, a: InspectionSums, b: InspectionSums) -> InspectionSums:  # noqa: D102
        return combine_sums([a, b])


def state_of(dataset: Any, state: _State[State]) -> State:
    """Return the state of all rows of a dataset."""
    found = dataset.aggregate(state)
    if found is None or not found["state"]:
        raise ValueError("the dataset has no rows")
    result: State = pickle.loads(found["state"])  # noqa: S301 - made above
    return result
