from io import BytesIO

import numpy as np
import pytest
import torch

from spectral_select.integrations.methods import HISTORY, get_method
from spectral_select.integrations.training.sample_history import SampleHistory

CPU = torch.device("cpu")


def new(method="repb", n=6):
    return SampleHistory(n, get_method(method), CPU)


def add(history, indices, losses):
    history.add(torch.tensor(indices), torch.tensor(losses))


def equal(first, second):
    for a, b in zip(vars(first).values(), vars(second).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_snapshot_has_what_the_epochs_recorded():
    history = new()
    add(history, [0, 1], [1.0, 3.0])
    add(history, [5, 4], [4.0, 6.0])
    history.end_epoch(clean_loss=2.5)
    add(history, [1, 2], [0.5, 0.5])
    history.end_epoch(clean_loss=1.5)
    found, nan = history.snapshot(), np.nan
    assert found.epoch == 2
    assert found.n_trained.tolist() == [1, 2, 1, 0, 1, 1]
    assert found.clean_losses.tolist() == [2.5, 1.5]
    np.testing.assert_array_equal(found.excess_loss, [-1, 0, 0, nan, 1, -1])
    np.testing.assert_array_equal(
        found.losses.T, [[1, 3, nan, nan, 6, 4], [1, 0.5, 0.5, nan, 6, 4]]
    )


def test_snapshot_does_not_change_within_an_epoch():
    history = new()
    equal(history.snapshot(), new().snapshot())
    add(history, [0, 1], [1.0, 3.0])
    equal(history.snapshot(), new().snapshot())
    history.end_epoch()
    before = history.snapshot()
    add(history, [0, 3], [2.0, 5.0])
    equal(history.snapshot(), before)
    assert history.last_loss[0] == 2
    assert history.mean_last_loss() == pytest.approx((2 + 3 + 5) / 3)


def test_only_the_latest_ten_epochs_are_kept():
    history = new()
    for epoch in range(13):
        add(history, [0, 1], [float(epoch), 0.0])
        history.end_epoch(clean_loss=-float(epoch))
    found = history.snapshot()
    assert found.epoch == 13
    assert found.n_trained[0] == 13
    assert found.losses[0].tolist() == list(range(3, 13))
    assert found.clean_losses.tolist() == [-epoch for epoch in range(3, 13)]


def test_continues_from_a_state_within_an_epoch():
    history = new()
    add(history, [0, 1], [1.0, 3.0])
    history.end_epoch()
    add(history, [2, 3], [1.0, 3.0])
    file = BytesIO()
    torch.save(history.state_dict(), file)
    file.seek(0)
    resumed = new()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    equal(resumed.snapshot(), history.snapshot())
    for each in (history, resumed):
        add(each, [4, 5], [2.0, 1.0])
        each.end_epoch()
    equal(resumed.snapshot(), history.snapshot())
    assert resumed.snapshot().n_trained.tolist() == [1] * 6


def test_copy_changes_independently():
    history = new()
    copied = history.copy()
    add(copied, [0], [1.0])
    copied.end_epoch()
    assert history.last_loss.isnan().all()
    equal(history.snapshot(), new().snapshot())


@pytest.mark.parametrize(("name", "records"), [("random", False), ("infobatch", True)])
def test_only_needed_values_are_recorded(name, records):
    assert HISTORY not in get_method(name).needs
    history = new(name)
    add(history, [0, 1], [1.0, 3.0])
    history.end_epoch()
    assert bool(history.last_loss.isfinite().any()) == records
    assert history.snapshot().losses.shape == (0, 0)
