import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampler_helpers import Calls, TopSum, blocks_of, table

from spectral_select import SpectralBatchSampler
from spectral_select._samplers.prefetch import Prefetcher


def selection_threads():
    return [t for t in threading.enumerate() if t.name == "spectral-select"]


@pytest.fixture(autouse=True)
def _no_thread_remains():
    yield
    gc.collect()
    assert selection_threads() == []


@given(st.integers(0, 30), st.integers(0, 5))
def test_yields_items_in_order_at_any_depth(n, depth):
    ahead = Prefetcher(lambda skip: range(skip, n), depth)
    assert list(ahead) == list(range(n))
    assert list(ahead) == []


@pytest.mark.parametrize("depth", [1, 3])
def test_at_most_depth_items_wait(depth):
    produced = []
    filled = threading.Event()

    def count(skip):
        for i in range(20):
            produced.append(i)
            if len(produced) > depth + 1:
                filled.set()
            yield i

    ahead = Prefetcher(count, depth)
    assert next(ahead) == 0
    assert filled.wait(300)
    # One item was consumed, `depth` items wait, and the producer holds one more.
    assert len(produced) <= depth + 2
    ahead.close()


def test_counts_the_waiting_time_of_the_consumer():
    def slow(skip):
        time.sleep(0.05)
        yield 1

    ahead = Prefetcher(slow, 1)
    next(ahead)
    assert ahead.waited >= 0.04


def test_raises_the_error_of_the_thread_after_the_items_before_it():
    def failing_producer(skip):
        yield 1
        raise KeyError("gone")

    ahead = Prefetcher(failing_producer, 2)
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="gone") as caught:
        next(ahead)
    assert "failing_producer" in "".join(traceback.format_tb(caught.tb))
    assert list(ahead) == []


@pytest.mark.parametrize("end", ["closed", "deleted", "exhausted"])
def test_thread_ends_with_the_iterator(end):
    ahead = Prefetcher(lambda skip: iter(range(5 if end == "exhausted" else 10**9)), 2)
    next(ahead)
    assert end == "exhausted" or len(selection_threads()) == 1
    if end == "closed":
        ahead.close()
    elif end == "exhausted":
        list(ahead)
    del ahead
    gc.collect()
    assert selection_threads() == []


def test_forked_child_continues_without_the_thread():
    ahead = Prefetcher(lambda skip: range(skip, 10), 2)
    assert [next(ahead) for _ in range(4)] == [0, 1, 2, 3]
    child = os.fork()
    if child == 0:  # pragma: no cover
        os._exit(0 if list(ahead) == [4, 5, 6, 7, 8, 9] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert list(ahead) == [4, 5, 6, 7, 8, 9]


def build(**options):
    features = table(400)
    return SpectralBatchSampler(None, 8, features=features, **options)


def test_interrupted_pass_leaves_no_thread():
    sampler = build(selector=TopSum(0.5), prefetch=1)
    with blocks_of(1):
        for batch in sampler:
            assert batch
            break
    gc.collect()
    assert selection_threads() == []
    assert len(list(sampler)) == len(sampler)


def test_error_in_the_selector_is_raised_in_the_loop():
    class Failing(TopSum):
        def __sklearn_clone__(self):
            return Failing(self.filter_ratio, calls=self.calls)

        def fit(self, X, y=None):
            if len(self.calls) == 2:
                raise ZeroDivisionError("in the third solve")
            return super().fit(X)

    sampler = build(selector=Failing(0.5, calls=Calls()))
    seen = []
    with pytest.raises(ZeroDivisionError, match="in the third solve") as caught:
        seen += list(sampler)
    assert any("fit" in line for line in traceback.format_tb(caught.tb))


def test_two_simultaneous_passes_are_independent():
    sampler = build(selector=TopSum(0.5))
    a, b = iter(sampler), iter(sampler)
    mixed = list(zip(a, b, strict=True))
    again = build(selector=TopSum(0.5))
    assert [x for x, _ in mixed] == list(again)
    assert [y for _, y in mixed] == list(again)


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from sampler_helpers import Calls, TopSum, table
from spectral_select import SpectralBatchSampler
from spectral_select._samplers import selection_pass

class Slow(TopSum):
    def __sklearn_clone__(self):
        return Slow(self.filter_ratio)
    def fit(self, X, y=None):
        time.sleep({sleep})
        return super().fit(X)

selection_pass.MAX_BLOCK = 1
sampler = SpectralBatchSampler(None, 8, features=table(4000), selector=Slow(0.5))
iterator = iter(sampler)
next(iterator)
print("started", flush=True)
{body}
"""


def run_script(body, sleep):
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), body=body, sleep=sleep)
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_ctrl_c_ends_a_loop_that_waits_for_a_batch():
    process = run_script("for _ in iterator: pass", sleep=0.2)
    assert process.stdout.readline() == "started\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode not in (0, None)
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_process_exits_during_an_unfinished_pass():
    process = run_script("print('done')", sleep=0.0)
    out, errors = process.communicate(timeout=300)
    assert (process.returncode, out, errors) == (0, "started\ndone\n", "")


def fork_and_exit(leave):
    """Fork a child that exits by calling `leave`; return its exit status, or None if it hangs."""
    child = os.fork()
    if child == 0:
        try:
            leave()
        finally:
            os._exit(0)
    for _ in range(3000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("held", [False, True])
def test_forked_child_never_waits_for_the_thread(held):
    items = Prefetcher(lambda n: iter(range(n, 10**9)), depth=2)
    assert next(items) == 0
    # The thread may hold the lock during the fork; then the child's copy is never released.
    if held:
        items._shared.change.acquire()
    try:

        def leave():
            assert next(items) == 1
            items.close()
            items._finalizer()
            gc.collect()

        assert fork_and_exit(leave) == 0
    finally:
        if held:
            items._shared.change.release()
    items.close()
