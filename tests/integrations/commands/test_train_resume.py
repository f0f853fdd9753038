"""The command train, killed at random moments and resumed, in separate processes."""

import itertools
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from image_helpers import write_images
from safetensors.torch import load_file

from spectral_select._cli.main import main

# A server that has imported everything forks a process for each command, within
# milliseconds, and trains nothing itself.
PRELOADED = [
    "spectral_select._cli.main",
    "spectral_select.integrations.commands.train_session",
    "torchvision",
]

OPTIONS = [
    "--model=squeezenet1_1",  # small, and has dropout
    "--image-size=24",
    "--train-size=120",
    "--candidate-size=20",
    "--filter-ratio=0.5",
    "--epochs=2",
    "--val-fraction=0.02",
    "--test-fraction=0.02",
    "--momentum=0.9",
    "--save-models",
    "--no-progress",
]
METHODS = ["--methods", "random", "fiedler", "infobatch", "top-loss"]
WAIT = 300


def logged(log, arguments):
    """Run the command with its output redirected to a file, and exit with its status."""
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    raise SystemExit(main(arguments))


def killed_before(log, arguments, number):
    """Run the command, and kill it before it changes a file or folder for the `number`-th time."""
    seen = 0

    def count(event, values):
        nonlocal seen
        writes = event == "open" and isinstance(values[2], int) and values[2] & os.O_CREAT
        if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir") or writes:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    logged(log, arguments)


@pytest.fixture(scope="module")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def start(server, out, *more, data="digits"):
    arguments = ["train", str(data), "--out", str(out), *OPTIONS, *more]
    process = server.Process(target=logged, args=(f"{out}.log", arguments))
    process.start()
    return process


def finish(process, out):
    process.join(WAIT)
    assert process.exitcode == 0, Path(f"{out}.log").read_text()


def timeless(results):
    """Return results without times, durations and the command."""
    if isinstance(results, dict):
        dropped = {"seconds", "precompute_seconds", "started", "finished", "resumed", "command"}
        return {k: timeless(v) for k, v in results.items() if k not in dropped}
    return [timeless(value) for value in results] if isinstance(results, list) else results


def outcome(out):
    """Return the outcome of a run: results without times, and the exact final weights."""
    assert not list(out.rglob("*.tmp")), "partly written files must be removed"
    results = json.loads((out / "results.json").read_text())
    weights = {
        path.name: {name: value.numpy().tobytes() for name, value in load_file(path).items()}
        for path in (out / "models").iterdir()
    }
    return timeless(results), weights


class Victim:
    """Starts a command, kills it at random moments, and resumes it, as often as requested."""

    def __init__(self, server, folder, seed, *more):
        self.server, self.folder, self.more = server, folder, more
        self.rng = np.random.default_rng(seed)
        self.span = 1.0  # approximate duration of training in seconds

    def whole(self):
        """Run without interruption and return the outcome."""
        out = self.folder / "whole"
        process = start(self.server, out, *self.more)
        self.wait_for_training(out, process)
        begin = time.monotonic()
        finish(process, out)
        self.span = time.monotonic() - begin
        return outcome(out)

    def wait_for_training(self, out, process):
        deadline = time.monotonic() + WAIT
        while not (out / "checkpoints" / "run.json").exists() and process.is_alive():
            assert time.monotonic() < deadline, "hung"
            time.sleep(0.01)

    def killed(self, out):
        """Resume a run, kill it at a random time, and return whether it was killed in time."""
        process = start(self.server, out, "--resume", *self.more)
        self.wait_for_training(out, process)
        process.join(self.rng.random() * self.span)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join(WAIT)
        return process.exitcode == -signal.SIGKILL

    def survivors(self, kills):
        """Yield the outcomes of runs that were killed, `kills` times in total."""
        number = 0
        while kills:
            number += 1
            out = self.folder / f"killed-{number}"
            while kills and self.killed(out):
                kills -= 1
            finish(start(self.server, out, "--resume", *self.more), out)
            yield outcome(out)


def contents(out):
    """Return a run's file names, and the content of the files that contain no times."""
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    timed = (".json", ".png", ".lock", "model-0.safetensors", "model-1.safetensors")
    return names, [(out / name).read_bytes() for name in names if not name.endswith(timed)]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fiedler", "jest"])
def test_killed_before_every_change_of_a_file(server, tmp_path, method):
    data = "digits"
    more = ["--methods", method, "--epochs=1"]
    if method == "fiedler":  # uses a feature store, whereas the other method uses a reference model
        data = tmp_path / "images"
        write_images(data, ["a", "b"], 40)
        more += ["--backbone=pixels", "--train-size=60"]
    finish(start(server, tmp_path / "whole", *more, data=data), tmp_path / "whole")
    expected, files = outcome(tmp_path / "whole"), contents(tmp_path / "whole")
    for number in itertools.count(1):
        out = tmp_path / f"killed-{number}"
        arguments = ["train", str(data), "--out", str(out), *OPTIONS, "--resume", *more]
        process = server.Process(target=killed_before, args=(f"{out}.log", arguments, number))
        process.start()
        process.join(WAIT)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        finish(start(server, out, "--resume", *more, data=data), out)
        assert contents(out) == files
        assert outcome(out) == expected
    assert number > 25


def check(victim, kills):
    expected = victim.whole()
    found = list(victim.survivors(kills))
    assert found
    for results, weights in found:
        assert weights == expected[1]
        assert results == expected[0]
        assert {run["status"] for run in results["runs"]} == {"complete"}


def test_killed_at_random_moments_and_resumed_to_the_same_weights(server, tmp_path):
    more = ["--checkpoint-every=2", "--prefetch=2", *METHODS]
    check(Victim(server, tmp_path, 0, *more), kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("more", [["--checkpoint-every=1"], ["--prefetch=2"]], ids=" ".join)
def test_killed_twenty_times_and_resumed_to_the_same_weights(server, tmp_path, more):
    check(Victim(server, tmp_path, 1, "--seeds", "0", "1", *more, *METHODS), kills=20)
