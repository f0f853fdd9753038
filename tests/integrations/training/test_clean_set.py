import numpy as np
import pytest
from train_helpers import data_set, settings

from spectral_select.integrations.methods import CLEAN, HISTORY, Choice, Method, get_method
from spectral_select.integrations.models.backbones import build_classifier
from spectral_select.integrations.training import trainer as trainer_module
from spectral_select.integrations.training.clean_set import clean_set
from spectral_select.integrations.training.comparison import compare
from spectral_select.integrations.training.evaluation import evaluate
from spectral_select.integrations.training.trainer import Trainer


class Watching(Method):
    """Selects the first candidates, and records the histories that it receives."""

    name, summary, needs = "watching", "", frozenset({CLEAN, HISTORY})

    def __init__(self):
        self.seen = []

    def score(self, history):
        self.seen.append(history)

    def choose(self, candidates):
        return Choice(np.arange(candidates.n_keep))


def trainer(method, **options):
    data, config = data_set(), settings()
    return Trainer(config, data.train, method, build_classifier(config.model, 3), **options)


@pytest.mark.parametrize(("n_train", "expected"), [(64, 1), (350, 4), (5000, 8)])
def test_size_is_1_percent_of_the_training_data(n_train, expected):
    data = data_set(n_val=8)
    part = clean_set(data.val, n_train)
    assert len(part) == len(part.labels) == expected
    assert [part[i][1] for i in range(expected)] == part.labels.tolist()


def test_losses_are_those_of_the_model_after_each_epoch():
    data, method = data_set(), Watching()
    made = trainer(method, clean=data.val)
    expected = []
    for epoch in range(2):
        made.train_epoch(epoch)
        expected.append(evaluate(made.model, made._clean, data.val.labels, made.config).loss)
    made.close()
    assert [history.epoch for history in method.seen] == [0, 1]
    assert method.seen[1].clean_losses.tolist() == expected[:1]
    assert made.history.snapshot().clean_losses.tolist() == expected
    assert expected[0] != expected[1]


def test_its_time_counts_as_selection(monkeypatch):
    now = [0.0]

    def slow(*arguments):
        now[0] += 1000
        return evaluate(*arguments)

    clock = trainer_module.perf_counter
    monkeypatch.setattr(trainer_module, "evaluate", slow)
    monkeypatch.setattr(trainer_module, "perf_counter", lambda: clock() + now[0])
    record = trainer(Watching(), clean=data_set().val).train_epoch(0)
    assert record.seconds.selection > 1000


@pytest.mark.parametrize("clean", [None, data_set(n_val=0).val])
def test_rejects_a_missing_clean_set(clean):
    with pytest.raises(ValueError, match="'watching' needs a clean set; got no samples"):
        trainer(Watching(), clean=clean)


def test_comparison_takes_it_from_the_validation_data():
    data, config = data_set(), settings(epochs=1)
    (run,) = compare(config, data, [get_method("alignprune")])
    assert run.needs == ["clean", "history", "progress"]
    assert run.history[0].samples == 60
    with pytest.raises(ValueError, match="'alignprune' needs a clean set"):
        compare(config, data_set(n_val=0), [get_method("alignprune")])
