"""Parquet files with ids, embeddings and labels, and the commands that read them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

from spectral_select._cli.main import main


def noisy_digits(n, share=0.1, dtype=np.float16):
    """Return n digits, with labels of which a share is wrong."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:n].astype(dtype), y[:n]
    return X, np.where(np.random.default_rng(0).random(n) < share, (y + 1) % 10, y)


def column(X, kind):
    values = pa.array(np.ascontiguousarray(X).ravel())
    if kind == "fixed":
        return pa.FixedSizeListArray.from_arrays(values, X.shape[1])
    offsets = np.arange(len(X) + 1) * X.shape[1]
    if kind == "large":
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def write(folder, data, kind="fixed", names=("a/0", "a/1", "b/0")):
    """Write the rows to as many files as there are names, and return the folder."""
    X, y = data
    for name, rows in zip(names, np.array_split(np.arange(len(X)), len(names)), strict=True):
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {
            "id": [f"r{i}" for i in rows],
            "embedding": column(X[rows], kind),
            "label": y[rows],
        }
        pq.write_table(pa.table(columns), path, row_group_size=150)
    return folder


def arguments(folder, out, *more):
    columns = ["--id", "id", "--embedding", "embedding"]
    return [str(folder), *columns, "--out", str(out), *more]


def inspect(folder, out, *more):
    return main(["inspect", *arguments(folder, out, "--label", "label", *more)])


def scores(out):
    names = sorted(p for f in "ab" for p in (out / f).rglob("*.parquet"))
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in names])
