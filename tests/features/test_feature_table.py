import pickle

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sampler_helpers import TopSum, table
from scipy import sparse

from spectral_select import SpectralBatchSampler, save_embeddings
from spectral_select._features.feature_table import as_rows

X = table(60, 4)
INDICES = np.array([59, 0, 7, 7, 31])


def lists(kind):
    return pa.array(X.tolist(), kind)


def on_disk(tmp_path, order="C"):
    np.save(tmp_path / "x.npy", np.asarray(X, order=order))
    return tmp_path / "x.npy"


def twice_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", np.repeat(X, 2, axis=0))
    return tmp_path / "x.npy"


def changed_in_memory(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros_like(X))
    copy = np.load(tmp_path / "x.npy", mmap_mode="c")
    copy[:] = X
    return copy


def npz(tmp_path):
    np.savez(tmp_path / "x.npz", X=X, y=np.arange(60))
    return tmp_path / "x.npz"


def parquet(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=17)
    return tmp_path / "x.parquet"


KINDS = {
    "array": lambda tmp: X,
    "read-only array": lambda tmp: np.frombuffer(X.tobytes(), np.float32).reshape(X.shape),
    "float64": lambda tmp: X.astype(np.float64),
    "list": lambda tmp: X.tolist(),
    "memory map": lambda tmp: np.load(on_disk(tmp), mmap_mode="r"),
    "memory map, Fortran order": lambda tmp: np.load(on_disk(tmp, "F"), mmap_mode="r"),
    "view of a memory map": lambda tmp: np.load(on_disk(tmp), mmap_mode="r")[:],
    "memory map as a plain array": lambda tmp: np.asarray(np.load(on_disk(tmp), mmap_mode="r")),
    "part of a memory map": lambda tmp: np.load(twice_on_disk(tmp), mmap_mode="r")[::2],
    "changed copy of a memory map": changed_in_memory,
    "npz file": lambda tmp: npz(tmp),
    "npy file, upper case": lambda tmp: on_disk(tmp).rename(tmp / "X.NPY"),
    "store folder": lambda tmp: save_embeddings(tmp / "store", X).path,
    "npy file": on_disk,
    "npy file, name": lambda tmp: str(on_disk(tmp)),
    "tensor": lambda tmp: torch.from_numpy(X.copy()),
    "tensor with gradient": lambda tmp: torch.tensor(X, requires_grad=True),
    "sparse": lambda tmp: sparse.csr_array(X),
    "sparse, by column": lambda tmp: sparse.csc_matrix(X),
    "pandas": lambda tmp: pd.DataFrame(X),
    "polars": lambda tmp: pl.DataFrame(X),
    "store": lambda tmp: save_embeddings(tmp / "store", X),
    "dataset column": lambda tmp: datasets.Dataset.from_dict({"e": X, "y": range(60)})["e"],
    "dataset": lambda tmp: datasets.Dataset.from_dict({"e": X}),
    "dataset of arrays": lambda tmp: datasets.Dataset.from_dict(
        {"e": X}, features=datasets.Features({"e": datasets.List(datasets.Value("float32"), 4)})
    )["e"],
    "shuffled dataset": lambda tmp: (
        datasets.Dataset.from_dict({"e": X[::-1]})
        .select(range(59, -1, -1))
        .with_format("torch")["e"]
    ),
    "arrow lists": lambda tmp: lists(pa.list_(pa.float32())),
    "arrow large lists": lambda tmp: lists(pa.large_list(pa.float32())),
    "arrow fixed lists": lambda tmp: lists(pa.list_(pa.float32(), 4)),
    "arrow slice": lambda tmp: pa.array([[0.0] * 4, *X.tolist()], pa.list_(pa.float32(), 4))[1:],
    "arrow chunks": lambda tmp: pa.chunked_array([lists(None)[:20], lists(None)[20:]]),
    "arrow table of numbers": lambda tmp: pa.table(list(X.T), names=list("abcd")),
    "parquet lists": lambda tmp: parquet(tmp, {"y": range(60), "e": lists(None)}),
    "parquet numbers": lambda tmp: parquet(tmp, {str(j): X[:, j] for j in range(4)}),
}


def host(rows):
    rows = rows.toarray() if sparse.issparse(rows) else rows
    return np.asarray(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_returns_the_requested_rows_of_any_kind(kind, tmp_path):
    rows = as_rows(KINDS[kind](tmp_path))
    assert (rows.n_rows, rows.n_columns) == (60, 4)
    np.testing.assert_allclose(host(rows.take(INDICES)), X[INDICES], rtol=1e-6)
    assert rows.fingerprint() == as_rows(X).fingerprint()


@pytest.mark.parametrize("kind", KINDS)
def test_batches_do_not_depend_on_the_storage_of_features(kind, tmp_path):
    expected = SpectralBatchSampler(None, 4, features=X.copy(), seed=1)
    sampler = SpectralBatchSampler(None, 4, features=KINDS[kind](tmp_path), seed=1)
    assert list(sampler) == list(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_can_be_sent_to_other_processes(kind, tmp_path):
    rows = as_rows(KINDS[kind](tmp_path))
    again = pickle.loads(pickle.dumps(rows))
    np.testing.assert_array_equal(host(again.take(INDICES)), host(rows.take(INDICES)))


def test_memory_map_is_pickled_as_its_path(tmp_path):
    big = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (50_000, 4))
    big.flush()
    for features in (tmp_path / "x.npy", big, big[:], np.asarray(big)):
        assert len(pickle.dumps(as_rows(features))) < 2000


@pytest.mark.parametrize("look", [lambda x: x, np.asarray, lambda x: x[:50]])
def test_files_are_not_read_at_once(look, tmp_path):
    broken = np.full_like(X, np.nan)
    np.save(tmp_path / "x.npy", broken)
    as_rows(look(np.load(tmp_path / "x.npy", mmap_mode="r")))


def test_damaged_file_is_named(tmp_path):
    (tmp_path / "x.npy").write_bytes(on_disk(tmp_path).read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"x\.npy cannot be read"):
        as_rows(tmp_path / "x.npy")


def test_tensors_stay_tensors():
    rows = as_rows(torch.from_numpy(X.copy())).take(INDICES)
    assert isinstance(rows, torch.Tensor)
    assert not as_rows(torch.tensor(X, requires_grad=True)).take(INDICES).requires_grad


def test_fingerprint_distinguishes_contents_and_shapes():
    changed = X.copy()
    changed[0, 0] += 1
    prints = [as_rows(a).fingerprint() for a in (X, changed, X[:-1], X[:, :-1])]
    assert len(set(prints)) == 4


def test_fingerprint_of_numbers_beyond_single_precision():
    assert as_rows(np.full((3, 2), 1e300)).fingerprint().startswith("3x2-")


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (5, TypeError, "features must be an array, a tensor.*got int"),
        (None, TypeError, "features must be an array, a tensor.*got NoneType"),
        (X[0], ValueError, r"shape \(n_samples, n_features\); got shape \(4,\)"),
        (torch.ones(2, 3, 4), ValueError, r"got shape \(2, 3, 4\)"),
        (X[:0], ValueError, r"at least one row and one column; got shape \(0, 4\)"),
        (X[:, :0], ValueError, "at least one row and one column"),
        (np.array([["a", "b"]]), TypeError, "features must hold real numbers; got dtype <U1"),
        (X.astype(object), TypeError, "features must hold real numbers; got dtype object"),
        (X.astype(complex), TypeError, "features must hold real numbers"),
        (torch.ones(2, 3, dtype=torch.bool), TypeError, "features must hold real.*torch.bool"),
        (torch.ones(2, 3, dtype=torch.cfloat), TypeError, "features must hold .*complex64"),
        ("features.csv", FileNotFoundError, r"no file features.csv; expected a \.npy, \.npz"),
        (pa.chunked_array([], pa.list_(pa.float32())), ValueError, "at least one row"),
        (
            pa.array([[1.0], [1.0, 2.0]]),
            ValueError,
            "lengths: 1 in row 0, 2 in row 1",
        ),
        (pa.array([[1.0], None]), ValueError, "has no value in row 1"),
        (pa.array([[1.0], [None]]), ValueError, "lacks a value in row 1"),
        (pa.array([1.0, 2.0]), ValueError, "must hold lists of numbers; got type double"),
        (
            pa.table({"a": [1.0], "b": ["x"]}),
            ValueError,
            "column 'b' of .* holds string",
        ),
        (
            pa.table({"a": [[1.0]], "b": [[1.0]]}),
            ValueError,
            "several columns of lists",
        ),
        (datasets.Dataset.from_dict({"a": [1], "b": [2]}), TypeError, "columns .*'a', 'b'"),
        (datasets.Dataset.from_dict({"a": ["x", "y"]}), ValueError, "equally long lists"),
        (datasets.Dataset.from_dict({"a": []}), ValueError, "at least one row"),
    ],
)
def test_rejects_invalid_tables(features, error, message):
    with pytest.raises(error, match=message):
        as_rows(features)


def test_pickled_array_is_not_loaded(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(object), allow_pickle=True)
    with pytest.raises(ValueError, match="pickled objects"):
        as_rows(tmp_path / "x.npy")
    with pytest.raises(FileNotFoundError):
        as_rows(tmp_path / "none.npy")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["array", "tensor", "sparse"])
def test_first_nonfinite_row_is_named_immediately(bad, kind):
    broken = X.copy()
    broken[[41, 17, 50], [0, 3, 1]] = bad
    broken = {"array": np.asarray, "tensor": torch.from_numpy, "sparse": sparse.csr_array}[kind](
        broken
    )
    with pytest.raises(ValueError, match="features must be finite; row 17 holds NaN or inf"):
        as_rows(broken)


def test_files_are_checked_when_read(tmp_path):
    broken = X.copy()
    broken[33, 2] = np.nan
    np.save(tmp_path / "x.npy", broken)
    sampler = SpectralBatchSampler(range(60), 6, features=tmp_path / "x.npy")
    with pytest.raises(ValueError, match="features must be finite; row 33 holds NaN"):
        list(sampler)


def test_accepts_finite_features_whose_sum_overflows():
    as_rows(np.full((10, 10), 3e38, np.float32))


def test_store_is_checked_against_the_dataset(tmp_path):
    class Other:
        fingerprint = "another"

        def __len__(self):
            return 60

    store = save_embeddings(tmp_path / "store", X, fingerprint="mine")
    with pytest.raises(ValueError, match="fingerprint"):
        SpectralBatchSampler(None, 4, features=store, dataset=Other(), selector=TopSum())
    with pytest.raises(ValueError, match="fingerprint"):
        SpectralBatchSampler(None, 4, features=store.path, dataset=Other(), selector=TopSum())
