"""The training driver, with one real process for each rank."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from frameworks.driver_job import METHODS
from frameworks.test_frameworks import TIMEOUT, job_environment, run_job
from train_helpers import read_results_json


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records from one process and from two ranks."""
    return {n: run_job("driver_job", n, tmp_path_factory.mktemp(f"ranks{n}")) for n in (1, 2)}


def test_all_ranks_end_with_the_same_weights_and_results(records):
    first, second = (record["whole"] for record in records[2])
    assert set(first["weights"]) == set(METHODS)
    assert first["weights"] == second["weights"]
    assert first["results"] == second["results"]
    assert {run["method"]: run["final_weights"] for run in first["results"]} == first["weights"]


def test_ranks_share_the_candidates_and_steps_of_one_process(records):
    alone = records[1][0]["whole"]
    ranks = [record["whole"] for record in records[2]]
    for method in METHODS:
        for step, candidates in enumerate(alone["seen"]["full"]):
            chosen = [rank["seen"][method][step] for rank in ranks]
            together = [index for part in chosen for index in part]
            assert len(set(together)) == len(together), "no sample on two ranks"
            if method == "guided":  # schedules whole epochs, not candidate batches
                assert set(together) == set(alone["seen"][method][step])
            else:
                assert set(together) <= set(candidates)
            if method == "full":
                assert set(together) == set(candidates)
    for run, other in zip(alone["results"], ranks[0]["results"], strict=True):
        assert run["steps"] == other["steps"] == [3, 3]
        if run["method"] not in ("infobatch", "repb"):  # their number of kept samples varies
            assert run["samples"] == other["samples"]


def test_resuming_mid_epoch_gives_the_same_results(records):
    for record in [*records[1], *records[2]]:
        assert record["resumed"]["results"] == record["whole"]["results"]


def command(n_ranks, out, *more):
    """Return the training command under torchrun."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={n_ranks}", "-m", "spectral_select", "train", "digits"),
        *("--out", str(out), "--model=squeezenet1_1", "--image-size=24", "--train-size=120"),
        *("--candidate-size=20", "--filter-ratio=0.5", "--epochs=3", "--checkpoint-every=2"),
        *("--methods", "random", "fiedler", "--no-progress", *more),
    ]


def begin(arguments):
    return subprocess.Popen(
        arguments,
        env=job_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process):
    try:
        output, errors = process.communicate(timeout=TIMEOUT)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors[-5000:]
    return output


def kill_all(process):
    """Kill torchrun and its ranks, which are in separate process groups."""
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in [process.pid, *map(int, ranks)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert len(ranks) == 2


def final_weights(out):
    return [run["final_weights"] for run in read_results_json(out)["runs"]]


@pytest.mark.slow
def test_killed_training_command_resumes_to_the_same_weights(tmp_path):
    whole = end(begin(command(2, tmp_path / "whole")))
    assert whole.count("epoch  1/3") == 1, "only one rank prints"
    process = begin(command(2, tmp_path / "killed"))
    meta = tmp_path / "killed" / "checkpoints"
    while not list(meta.glob("*.pt")):
        assert process.poll() is None
        time.sleep(0.05)
    kill_all(process)
    found = json.loads((meta / "run.json").read_text())
    assert found["identity"]["config"]["n_ranks"] == 2
    assert "resuming" in end(begin(command(2, tmp_path / "killed", "--resume")))
    assert final_weights(tmp_path / "killed") == final_weights(tmp_path / "whole")
