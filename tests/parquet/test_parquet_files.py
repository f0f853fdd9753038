"""Scores of many Parquet files: equal to those in memory, resumed, and never half-written."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from spectral_select import FiedlerBatchSelector, inspect_dataset
from spectral_select._cli.main import main

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    X, y = X[:1200].astype(np.float16), y[:1200]
    X[7] = X[900]
    return X, np.where(rng.random(len(y)) < 0.1, (y + 1) % 10, y)


def column(X, kind):
    values = pa.array(np.ascontiguousarray(X).ravel())
    if kind == "fixed":
        return pa.FixedSizeListArray.from_arrays(values, X.shape[1])
    offsets = np.arange(len(X) + 1) * X.shape[1]
    if kind == "large":
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def write(folder, data, kind="fixed", names=("a/0", "a/1", "b/0")):
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
    return pa.concat_tables([pq.read_table(path) for path in names])


@pytest.mark.parametrize("kind", ["fixed", "list", "large"])
def test_scores_equal_those_in_memory(data, tmp_path, kind):
    assert inspect(write(tmp_path / "in", data, kind), tmp_path / "out") == 0
    found, expected = scores(tmp_path / "out"), inspect_dataset(*data).columns()
    assert found["id"].to_pylist() == [f"r{i}" for i in range(len(data[0]))]
    for name in ("wrong_label", "suggested_label", "outlier", "duplicate_group", "exact_duplicate"):
        np.testing.assert_array_equal(found[name].to_numpy(), expected[name])
    for name in ("label_trust", "outlier_score", "largest_similarity"):
        # Rounding in single precision is divided by the temperature of the filter.
        np.testing.assert_allclose(found[name].to_numpy(), expected[name], atol=1e-3)
    assert found["wrong_label"].to_numpy().sum() > 50


def test_planted_copies_are_found_across_cells(tmp_path, monkeypatch):
    from spectral_select._parquet import clusters

    monkeypatch.setattr(clusters, "_CELL_ROWS", 256)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 32)).astype(np.float32)
    X[1500:1600] = X[:100]
    X[1600:1700] = X[100:200] + 0.01 * rng.normal(size=(100, 32)).astype(np.float32)
    write(tmp_path / "in", (X, np.arange(2000) % 2))
    assert main(["inspect", *arguments(tmp_path / "in", tmp_path / "out")]) == 0
    group = scores(tmp_path / "out")["duplicate_group"].to_numpy()
    exact = scores(tmp_path / "out")["exact_duplicate"].to_numpy()
    np.testing.assert_array_equal(group[1500:1700], group[:200])
    assert (group[:200] >= 0).all()
    np.testing.assert_array_equal(np.flatnonzero(exact), np.r_[:100, 1500:1600])


def test_killed_commands_resume_to_the_same_bytes(data, tmp_path):
    folder = write(tmp_path / "in", data, names=[f"a/{k}" for k in range(6)])
    assert inspect(folder, tmp_path / "whole") == 0
    out = tmp_path / "killed"
    command = ["inspect", *arguments(folder, out, "--label", "label")]
    kills = 0
    for wait in range(1, 9):  # killed after one more line of progress each time
        process = subprocess.Popen(
            [sys.executable, "-m", "spectral_select", *command],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(1 + wait % 4):
            process.stderr.readline()
        time.sleep(0.002 * wait)
        os.kill(process.pid, signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        process.stderr.close()
    assert kills > 3
    assert main(command) == 0
    for path in (tmp_path / "whole/").rglob("*.parquet"):
        other = out / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == other.read_bytes()


def test_second_call_does_nothing(data, tmp_path, capsys):
    folder = write(tmp_path / "in", data)
    inspect(folder, tmp_path / "out")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.parquet")}
    assert inspect(folder, tmp_path / "out") == 0
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.parquet")}
    assert "done already" in capsys.readouterr().err
    assert inspect(folder, tmp_path / "out", "--seed", "1") == 2
    assert "made otherwise" in capsys.readouterr().err


def test_corrupt_file_is_named_and_skipped_if_asked(data, tmp_path, capsys):
    folder = write(tmp_path / "in", data)
    (folder / "a/1.parquet").write_bytes(b"PAR1 not a table PAR1")
    assert inspect(folder, tmp_path / "out") == 2
    assert "a/1.parquet cannot be read" in capsys.readouterr().err
    assert inspect(folder, tmp_path / "other", "--skip-corrupt") == 0
    assert "skipped: " in capsys.readouterr().err
    assert len(scores(tmp_path / "other")) == 800


def test_corrupt_embeddings_are_skipped_if_asked(data, tmp_path, capsys):
    folder = write(tmp_path / "in", data)
    path = folder / "a/1.parquet"
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(1)
    damaged = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    damaged[start : start + 40] = b"\xff" * 40
    path.write_bytes(damaged)
    assert inspect(folder, tmp_path / "out") == 2
    assert "a/1.parquet cannot be read" in capsys.readouterr().err
    assert inspect(folder, tmp_path / "other", "--skip-corrupt") == 0
    assert "a/1.parquet cannot be read" in capsys.readouterr().err
    assert len(scores(tmp_path / "other")) == 800


@pytest.mark.parametrize(
    ("ids", "message"),
    [(["r0"] + [f"x{i}" for i in range(399)], "distinct ids; 'r0'"), ([None] * 400, "has no 'id'")],
)
def test_rejects_bad_ids(data, tmp_path, capsys, ids, message):
    folder = write(tmp_path / "in", data)
    table = pq.read_table(folder / "b/0.parquet", partitioning=None)
    ids = pa.array(ids, pa.string())
    pq.write_table(table.set_column(0, "id", ids), folder / "b/0.parquet")
    assert inspect(folder, tmp_path / "out") == 2
    assert message in capsys.readouterr().err


def test_selection_equals_that_of_each_file(data, tmp_path):
    folder = write(tmp_path / "in", data)
    more = arguments(folder, tmp_path / "out", "--candidate-size", "64", "--filter-ratio", "0.5")
    assert main(["select", *more]) == 0
    expected = []
    for rows in np.array_split(np.arange(len(data[0])), 3):
        selector = FiedlerBatchSelector(0.5, candidate_size=64).fit(data[0][rows])
        expected += [f"r{rows[i]}" for i in np.sort(selector.sample_indices_)]
    assert scores(tmp_path / "out")["id"].to_pylist() == expected
