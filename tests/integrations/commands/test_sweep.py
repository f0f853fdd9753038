"""The sweep as a user runs it: in real processes, interrupted, resumed and extended."""

import json

import pytest
from train_helpers import read_results_json

from spectral_select._cli.main import main
from spectral_select.integrations.commands import sweep_run
from spectral_select.integrations.runtime.provenance import describe_command

FILE = """
[sweep]
dataset = "digits"
methods = ["random", "full"]
seeds = [0]
filter_ratios = [0.8]

[train]
model = "squeezenet1_1"
image_size = 24
candidate_size = 50
epochs = 1
train_size = 100
val_fraction = 0.02
test_fraction = 0.02

[method.random]
lr = 0.05
"""


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "sweep.toml"

    def run(*more, text=FILE):
        path.write_text(text)
        return main(["sweep", str(path), "--out", str(tmp_path / "out"), *more])

    return run


def test_sweep_completes_missing_runs_and_collects_results(sweep, tmp_path, capsys):
    assert sweep("--dry-run") == 0
    listed = capsys.readouterr().out
    assert "2 runs, 0 of them complete" in listed
    assert not (tmp_path / "out").exists()

    assert sweep() == 0
    output = capsys.readouterr().out
    assert "2/2" in output
    assert "accuracy" in output
    results = read_results_json(tmp_path / "out" / "results-f0.8.json")
    assert results["status"] == "complete"
    assert results["command"] == describe_command()  # not that of the first run
    assert [run["method"] for run in results["runs"]] == ["random", "full"]
    assert results["runs"][0]["config"] == {"lr": 0.05}
    assert "config" not in results["runs"][1]
    assert results["config"]["lr"] == 0.02  # the shared rate, though the first run has its own

    stamps = {f: f.stat().st_mtime_ns for f in (tmp_path / "out").glob("runs/*/results.json")}
    extended = FILE.replace("[0.8]", "[0.8, 0.5]")
    assert sweep("--jobs", "2", text=extended) == 0
    assert "3 runs, 2 of them complete" in capsys.readouterr().out
    assert {f: f.stat().st_mtime_ns for f in stamps} == stamps  # no run was repeated
    half = read_results_json(tmp_path / "out" / "results-f0.5.json")
    assert [run["method"] for run in half["runs"]] == ["random", "full"]
    assert half["config"]["filter_ratio"] == 0.5

    assert sweep(text=FILE.replace("epochs = 1", "epochs = 2")) == 2
    assert "created with different options (--epochs was 1, is now 2)" in capsys.readouterr().err


def test_failed_run_is_reported_and_retried(sweep, tmp_path, capsys, monkeypatch):
    broken = FILE.replace('["random", "full"]', '["full"]').replace(
        "[method.random]\nlr = 0.05", ""
    )
    real = sweep_run.subprocess.Popen

    def fail(command, **options):
        return real([command[0], "-c", "print('no luck'); raise SystemExit(3)"], **options)

    monkeypatch.setattr(sweep_run.subprocess, "Popen", fail)
    assert sweep(text=broken) == 1
    output = capsys.readouterr().out
    assert "failed with status 3: no luck (see" in output
    assert "1 of 1 runs failed" in output
    monkeypatch.undo()
    assert sweep("--dry-run", text=broken) == 0
    assert "1 runs, 0 of them complete" in capsys.readouterr().out


def test_ctrl_c_stops_the_runs_and_keeps_their_results(sweep, tmp_path, capsys, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_run, "sleep", interrupt)
    assert sweep() == 130
    assert "run the same command again to resume" in capsys.readouterr().out
    (run,) = (tmp_path / "out").glob("runs/*/run.json")
    assert json.loads(run.read_text())["arguments"][0] == "digits"
    monkeypatch.undo()
    assert sweep() == 0
    assert read_results_json(tmp_path / "out" / "results-f0.8.json")["status"] == "complete"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 1", "epochs = 'x'", "sweep.toml: argument --epochs: invalid int value: 'x'"),
        ("epochs = 1", "epoch = 1", "sweep.toml: unrecognized arguments: --epoch=1"),
    ],
)
def test_mistakes_are_reported_before_any_run(sweep, tmp_path, capsys, old, new, message):
    assert sweep(text=FILE.replace(old, new)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_jobs_and_folder(sweep, tmp_path, capsys):
    assert sweep("--jobs", "0") == 2
    assert "--jobs must be an integer of at least 1; got 0" in capsys.readouterr().err
    (tmp_path / "out").write_text("")
    assert sweep() == 2
    assert "is a file; expected a folder" in capsys.readouterr().err
