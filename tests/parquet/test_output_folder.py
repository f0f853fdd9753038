"""The folder of scores: resumed to the same bytes, never half-written, and read as one table."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from parquet_helpers import arguments, inspect, scores, write
from sklearn.datasets import load_digits

from spectral_select._cli.main import main
from spectral_select._parquet import inspect_files, output_folder

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COMMANDS = {
    "inspect": ["--label", "label"],
    "select": ["--candidate-size", "64", "--filter-ratio", "0.5"],
}


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X[:900].astype(np.float16), y[:900]


def contents(out):
    return {p.relative_to(out): p.read_bytes() for p in out.rglob("*.parquet")}


def damage(path, column):
    """Overwrite the beginning of a column, which the footer does not cover."""
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(column)
    damaged = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    damaged[start : start + 40] = b"\xff" * 40
    path.write_bytes(damaged)


def start_and_kill(command, step, rng):
    """Kill a command at a random moment after some lines about a step.

    Returns whether the command was still running.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "spectral_select", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    lines = (line for line in process.stderr if line.startswith(step))
    for _ in range(rng.integers(1, 5)):
        next(lines, None)
    time.sleep(rng.uniform(0, 0.03))
    process.kill()
    process.stderr.close()
    return process.wait() < 0


@pytest.mark.parametrize(
    ("steps", "n_files"),
    [
        (["pass 2", "scores"], 12),
        pytest.param(["pass 1"] * 4 + ["pass 2"] * 4 + ["scores"] * 12, 60, marks=pytest.mark.slow),
    ],
    ids=["2 kills", "20 kills"],
)
def test_killed_command_resumes_to_the_same_bytes(data, tmp_path, steps, n_files):
    names = [f"a/{k:02}" for k in range(n_files)]
    folder, out = write(tmp_path / "in", data, names=names), tmp_path / "killed"
    assert inspect(folder, tmp_path / "whole") == 0
    whole = contents(tmp_path / "whole")
    assert len(whole) == n_files
    command = ["inspect", *arguments(folder, out, "--label", "label")]
    rng, partial = np.random.default_rng(0), 0
    for step in steps:
        while not start_and_kill(command, step, rng):  # it was faster: kill another one
            assert contents(out) == whole
            shutil.rmtree(out)
        left = contents(out)
        assert left.items() <= whole.items()  # each file of scores is whole or absent
        partial += 0 < len(left) < n_files
    assert partial  # killed between two files of scores
    assert main(command) == 0
    assert contents(out) == whole
    assert not [path for path in out.rglob("*") if path.suffix == ".tmp"]
    assert not (out / "_progress/state").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_second_call_does_nothing(data, tmp_path, run, command):
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    line = [command, *arguments(folder, out, *COMMANDS[command])]
    assert run(*line)[0] == 0
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    status, _, err = run(*line)
    assert (status, err) == (0, "all files are done already\n")
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}


def test_removed_scores_are_recomputed(data, tmp_path):
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    assert inspect(folder, out) == 0
    whole = contents(out)
    (out / "a/1.parquet").unlink()
    assert inspect(folder, out) == 0
    assert contents(out) == whole


def test_state_of_a_command_killed_at_the_end_is_removed(data, tmp_path):
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    assert inspect(folder, out) == 0
    (out / "_progress/state").mkdir()
    (out / "_progress/state/cells.npy").write_bytes(b"large")
    assert inspect(folder, out) == 0
    assert not (out / "_progress/state").exists()


def test_folder_is_read_as_one_table(data, tmp_path):
    pd = pytest.importorskip("pandas")
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    assert inspect(folder, out) == 0
    ids = [f"r{i}" for i in range(len(data[0]))]
    assert pq.read_table(out)["id"].to_pylist() == ids
    assert pd.read_parquet(out)["id"].tolist() == ids


@pytest.mark.parametrize("changed", ["option", "input", "version"])
def test_rejects_other_scores(data, tmp_path, monkeypatch, run, changed):
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    assert run("inspect", *arguments(folder, out, "--label", "label"))[0] == 0
    more = []
    if changed == "option":
        more, message = ["--seed", "1"], "options.seed was 0, is now 1"
    elif changed == "input":
        os.utime(folder / "a/1.parquet", ns=(0, 0))
        message = "files.a/1.parquet was"
    else:
        monkeypatch.setattr(output_folder, "__version__", "9")
        message = "versions.spectral_select was 0.1.0, is now 9"
    status, _, error = run("inspect", *arguments(folder, out, "--label", "label", *more))
    assert status == 2
    assert message in error
    assert "name another folder, or remove it" in error


def test_rejects_file_that_changes(data, tmp_path, monkeypatch, run):
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    link = inspect_files._Inspection._link

    def change_and_link(self, plan):
        os.utime(folder / "a/1.parquet", ns=(0, 0))
        return link(self, plan)

    monkeypatch.setattr(inspect_files._Inspection, "_link", change_and_link)
    status, _, err = run("inspect", *arguments(folder, out))
    assert status == 2
    assert "a/1.parquet changed while it was being read" in err.splitlines()[-1]
    assert not (out / "a/1.parquet").exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damaged", ["footer", "ids", "embeddings"])
def test_corrupt_file_is_named_and_skipped_if_requested(data, tmp_path, run, command, damaged):
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    path = folder / "a/1.parquet"
    if damaged == "footer":
        path.write_bytes(b"PAR1 not a table PAR1")
    else:
        damage(path, ["ids", "embeddings"].index(damaged))
    line = [command, *arguments(folder, out, *COMMANDS[command])]
    status, _, err = run(*line)
    assert status == 2
    assert "a/1.parquet cannot be read" in err
    status, _, err = run(*line, "--skip-corrupt")  # in the same folder
    assert status == 0
    assert f"skipped: {path} cannot be read" in err
    assert {p.name for p in (out / "a").iterdir()} == {"0.parquet"}
    status, _, err = run(*line, "--skip-corrupt")
    assert "all files are done already" in err
    assert f"skipped: {path} cannot be read" in err
    status, _, err = run(*line)
    assert status == 2
    assert "a/1.parquet cannot be read" in err


def test_skipped_file_stays_skipped(data, tmp_path, monkeypatch):
    """A file that becomes readable would not fit the sums, which were computed without it."""
    folder, out = write(tmp_path / "in", data), tmp_path / "out"
    path = folder / "a/1.parquet"
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(whole[:-40] + b"\xff" * 40)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert inspect(folder, tmp_path / "expected", "--skip-corrupt") == 0
    with monkeypatch.context() as patch:
        patch.setattr(inspect_files._Inspection, "_link", lambda self, plan: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            inspect(folder, out, "--skip-corrupt")
    path.write_bytes(whole)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert inspect(folder, out, "--skip-corrupt") == 0
    assert contents(out) == contents(tmp_path / "expected")


@pytest.mark.parametrize("place", ["in", "in/scores", ""])
def test_rejects_scores_beside_embeddings(data, tmp_path, fails, place):
    folder = write(tmp_path / "in", data)
    error = fails("inspect", *arguments(folder, tmp_path / place))
    assert "name another folder" in error or "name a separate folder" in error
    assert scores(folder).num_rows == len(data[0])
