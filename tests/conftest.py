import os
import signal

from hypothesis import HealthCheck, settings

# Scripts that torchrun starts; collecting doctests would import every framework.
collect_ignore_glob = ["frameworks/*_job.py"]

settings.register_profile("dev", deadline=None, max_examples=50)
# The same examples each time, so that the result of CI for a commit is reproducible.
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))

# Shells make background jobs ignore SIGINT, and child processes inherit this. Some tests interrupt
# their child processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
