import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile("dev", deadline=None, max_examples=50)
# The same examples each time: what CI says of a commit is no matter of chance.
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))

# A shell has its background jobs ignore Ctrl-C, and their children inherit that: those that
# tests interrupt, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
