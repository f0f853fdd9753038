from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectral_select import (
    ClassBalancedSampler,
    GuidedBatchSelector,
    GuidedResampler,
    GuidedSampler,
    find_wrong_labels,
    save_embeddings,
)
from spectral_select._utils.labels import check_labels

INTEGERS = [3, 1, 3, 0]
STRINGS = ["cat", "dog", "cat", ""]

WHOLE = {
    "list": INTEGERS,
    "tuple": tuple(INTEGERS),
    **{f"array-{d}": np.array(INTEGERS, d) for d in ("i1", "u8", "f4", "f8", "O", ">i4")},
    "masked": np.ma.array(INTEGERS, mask=False),
    "tensor": torch.tensor(INTEGERS, dtype=torch.int16),
    **{
        f"series-{d}": pd.Series(INTEGERS, dtype=d)
        for d in ("int8", "Int64", "UInt8", "int64[pyarrow]", "category", "object", "Float64")
    },
    "index": pd.Index(INTEGERS),
    "polars": pl.Series(INTEGERS),
    "arrow": pa.array(INTEGERS),
    "chunked": pa.chunked_array([INTEGERS[:1], INTEGERS[1:]]),
    "dictionary": pa.array(INTEGERS).dictionary_encode(),
    "numpy-scalars": [np.int32(3), 1, np.uint8(3), 0],
}
TEXTS = {
    "list": STRINGS,
    "array": np.array(STRINGS),
    "objects": np.array(STRINGS, dtype=object),
    "string-dtype": np.array(STRINGS, dtype=np.dtypes.StringDType()),
    **{
        f"series-{d}": pd.Series(STRINGS, dtype=d)
        for d in ("object", "string", "category", "string[pyarrow]")
    },
    "polars": pl.Series(STRINGS),
    "polars-categorical": pl.Series(STRINGS, dtype=pl.Categorical),
    "polars-enum": pl.Series(STRINGS, dtype=pl.Enum(sorted(set(STRINGS)))),
    "arrow": pa.array(STRINGS),
    "dictionary": pa.chunked_array([pa.array(STRINGS).dictionary_encode()]),
}
MISSING = {
    "none": [3, None, 3, 0],
    "nan": [3, float("nan"), 3, 0],
    "string-nan": ["cat", float("nan"), "cat", ""],
    "string-none": ["cat", None, "cat", ""],
    "na": [3, pd.NA, 3, 0],
    "array": np.array([3, np.nan, 3, 0]),
    "objects": np.array([3, np.nan, 3, None], dtype=object),
    "masked": np.ma.array(INTEGERS, mask=[False, True, False, False]),
    **{
        f"series-{d}": pd.Series([3, None, 3, 0], dtype=d)
        for d in ("Int64", "float64", "object", "int64[pyarrow]", "category")
    },
    **{
        f"series-{d}": pd.Series(["cat", None, "cat", ""], dtype=d)
        for d in ("string", "category", "string[pyarrow]")
    },
    "polars": pl.Series([3, None, 3, 0]),
    "polars-string": pl.Series(["cat", None, "cat", ""]),
    "arrow": pa.array([3, None, 3, 0]),
    "chunked": pa.chunked_array([[3], [None, 3, 0]]),
    "dictionary": pa.array(["cat", None, "cat", ""]).dictionary_encode(),
    "tensor": torch.tensor([3, float("nan"), 3, 0]),
}


@pytest.mark.parametrize("container", WHOLE)
def test_accepts_integers(container):
    assert check_labels(WHOLE[container], 4).tolist() == INTEGERS


@pytest.mark.parametrize("container", TEXTS)
def test_accepts_strings(container):
    assert check_labels(TEXTS[container], 4).tolist() == STRINGS


@pytest.mark.parametrize("container", MISSING)
def test_rejects_missing_labels_with_their_position(container):
    with pytest.raises(ValueError, match=r"^labels must not hold missing values; .*position 1\b"):
        check_labels(MISSING[container], 4, "labels")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2.5, 0], "integers or strings; got 2.5 at position 2"),
        ([0, "cat", 1, 0], "all of one kind; got int and str"),
        ([(0, 1), (1, 0), (0, 1), (1, 1)], "1d array|shape"),
        (np.array([0, 1j, 0, 1]), "got dtype complex"),
        (np.array(["2020-01-01"] * 4, "M8[D]"), "got dtype datetime64"),
        ([0, Decimal(1), 0, 1], "got a Decimal at position 1"),
        ([0, 1, float("inf"), 0], "got inf at position 2"),
        ([0, 1, 2], r"shape \(4,\), one label per sample"),
    ],
)
def test_rejects_what_is_not_a_label(labels, message):
    with pytest.raises((ValueError, TypeError), match=message):
        check_labels(labels, 4)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.booleans(), min_size=1))
def test_keeps_every_integer(values):
    assert check_labels(np.array(values, dtype=object), len(values)).tolist() == values


N = 60
X = np.random.default_rng(0).random((N, 5))
ENTRIES = {
    "find_wrong_labels": (lambda y: find_wrong_labels(X, y), "y"),
    "selector": (lambda y: GuidedBatchSelector().fit(X, y), "y"),
    "resampler": (lambda y: GuidedResampler().fit_resample(X, y), "y"),
    "guided sampler": (lambda y: list(GuidedSampler(y, features=X)), "labels"),
    "balanced sampler": (lambda y: ClassBalancedSampler(y), "labels"),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("missing", [None, pd.NA, float("nan")])
def test_every_entry_rejects_missing_labels(entry, missing):
    labels = [*range(4)] * (N // 4)
    labels[17] = missing
    call, name = ENTRIES[entry]
    for container in (labels, np.array(labels, dtype=object), pd.Series(labels, dtype=object)):
        with pytest.raises(ValueError, match=f"^{name} must not hold missing values; .* 17$"):
            call(container)


def test_store_rejects_missing_labels(tmp_path):
    with pytest.raises(ValueError, match="labels must not hold missing values; got None at"):
        save_embeddings(tmp_path / "s", X, [None] + [0] * (N - 1))
