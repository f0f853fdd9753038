import numpy as np
import pytest
import torch
from train_helpers import data_set, settings

from spectral_select._utils.manifest import Manifest
from spectral_select.integrations.methods import get_method
from spectral_select.integrations.models.backbones import build_classifier, hash_weights
from spectral_select.integrations.training.checkpoints import Checkpoints
from spectral_select.integrations.training.comparison import compare
from spectral_select.integrations.training.dynamics import probabilities_of, record_dynamics
from spectral_select.integrations.training.trainer import Trainer

DUAL = "dual:epochs=3,window=2"


class StopError(Exception):
    """Ends a training run in the middle of a step."""


def stop_after(steps):
    """Return a callback that ends training at its `steps`-th call."""
    calls = []

    def on_step(*arguments):
        calls.append(arguments)
        if len(calls) == steps:
            raise StopError

    return on_step


def recorded(n_epochs=3, **options):
    config = settings()
    model = build_classifier(config.model, 3)
    return record_dynamics(config, data_set().train, model, n_epochs, seed=0, **options), model


def test_probabilities_are_those_of_training_on_all_samples():
    found, model = recorded()
    config, data = settings(epochs=3), data_set()
    made = Trainer(config, data.train, get_method("full"), build_classifier(config.model, 3))
    for epoch in range(3):
        made.train_epoch(epoch)
    assert hash_weights(model) == hash_weights(made.model)
    assert found.probabilities.shape == (64, 3)
    assert ((found.probabilities > 0) & (found.probabilities <= 1)).all()
    assert found.probabilities[:, 2].mean() > found.probabilities[:, 0].mean()
    assert found.seconds > 0


def test_continues_after_an_interruption(tmp_path):
    whole, model = recorded()
    file = tmp_path / "dynamics.pt"
    with pytest.raises(StopError):
        recorded(file=file, on_step=stop_after(8))  # in the third epoch; an epoch has three steps
    begun = torch.load(file, weights_only=True)
    assert begun["done"] == 2
    resumed, other = recorded(file=file)
    assert hash_weights(other) == hash_weights(model)
    assert np.array_equal(resumed.probabilities, whole.probabilities)
    assert resumed.seconds > begun["seconds"]
    again, _ = recorded(file=file, on_step=stop_after(1))  # nothing is left to train
    assert np.array_equal(again.probabilities, whole.probabilities)
    assert again.seconds == resumed.seconds


def test_samples_without_a_step_take_the_probability_of_their_first():
    nan = np.nan
    losses = [[nan, nan, 1.0], [2.0, 1.0, 0.0], [nan, nan, nan], [nan, 1.0, 2.0]]
    expected = np.exp([[-1, -1, -1], [-2, -1, 0], [-np.inf] * 3, [-1, -1, -2]])
    np.testing.assert_allclose(probabilities_of(losses), expected)


def test_comparison_charges_preliminary_training_from_the_same_weights():
    config, data = settings(), data_set()
    full, dual = compare(config, data, [get_method("full"), get_method(DUAL)])
    assert dual.initial_weights == full.initial_weights
    assert dual.precompute_seconds > 0.1 > full.precompute_seconds
    assert [epoch.samples for epoch in dual.history] == [3 * 4] * 2
    assert dual.history[0].decoded == 12
    assert dual.history[1].decoded == 0, "the same subset"


def test_comparison_resumes_in_preliminary_training(tmp_path):
    config, data, methods = settings(), data_set(), [get_method(DUAL)]
    (whole,) = compare(config, data, methods)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.begin(Manifest({}))

    class Asked:
        """Requests a stop at the sixth step."""

        calls = 0

        def asked(self, *, every_call=False):
            self.calls += 1
            return self.calls == 6

    with pytest.raises(KeyboardInterrupt):
        compare(config, data, methods, checkpoints=checkpoints, interrupt=Asked())
    file = checkpoints.dynamics_file(DUAL, 0)
    assert torch.load(file, weights_only=True)["done"] == 1
    (run,) = compare(config, data, methods, checkpoints=checkpoints)
    assert run.final_weights == whole.final_weights
    checkpoints.finish()
    assert not file.exists()


def test_rejects_missing_probabilities():
    config = settings()
    with pytest.raises(ValueError, match="needs probabilities from a preliminary training run"):
        Trainer(config, data_set().train, get_method("dual"), build_classifier(config.model, 3))
