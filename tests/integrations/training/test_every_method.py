"""Every registered method, run by the driver."""

import numpy as np
import pytest
import torch
from torch import nn
from train_helpers import data_set, features_of, settings

from spectral_select import n_kept
from spectral_select.integrations.methods import (
    REFERENCE,
    Outputs,
    check_methods,
    get_method,
    method_names,
)
from spectral_select.integrations.runtime.seeding import seeded
from spectral_select.integrations.training.trainer import Trainer

# Methods that set their own count, with the minimum number of samples kept from a batch.
OWN_COUNT = {"alignprune": 1, "infobatch": 1, "repb": 1, "seta": 1, "selective-backprop": 4}


def network():
    """Return a classifier whose training step takes milliseconds."""
    with seeded(0, torch.device("cpu")):
        body = [nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
        return nn.Sequential(*body, nn.Flatten(), nn.Linear(8, 3))


def trainer(spec, *, model=None, config=None):
    method, data, config = get_method(spec), data_set(), config or settings(lr=0.001)
    table = np.random.default_rng(3).random((len(data.train), 512), dtype=np.float32)
    reference = Outputs(table[:, 0], table[:, :3], 2 * table[:, 3:6] - 1)
    return Trainer(
        config,
        data.train,
        method,
        model or network(),
        features=features_of(data),
        reference=reference if REFERENCE in method.needs else None,
        clean=data.val,
        dynamics=np.random.default_rng(4).random((len(data.train), 30)),
    )


def record_choices(monkeypatch, made):
    """Return a list that collects the method's choices during training."""
    choices = []
    choose = type(made.method).choose

    def recorded(self, candidates):
        choice = choose(self, candidates)
        choices.append(choice)
        return choice

    monkeypatch.setattr(type(made.method), "choose", recorded)
    return choices


@pytest.mark.parametrize("name", method_names())
def test_every_method_trains_reproducibly_on_its_number_of_samples(name):
    made = trainer(name)
    counted = []
    record = made.train_epoch(0, lambda n, loss, right: counted.append(n))
    assert np.isfinite(record.loss)
    assert record.steps == len(counted) == made.budget.steps_in(0)
    assert record.samples == sum(counted)
    kept = n_kept(20, made.method.schedule(0.8, 2)(0))
    if name in OWN_COUNT:
        assert all(OWN_COUNT[name] <= n <= 20 for n in counted)
    else:
        assert counted == [kept] * len(counted)
    assert all(torch.isfinite(p).all() for p in made.model.parameters())
    again = trainer(name)
    again.train_epoch(0)
    for first, second in zip(made.first_kept, again.first_kept, strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("name", [n for n in method_names() if not get_method(n).selects_ahead])
def test_methods_accept_a_diverged_network(name):
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    made = trainer(name, model=model)
    for epoch in range(2):
        record = made.train_epoch(epoch)
        assert record.loss is None or record.steps == 0
        assert record.samples >= record.steps


@pytest.mark.parametrize("name", method_names())
def test_rejects_wrong_options_before_training(name):
    with pytest.raises(ValueError, match=f"method '{name}:nonsense=1' has no option 'nonsense'"):
        check_methods([f"{name}:nonsense=1"])
    with pytest.raises(ValueError, match=f"method must be one of .*; got '{name}x'"):
        check_methods([f"{name}x"])


def test_selective_backprop_counts_the_batches_of_all_epochs():
    config = settings(lr=0.001, epochs=4)  # an epoch has 3 steps
    made = trainer("selective-backprop", config=config)
    counted = []
    for epoch in range(4):
        made.train_epoch(epoch, lambda n, loss, right: counted.append(n))
    assert counted == [20] * 6 + [4, 20, 4, 20, 4, 20]  # selection ends after step 0.9 × 12


def test_infobatch_drops_seen_samples_and_ends_on_all_data(monkeypatch):
    config = settings(lr=0.001, epochs=8)
    made = trainer("infobatch", config=config)
    choices = record_choices(monkeypatch, made)
    samples = [made.train_epoch(epoch).samples for epoch in range(8)]
    assert samples[0] == samples[-1] == 60  # no losses are known yet; end of training
    assert all(30 < n < 60 for n in samples[1:-1])
    assert [len(c.positions) for c in choices[:3]] == [20] * 3
    assert all((c.weights == 1).all() for c in choices[:3] + choices[-3:])
    assert any(len(set(c.weights)) == 2 for c in choices[3:-3])
