import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from spectral_select._cli.main import main

# Scripts that torchrun starts; collecting doctests would import every framework.
collect_ignore_glob = ["frameworks/*_job.py"]

settings.register_profile("dev", deadline=None, max_examples=50)
# Use the same examples each time, so that CI results for a commit are reproducible.
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))

# Shells make background jobs ignore SIGINT, and child processes inherit this. Some tests interrupt
# their child processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(capsys):
    """Run the command; return its status, its output and its messages."""

    def call(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def fails(run):
    """Run the command, which must fail with a user error; return the message."""

    def call(*arguments):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("spectral-select: error: ")
        assert err.count("\n") == 1
        return err

    return call
