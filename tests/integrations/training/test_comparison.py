import json

import numpy as np
import pytest
from train_helpers import data_set, features_of, settings

from spectral_select.integrations.data.decoding import DecodedImages
from spectral_select.integrations.methods import get_method
from spectral_select.integrations.records.run_records import NOT_MEASURED, Measurement
from spectral_select.integrations.training.comparison import compare


def compared(names=("full", "random", "fiedler"), seeds=(0,), data=None, **options):
    data = data or data_set()
    methods = [get_method(name) for name in names]
    config = options.pop("config", settings())
    return compare(config, data, methods, features=features_of(data), seeds=seeds, **options)


def results(runs):
    """Return the results of training, without times."""
    return [
        (run.method, run.seed, run.final, [(e.loss, e.lr) for e in run.history]) for run in runs
    ]


def test_all_methods_start_equal_and_take_the_same_steps():
    runs = compared(seeds=(0, 3))
    assert [(run.method, run.seed) for run in runs] == [
        (method, seed) for seed in (0, 3) for method in ("full", "random", "fiedler")
    ]
    assert len({run.initial_weights for run in runs}) == 2
    assert len({(run.seed, run.initial_weights) for run in runs}) == 2
    for run in runs:
        assert run.status == "complete"
        assert [epoch.steps for epoch in run.history] == [3, 3]
        kept = 20 if run.method == "full" else 4
        assert [epoch.samples for epoch in run.history] == [3 * kept] * 2
    rates = {tuple(epoch.lr for epoch in run.history) for run in runs}
    assert len(rates) == 1


def test_reproducible():
    assert results(compared()) == results(compared())


def test_methods_do_not_depend_on_each_other():
    together = results(compared())
    alone = results(compared(names=("random",)))
    assert alone == [run for run in together if run[0] == "random"]


def test_records_are_plain_json_with_every_timer():
    runs = compared()
    json.dumps([run.to_json() for run in runs], allow_nan=False)
    for run in runs:
        for epoch in run.history:
            assert min(epoch.seconds.to_json().values()) >= 0
            assert epoch.test.count == 12
            assert epoch.val.count == 8
        assert run.final.train.count == 64
        assert run.final.test == run.history[-1].test


def test_callbacks_get_every_step_and_epoch():
    steps, epochs = [], []
    compared(
        names=("full", "random"),
        on_step=lambda trainer, n, loss, right: steps.append(
            (trainer.method.spec, trainer.seed, trainer.progress.epoch, n)
        ),
        on_epoch=lambda runs: epochs.append([len(run.history) for run in runs]),
    )
    expected = [
        (method, 0, epoch, n) for epoch in (0, 1) for method, n in (("full", 20), ("random", 4))
    ]
    assert steps == [step for step in expected for _ in range(3)]
    assert epochs == [[1, 1], [2, 2]]


def test_on_complete_gets_trainer_and_run():
    found = []
    runs = compared(
        names=("full-short", "random"),
        on_complete=lambda trainer, run: found.append((trainer.method.spec, run.status)),
    )
    assert found == [("full-short", "complete"), ("random", "complete")]
    assert all(len(run.final_weights) == 64 for run in runs)
    assert len({run.final_weights for run in runs}) == 2


def test_evaluations_can_be_rarer_and_change_nothing_else():
    often, rarely = (compared(config=settings(epochs=5, evaluate_every=every)) for every in (1, 2))
    for run, other in zip(rarely, often, strict=True):
        measured = [epoch.test for epoch in other.history]
        expected = [NOT_MEASURED, measured[1], NOT_MEASURED, measured[3], measured[4]]
        assert [epoch.test for epoch in run.history] == expected
        assert (run.final, run.final_weights) == (other.final, other.final_weights)


def test_empty_part_is_not_measured():
    run = compared(names=("random",), data=data_set(n_val=0))[0]
    assert run.final.val == Measurement(count=0, accuracy=None, loss=None)


def test_diverging_run_is_valid_json():
    run = compared(names=("full",), config=settings(lr=1e20, lr_schedule="constant"))[0]
    assert run.history[-1].loss is None
    json.dumps(run.to_json(), allow_nan=False)


def test_training_learns():
    data = data_set(n=120)
    config = settings(
        model="resnet18", image_size=32, epochs=6, candidate_size=30, filter_ratio=0.5
    )
    final = compared(names=("random",), data=data, config=config)[0].final
    assert final.train.accuracy > 0.6
    assert np.isfinite(final.test.loss)


def test_decoding_threads_always_end(monkeypatch):
    opened, closed = [], []
    begin, end = DecodedImages.__init__, DecodedImages.close

    def count_begin(self, *args, **options):
        opened.append(self)
        begin(self, *args, **options)

    def count_end(self):
        closed.append(self)
        end(self)

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(DecodedImages, "__init__", count_begin)
    monkeypatch.setattr(DecodedImages, "close", count_end)
    with pytest.raises(KeyboardInterrupt):
        compared(names=("full", "random"), on_step=stop)
    assert len(opened) == 5  # two methods, and train, val and test
    assert set(map(id, opened)) == set(map(id, closed))


def test_rejects_missing_features():
    with pytest.raises(ValueError, match="method 'fiedler' needs features"):
        compare(settings(), data_set(), [get_method("fiedler")])
