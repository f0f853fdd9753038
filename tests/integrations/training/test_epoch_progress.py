import json
from types import SimpleNamespace

import numpy as np
import torch

from spectral_select.integrations.runtime.distributed import ONE
from spectral_select.integrations.training import epoch_progress as progress
from spectral_select.integrations.training.epoch_progress import Clock, Progress, Seen, Stopwatch

CPU = torch.device("cpu")


def test_resumes_from_plain_numbers():
    first = Progress(2, steps=3, samples=12)
    first.move_to(CPU)
    first.loss += 1.5
    first.correct += torch.tensor(7)
    again = Progress(**json.loads(json.dumps(first.describe())))
    again.move_to(CPU)
    assert again.record(ONE, ahead=False) == first.record(ONE, ahead=False)
    assert (again.record(ONE, ahead=False).loss, float(again.correct)) == (0.125, 7)


def test_stopwatch_adds_to_saved_seconds_and_can_be_stopped(monkeypatch):
    now = iter([100.0, 104.0, 105.0, 110.0])
    monkeypatch.setattr(progress, "perf_counter", lambda: next(now))
    epoch, clock = Progress(0), Clock()
    epoch.seconds |= {"total": 50.0, "loading": 2.0, "waiting": 5.0}
    sampler = SimpleNamespace(timings=SimpleNamespace(solve_seconds=3.0, wait_seconds=1.0))
    watch = Stopwatch(epoch, CPU, clock, sampler, SimpleNamespace(waited=2.5))
    with watch.stopped():
        clock.loading += 1.0
    watch.read()
    assert epoch.seconds == {
        "total": 59.0,
        "loading": 3.0,
        "choosing": 0.0,
        "solving": 3.0,
        "waiting": 6.0,
        "loop_wait": 2.5,
    }
    assert epoch.selection_share == 6 / 59


def test_overlapping_work_counts_only_while_the_loop_waits():
    epoch = Progress(0, samples=1)
    epoch.seconds |= {"total": 10.0, "waiting": 4.0, "loop_wait": 1.0}
    assert epoch.record(ONE, ahead=True).seconds.waiting == 1.0
    assert epoch.record(ONE, ahead=False).seconds.waiting == 4.0
    assert epoch.record(ONE, ahead=True).seconds.training == 9.0


def test_counts_each_image_once():
    seen = Seen(4)
    assert [seen.add(np.array(places)) for places in ([0, 2], [2, 3], [0, 3])] == [2, 1, 0]
    assert seen.mask.tolist() == [True, False, True, True]
