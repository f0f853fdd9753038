"""Commands on files with --engine ray: the same bytes as without, even if a worker is killed."""

import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import ray
from parquet_helpers import arguments, write
from ray_helpers import cluster
from sklearn.datasets import load_digits

from spectral_select._cli.main import main

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

COMMANDS = {
    "inspect": ["--label", "label"],
    "select": ["--candidate-size", "64", "--filter-ratio", "0.5"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    X, y = load_digits(return_X_y=True)
    names = [f"a/{k:02}" for k in range(6)]
    data = X[:900].astype(np.float16), y[:900]
    return write(tmp_path_factory.mktemp("files") / "in", data, names=names)


def contents(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*.parquet")}


@pytest.mark.parametrize("command", COMMANDS)
def test_same_bytes_as_without(folder, tmp_path, command):
    options = COMMANDS[command]
    assert main([command, *arguments(folder, tmp_path / "here", *options)]) == 0
    with cluster():
        line = [command, *arguments(folder, tmp_path / "there", *options, "--engine", "ray")]
        assert main(line) == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_corrupt_file_is_named(folder, tmp_path, capsys):
    path = folder.parent / "bad" / "x.parquet"
    path.parent.mkdir()
    path.write_bytes(b"PAR1 not a table PAR1")
    with cluster(1):
        assert main(["inspect", *arguments(path.parent, tmp_path, "--engine", "ray")]) == 2
    assert "x.parquet cannot be read" in capsys.readouterr().err


def test_error_in_a_task_is_that_of_the_file(tmp_path, capsys):
    X, y = load_digits(return_X_y=True)
    X = X[:300].astype(np.float32)
    X[250, 3] = np.nan
    folder = write(tmp_path / "in", (X, y[:300]))
    with cluster(1):
        assert main(["inspect", *arguments(folder, tmp_path / "out", "--engine", "ray")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("spectral-select: error: ")
    assert "b/0.parquet must be finite; row 50 is not" in error


def test_killed_worker_changes_nothing(folder, tmp_path):
    assert main(["inspect", *arguments(folder, tmp_path / "here", "--label", "label")]) == 0
    line = arguments(folder, tmp_path / "there", "--label", "label", "--engine", "ray")
    process = subprocess.Popen(
        [sys.executable, "-m", "spectral_select", "inspect", *line],
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = 0
    for message in process.stderr:
        if message.startswith("pass 1") and killed == 0:
            killed += kill_a_task(process.pid)
    process.stderr.close()
    assert process.wait() == 0
    assert killed == 1
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def kill_a_task(pid):
    """Kill the first process under `pid` in which a task of ours runs."""
    for _ in range(6000):
        for child in psutil.Process(pid).children(recursive=True):
            try:
                if child.name().startswith("ray::_s") or "ray::_s" in " ".join(child.cmdline()):
                    child.kill()
                    return True
            except psutil.Error:  # it has ended
                continue
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_no_cluster_at_the_address(folder, tmp_path, capsys, address):
    ray.shutdown()  # commands of other tests stay connected until their process ends
    line = arguments(folder, tmp_path / "out", "--engine", "ray", "--address", address)
    assert main(["inspect", *line]) == 2
    assert f"no Ray cluster was reached at {address}" in capsys.readouterr().err
