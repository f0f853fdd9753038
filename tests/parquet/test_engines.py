"""Local engines: several processes give the same results as one, in order, and report errors."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from parquet_helpers import arguments, inspect, write
from sklearn.datasets import load_digits

from spectral_select._cli.main import main
from spectral_select._parquet import engines
from spectral_select._parquet.engines import local_engine, worker_processes
from spectral_select._parquet.parquet_files import CorruptFileError

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.xdist_group("worker_processes")


def plus(item, other):
    return item + other


def fails_at_1(item):
    if item == 1:
        raise CorruptFileError(Path(f"{item}.parquet"), "no\n footer")


def ends(item):
    os.kill(os.getpid(), signal.SIGKILL)


def contents(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*.parquet")}


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_in_order(workers):
    results = local_engine(workers, 0)(plus, iter(range(30)), 100)
    assert list(results) == list(range(100, 130))


@pytest.mark.parametrize("command", ["inspect", "select"])
def test_processes_write_the_same_bytes(tmp_path, command):
    X, y = load_digits(return_X_y=True)
    folder = write(tmp_path / "in", (X[:900].astype(np.float16), y[:900]))
    options = {"inspect": ["--label", "label"], "select": ["--candidate-size", "64"]}[command]
    for workers in ("1", "2"):
        line = [*arguments(folder, tmp_path / workers, *options), "--workers", workers]
        assert main([command, *line]) == 0
    assert contents(tmp_path / "2") == contents(tmp_path / "1")
    assert len(contents(tmp_path / "1")) == 3


def test_error_of_a_process_keeps_its_file():
    with pytest.raises(CorruptFileError, match=r"1\.parquet cannot be read: no footer") as raised:
        list(worker_processes(2)(fails_at_1, range(3)))
    assert raised.value.path == Path("1.parquet")


def test_killed_process_is_reported():
    with pytest.raises(OSError, match=r"a worker process was killed.*repeat the command"):
        list(worker_processes(2)(ends, range(3)))


def test_few_rows_need_no_processes(monkeypatch):
    monkeypatch.setattr(engines.joblib, "cpu_count", lambda: 4)
    assert local_engine(None, 1000) is local_engine(1, 10**9)
    assert local_engine(None, 10**9) is not local_engine(1, 10**9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "--workers must be an integer of at least 1"),
        (["--workers", "2", "--engine", "ray"], "--workers is for --engine local"),
        (["--address", "x:1"], "--address needs --engine ray"),
    ],
)
def test_rejects_bad_options(tmp_path, capsys, options, message):
    line = arguments(tmp_path, tmp_path / "out", *options)
    assert main(["inspect", *line]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--workers", "2"], ["--engine", "ray"], ["--skip-corrupt"]])
def test_file_options_require_ids(tmp_path, capsys, options):
    assert main(["inspect", "x.npy", "--out", str(tmp_path / "x.csv"), *options]) == 2
    assert f"{options[0]} needs --id" in capsys.readouterr().err


def test_missing_ray_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    X, y = load_digits(return_X_y=True)
    folder = write(tmp_path / "in", (X[:90], y[:90]))
    assert inspect(folder, tmp_path / "out", "--engine", "ray") != 0
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "pip install 'spectral_select[ray]'" in lines[0]
