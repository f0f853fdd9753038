"""SpectralBatchSampler under the real frameworks, with one real process for each rank."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from frameworks.job_tools import EPOCHS, FORMS, INNER, N, make_sampler

HERE = Path(__file__).parent
TIMEOUT = 600


def job_environment():
    """Return the environment variables for the processes of a job."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def run_job(job, n_ranks, folder, *arguments):
    """Run a job in `n_ranks` processes and return their records."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={n_ranks}", str(HERE / f"{job}.py"), str(folder), *arguments]
    started = any(folder.iterdir())
    code, output = run_group(command)
    if died_outside_python(code, output) and not started:
        # Python 3.11 can deadlock in a fork of loader workers while a thread of gloo enters
        # Python, gloo can abort at exit, and a suspended machine looks like a hang. A bug in
        # this library would occur again on retry.
        shutil.rmtree(folder)
        folder.mkdir()
        code, output = run_group(command)
    if code is None:
        pytest.fail(f"{job} on {n_ranks} ranks hung for {TIMEOUT} s:\n{output[-5000:]}")
    assert code == 0, output[-5000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(n_ranks)]


def run_group(command):
    """Run a command and its children; return the exit status (None for a hang) and the output."""
    process = subprocess.Popen(
        command,
        env=job_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its ranks, which are in separate process groups
        output, _ = process.communicate(timeout=TIMEOUT)
        return None, output
    return process.returncode, output


def died_outside_python(code, output):
    """Return whether a job hung, timed out, or was aborted while gloo shut down."""
    aborted = "Timed out waiting" in output or "terminate called without an active" in output
    return code is None or (code != 0 and aborted)


def of_one_process(form, epoch, inner="none"):
    """Return the batches that a single process would yield in an epoch."""
    sampler, _ = make_sampler(form, INNER[inner]())
    sampler.set_epoch(epoch)
    return list(sampler)


def check_matrix(per_rank, form, inner="none", *, short_last=True):
    """Compare the batches of all ranks in three epochs with those of a single process."""
    n_ranks = len(per_rank)
    expected_solved = 0
    for epoch in range(EPOCHS):
        parts = [rank["epochs"][epoch] for rank in per_rank]
        assert len({len(part) for part in parts}) == 1, "every rank has the same number of batches"
        for rank in per_rank:
            assert rank["lengths"][epoch] == len(parts[0]), "the length is exact"
        flat = [i for part in parts for batch in part for i in batch]
        assert len(set(flat)) == len(flat), "no index on two ranks"
        n_full = N // (16 * n_ranks)
        assert len(parts[0]) == n_full + short_last
        dealt = [batch for round_ in zip(*parts, strict=True) for batch in round_]
        one = of_one_process(form, epoch, inner)[: n_full * n_ranks]
        assert [len(b) for b in dealt[: n_full * n_ranks]] == [len(b) for b in one]
        assert dealt[: n_full * n_ranks] == one
        expected_solved += n_full * 16
        expected_solved += (N - n_full * 16 * n_ranks) // n_ranks if short_last else 0
    assert len(per_rank[0]["epochs"]) == EPOCHS
    for rank in per_rank:
        assert rank["solved"] == expected_solved, "each rank selects its own batches only"


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_plain_and_stateful_loaders_under_torchrun(n_ranks, tmp_path):
    records = run_job("plain_job", n_ranks, tmp_path)
    assert len(records[0]) == 8
    for case in records[0]:
        check_matrix([record[case] for record in records], case.partition(",")[0])


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_lightning(n_ranks, tmp_path):
    records = run_job("lightning_job", n_ranks, tmp_path)
    assert len(records[0]) == 8
    for case in records[0]:
        ranks = [record[case] for record in records]
        if n_ranks > 1 and case.endswith("hook False, replacement True"):
            # Lightning cannot re-create a sampler that was built outside the hook.
            assert all("use_distributed_sampler=False" in rank["refused"] for rank in ranks)
            continue
        check_matrix(ranks, case.partition(",")[0])
        replaced = n_ranks > 1 and case.endswith("replacement True")
        assert (ranks[0]["inner"] == "DistributedSampler") == replaced


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_lightning_resumes_every_sampler(n_ranks, tmp_path):
    for record in (records := run_job("lightning_job", n_ranks, tmp_path, "inner")):
        for inner in INNER:
            whole = [b for epoch in record[inner]["epochs"] for b in epoch]
            for steps in ("4", "9"):
                resumed = record[inner][steps]
                assert [b for epoch in resumed for b in epoch] == whole[int(steps) :]
    for inner in INNER:
        check_matrix([record[inner] for record in records], "papers", inner)


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_accelerate(n_ranks, tmp_path):
    records = run_job("accelerate_job", n_ranks, tmp_path)
    for form in FORMS:
        for kind in ("none", "random"):
            for name in ("default", "seedable", "stateful"):
                ranks = [record[f"{form}, {name}, {kind}"] for record in records]
                check_matrix(ranks, form, short_last=n_ranks == 1)
    for inner in INNER:
        ranks = [record[f"papers, default, {inner}"] for record in records]
        check_matrix(ranks, "papers", inner, short_last=n_ranks == 1)
    for record in records:
        resume = record["resume"]
        assert resume["resumed"] == resume["whole"]
        left = (N // (16 * n_ranks) - 3) * 16 + (N % 16 if n_ranks == 1 else 0)
        assert resume["solved"] == left, "skipped batches are not selected again"
        if n_ranks > 1:
            assert "accelerator.prepare()" in record["unprepared"]["refused"]
    dispatched = [record["dispatched"]["batches"] for record in records]
    dealt = [batch for round_ in zip(*dispatched, strict=True) for batch in round_]
    assert dealt[:12] == of_one_process("fixed", 0)[:12]
    if 16 % n_ranks == 0:  # Accelerate needs batches that can be divided
        split = [record["split"]["batches"] for record in records]
        joined = [[i for part in step for i in part] for step in zip(*split, strict=True)]
        assert joined == of_one_process("fixed", 0)[: len(joined)]
        assert len(joined) == N // 16
        assert all(
            "num_replicas=1 and rank=0" in r["split"]["refused"] for r in records if n_ranks > 1
        )
    parts = [record["explicit ranks"]["batches"] for record in records]
    flat = [i for part in parts for batch in part for i in batch]
    assert len(set(flat)) == len(flat)


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_hugging_face_trainer(n_ranks, tmp_path):
    records = run_job("transformers_job", n_ranks, tmp_path)
    for form, inner in [(form, "none") for form in FORMS] + [("papers", inner) for inner in INNER]:
        ranks = [record[f"{form}, {inner}"] for record in records]
        check_matrix(ranks, form, inner, short_last=n_ranks == 1)
        for record in records:
            whole = [b for epoch in record[f"{form}, {inner}"]["epochs"] for b in epoch]
            resumed = [b for epoch in record[f"{form}, {inner}, resumed"]["epochs"] for b in epoch]
            assert resumed == whole[9:]


def test_training_ends_if_a_rank_is_killed_and_resumes_exactly(tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    whole.mkdir()
    run.mkdir()
    expected = run_job("recovery_job", 2, whole, "undisturbed")
    assert start_without_agent("recovery_job", 2, run, "killed") == [1, -signal.SIGKILL]
    resumed = run_job("recovery_job", 2, run, "again")
    for rank in range(2):
        before = json.loads((run / f"seen-{rank}-killed.json").read_text())
        assert before + resumed[rank]["seen"] == expected[rank]["seen"]
        assert resumed[rank]["weights"] == expected[rank]["weights"]


def start_without_agent(job, n_ranks, folder, *arguments):
    """Run a job in processes without an agent; return the exit status of each process.

    torchrun would stop the other ranks; here they must detect the loss of a rank.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(n_ranks):
        environment = job_environment() | {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(n_ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, str(HERE / f"{job}.py"), str(folder), *arguments]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    try:
        return [process.wait(TIMEOUT) for process in processes]
    finally:
        for process in processes:
            process.kill()
