import copy
import io
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from train_helpers import data_set, features_of, settings

from spectral_select import LinearSchedule, n_kept
from spectral_select.integrations.data.decoding import DecodedImages
from spectral_select.integrations.methods import (
    FEATURES,
    FRESH,
    LAST_LOSS,
    PROGRESS,
    REFERENCE,
    Choice,
    Method,
    Outputs,
    get_method,
)
from spectral_select.integrations.models.backbones import build_classifier, hash_weights
from spectral_select.integrations.records.run_records import Measurement
from spectral_select.integrations.training import trainer as trainer_module
from spectral_select.integrations.training.evaluation import evaluate
from spectral_select.integrations.training.trainer import Trainer


def trainer(method, data=None, config=None, seed=0, **options):
    method = get_method(method) if isinstance(method, str) else method
    data, config = data or data_set(), config or settings()
    model = build_classifier(config.model, 3, seed=seed)
    table = features_of(data)
    dynamics = np.random.default_rng(4).random((len(data.train), 30))
    options = {"clean": data.val, "dynamics": dynamics} | options
    return Trainer(config, data.train, method, model, features=table, seed=seed, **options)


def batches(made, epoch):
    """Return the indices of an epoch's batches, without training."""
    made.sampler.set_epoch(epoch)
    return [list(batch) for batch in made.sampler]


class Hardest(Method):
    """Selects the samples with the highest fresh loss; records its inputs."""

    name, summary, needs = "hardest", "", frozenset({FEATURES, LAST_LOSS, FRESH})

    def __init__(self):
        self.seen = []

    def choose(self, candidates):
        losses = candidates.fresh().loss
        self.seen.append((candidates, losses))
        return Choice(np.argsort(-losses)[: candidates.n_keep])


class Doubled(Method):
    """Selects the first candidates and weights them."""

    name, summary, weighted = "doubled", "", True

    def __init__(self, weight=2.0):
        self.weight = weight

    def choose(self, candidates):
        return Choice(np.arange(candidates.n_keep), np.full(candidates.n_keep, self.weight))


@pytest.mark.parametrize("seed", [0, 5])
def test_all_methods_choose_from_the_same_candidate_batches(seed):
    whole = trainer("full", seed=seed)
    for name in ("random", "fiedler", "stratified"):
        chosen = trainer(name, seed=seed)
        for epoch in range(3):
            pairs = list(zip(batches(whole, epoch), batches(chosen, epoch), strict=True))
            assert len(pairs) == whole.budget.n_steps_per_epoch
            for candidates, kept in pairs:
                assert len(candidates) == 20
                assert len(set(kept)) == 4
                assert set(kept) <= set(candidates)


def test_seeds_and_epochs_change_the_order():
    orders = {
        (seed, epoch): tuple(map(tuple, batches(trainer("full", seed=seed), epoch)))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4


@pytest.mark.parametrize("method", ["random", "fiedler"])
def test_unselected_samples_are_never_loaded(method):
    data = data_set()
    made = trainer(method, data)
    chosen = {index for epoch in range(2) for batch in batches(made, epoch) for index in batch}
    made.warm_up()
    records = [made.train_epoch(epoch) for epoch in range(2)]
    assert set(data.train.loaded) == chosen
    assert len(data.train.loaded) == len(chosen) == sum(r.decoded for r in records)
    assert len(chosen) < len(data.train)


def timings(record):
    return [seconds for seconds in record.seconds.to_json().values() if seconds is not None]


@pytest.mark.parametrize("method", ["full", "random", "fiedler"])
def test_epoch_returns_its_record(method):
    made = trainer(method)
    counted = []
    record = made.train_epoch(0, lambda n, loss, right: counted.append((n, float(loss), right)))
    kept = n_kept(20, made.budget.schedule(0))
    assert record.steps == made.budget.n_steps_per_epoch == 3
    assert record.samples == 3 * kept
    assert [n for n, _, _ in counted] == [kept] * 3
    assert record.loss == pytest.approx(np.mean([loss for _, loss, _ in counted]), rel=1e-5)
    assert record.accuracy == pytest.approx(sum(int(r) for *_, r in counted) / (3 * kept))
    seconds = record.seconds
    assert min(timings(record)) >= 0
    assert seconds.waiting + seconds.loading + seconds.training <= seconds.total + 1e-6


def test_learning_rate_follows_the_schedule_over_all_epochs():
    made = trainer("random", config=settings(lr_schedule="step", lr=0.01))
    rates = [made.train_epoch(epoch).lr for epoch in range(2)]
    assert rates == pytest.approx([0.01, 0.0001])


@pytest.mark.parametrize("method", ["full", "random", "fiedler"])
def test_same_seed_same_weights(method):
    first, second, other = trainer(method), trainer(method), trainer(method, seed=1)
    initial = hash_weights(first.model)
    state = torch.get_rng_state()
    for made in (first, second, other):
        made.warm_up()
        made.train_epoch(0)
    assert torch.equal(torch.get_rng_state(), state)
    assert hash_weights(first.model) == hash_weights(second.model) != initial
    assert hash_weights(other.model) != hash_weights(first.model)


def test_loading_ahead_changes_nothing_but_the_time():
    inline, ahead = trainer("fiedler"), trainer("fiedler", config=settings(prefetch=2))
    for made in (inline, ahead):
        made.train_epoch(0)
    assert hash_weights(inline.model) == hash_weights(ahead.model)


def test_epoch_is_reproducible_from_model_and_optimizer():
    made = trainer("random")
    made.train_epoch(0)
    model = copy.deepcopy(made.model.state_dict())
    optimizer = copy.deepcopy(made.optimizer.state_dict())
    made.train_epoch(1)
    resumed = trainer("random")
    resumed.model.load_state_dict(model)
    resumed.optimizer.load_state_dict(optimizer)
    resumed.train_epoch(1)
    assert hash_weights(resumed.model) == hash_weights(made.model)


def test_warm_up_changes_nothing():
    made = trainer("random")
    before = hash_weights(made.model)
    made.warm_up()
    assert hash_weights(made.model) == before
    assert not made.optimizer.state
    assert made.inputs.n_decoded == 0


def test_method_can_use_losses_at_the_step():
    data, method = data_set(), Hardest()
    made = trainer(method, data)
    reference = batches(trainer("full"), 0)
    made.train_epoch(0)
    assert [c.indices.tolist() for c, _ in method.seen] == reference
    assert all(np.isnan(c.last_loss).all() for c, _ in method.seen)
    assert all(c.features.shape == (20, 6) for c, _ in method.seen)
    assert all(np.isfinite(losses).all() for _, losses in method.seen)
    assert int(made.last_loss.isfinite().sum()) == 3 * 4
    made.train_epoch(1)
    again = np.concatenate([c.last_loss for c, _ in method.seen[3:]])
    assert 0 < np.isfinite(again).sum() <= 12


def test_fresh_loss_is_charged_to_selection_and_its_images_to_loading():
    data = data_set()
    record = trainer(Hardest(), data).train_epoch(0)
    assert record.decoded == 60
    assert record.samples == 12
    assert min(timings(record)) > 0


def test_gradients_are_clipped_to_a_norm():
    def distance(clip_norm):
        config = settings(clip_norm=clip_norm, lr=0.1, momentum=0.0, lr_schedule="constant")
        made = trainer("random", config=config)
        before = [p.detach().clone() for p in made.model.parameters()]
        made.train_epoch(0)
        moved = [p - q for p, q in zip(made.model.parameters(), before, strict=True)]
        return float(torch.stack([change.detach().norm() for change in moved]).norm())

    n_steps = len(batches(trainer("random"), 0))
    assert 0 < distance(0.01) <= 0.1 * 0.01 * n_steps * 1.001 < distance(None)
    assert distance(1e9) == distance(None)


def test_weights_scale_the_gradient():
    rate = settings(lr=0.001, momentum=0.0, lr_schedule="constant")
    doubled = settings(lr=0.002, momentum=0.0, lr_schedule="constant")
    made, expected = trainer(Doubled(2.0), config=rate), trainer(Doubled(1.0), config=doubled)
    for each in (made, expected):
        each.train_epoch(0)
    for a, b in zip(made.model.parameters(), expected.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def stopped_after(made, steps):
    """Return the state of a trainer after `steps` steps, saved and loaded."""
    taken, state = 0, io.BytesIO()

    def on_step(n, loss, right):
        nonlocal taken
        taken += 1
        if taken == steps:
            torch.save(made.state_dict(), state)
            raise InterruptedError

    with suppress(InterruptedError):
        for epoch in range(made.budget.n_epochs):
            made.train_epoch(epoch, on_step)
    assert taken == steps
    state.seek(0)
    return torch.load(state, weights_only=True)


def timeless(record):
    return record.to_json() | {"seconds": None}


@pytest.mark.parametrize(
    ("method", "prefetch", "cache_bytes"),
    [
        ("full", 2, 10**8),
        ("random", 0, 10**8),
        ("fiedler", 2, 0),
        ("guided", 0, 10**8),
        ("turns", 2, 10**8),
        ("dual", 2, 10**8),
        ("pfb", 2, 10**8),
        ("infobatch", 0, 10**8),
        ("orderdp", 0, 10**8),
        ("repb", 0, 10**8),
        ("seta", 0, 10**8),
        ("alignprune", 0, 10**8),
        ("top-loss", 0, 0),
    ],
)
def test_resuming_within_an_epoch_is_exact(method, prefetch, cache_bytes):
    config = settings(prefetch=prefetch, cache_bytes=cache_bytes)
    whole = trainer(method, config=config)
    whole.warm_up()
    records = [timeless(whole.train_epoch(epoch)) for epoch in range(2)]
    for steps in (1, 3, 5):
        state = stopped_after(trainer(method, config=config), steps)
        made = trainer(method, config=config, seed=0)
        made.warm_up()
        epoch = (steps - 1) // 3
        made.load_state_dict(state, next_epoch=epoch)
        found = [timeless(made.train_epoch(each)) for each in range(epoch, 2)]
        assert found == records[epoch:]
        assert hash_weights(made.model) == hash_weights(whole.model)
        torch.testing.assert_close(made.last_loss, whole.last_loss, rtol=0, atol=0, equal_nan=True)
        for chosen, expected in zip(made.first_choices(), whole.first_choices(), strict=True):
            assert [part.tolist() for part in chosen] == [part.tolist() for part in expected]


def test_resumes_the_gradient_scale(monkeypatch):
    monkeypatch.setattr(trainer_module, "amp_dtype", lambda device: torch.float16)
    config = settings(amp=True)
    whole = trainer("random", config=config)
    for epoch in range(2):
        whole.train_epoch(epoch)
    state = stopped_after(trainer("random", config=config), 4)
    assert state["scaler"]["scale"] > 1
    made = trainer("random", config=config)
    made.load_state_dict(state, next_epoch=1)
    made.train_epoch(1)
    assert made.state_dict()["scaler"] == whole.state_dict()["scaler"] != {}
    assert hash_weights(made.model) == hash_weights(whole.model)


def test_skipped_batches_are_not_selected_again():
    state = stopped_after(trainer("fiedler"), 2)
    made = trainer("fiedler")
    made.load_state_dict(state, next_epoch=0)
    made.train_epoch(0)
    assert made.sampler.timings.n_batches == 1


def test_stop_between_steps_does_not_count_as_training():
    made, pause = trainer("random"), 0.3

    def on_step(n, loss, right):
        with made.stopped_clock():
            time.sleep(pause)

    begin = time.perf_counter()
    total = made.train_epoch(0, on_step).seconds.total
    assert total <= time.perf_counter() - begin - 3 * pause


def test_rejects_state_of_another_epoch_or_number_of_processes():
    state = stopped_after(trainer("random"), 4)
    made = trainer("random")
    made.load_state_dict(state, next_epoch=1)
    with pytest.raises(ValueError, match="epoch must be 1, the epoch of the loaded state; got 0"):
        made.train_epoch(0)
    state["ranks"] *= 2
    with pytest.raises(ValueError, match="state must be from 1 processes; got one from 2"):
        trainer("random").load_state_dict(state, next_epoch=1)


class HostReads(TorchFunctionMode):
    """Counts operations that make the host wait for a device."""

    names = frozenset({"item", "cpu", "tolist", "numpy", "__bool__", "__float__", "__int__"})

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += getattr(function, "__name__", "") in self.names
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("method", ["full", "random", "fiedler"])
def test_host_waits_for_the_device_once_per_epoch(method):
    counts = []
    for n in (40, 400):
        made = trainer(method, data_set(n))
        made.train_epoch(0)
        with HostReads() as reads:
            assert made.train_epoch(1).steps == n // 20
        counts.append(reads.count)
    assert counts[0] == counts[1] > 0


# torch warns about the first release of Python 3.13 (3.13.0).
@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")
def test_compiled_steps_train_the_same_network(monkeypatch):
    compiled = []

    def traced(module):
        compiled.append(module)
        return compile_module(module, backend="eager")

    compile_module = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    config = settings(model="resnet18", image_size=32)
    made, plain = (
        trainer("top-loss", config=replace(config, compile=True)),
        trainer("top-loss", config=config),
    )
    for each in (made, plain):
        each.warm_up()
        each.train_epoch(0)
    assert compiled == [made.model]
    assert hash_weights(made.model) == hash_weights(plain.model)


def test_rejects_wrong_number_of_ranks():
    with pytest.raises(ValueError, match="n_ranks must be 1, the size of the process group; got 2"):
        trainer("full", config=settings(n_ranks=2, filter_ratio=0.5))


def test_rejects_too_few_samples():
    with pytest.raises(ValueError, match=r"candidate_size must be at most 64, .* got 65"):
        trainer("full", config=settings(candidate_size=65))


def test_features_are_required_if_the_method_needs_them():
    data, config = data_set(), settings()
    with pytest.raises(ValueError, match="method 'fiedler' needs features"):
        Trainer(config, data.train, get_method("fiedler"), build_classifier(config.model, 3))


def test_bfloat16_on_the_cpu():
    made = trainer("random", config=settings(amp=True))
    assert np.isfinite(made.train_epoch(0).loss)


def test_channels_last_is_the_same_network():
    data, config = data_set(), settings()
    rows = DecodedImages(data.test, config.image_size, cache_bytes=10**8)
    found = [
        evaluate(
            trainer("full", config=settings(channels_last=layout)).model,
            rows,
            data.test.labels,
            settings(channels_last=layout),
        )
        for layout in (False, True)
    ]
    assert found[0].loss == pytest.approx(found[1].loss, rel=1e-4)


def test_evaluation_is_mean_cross_entropy_and_accuracy():
    data, config = data_set(n_test=300), settings()
    logits = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))

    class Table(torch.nn.Module):
        at = 0

        def forward(self, images):
            part = logits[self.at : self.at + len(images)]
            self.at += len(images)
            return part

    model = Table().train()
    images = DecodedImages(data.test, config.image_size, cache_bytes=10**8)
    found = evaluate(model, images, data.test.labels, config)
    labels = torch.from_numpy(data.test.labels)
    assert found.count == 300
    assert found.accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    expected = torch.nn.functional.cross_entropy(logits, labels).item()
    assert found.loss == pytest.approx(expected, rel=1e-5)
    assert model.training


def test_evaluating_nothing():
    data, config = data_set(n_val=0), settings()
    images = DecodedImages(data.val, config.image_size, cache_bytes=10**8)
    found = evaluate(torch.nn.Identity(), images, data.val.labels, config)
    assert found == Measurement(count=0, accuracy=None, loss=None)


def test_keeps_the_first_choices():
    for method in ("random", "fiedler", "guided", Hardest()):
        made = trainer(method)
        assert made.first_choices() == []
        made.warm_up()
        for epoch in range(2):
            made.train_epoch(epoch)
        expected = batches(trainer("full"), 0)[:2]
        chosen = made.first_choices()
        assert [candidates.tolist() for candidates, _ in chosen] == expected
        assert all(set(kept) < set(candidates) for candidates, kept in chosen)


def test_epoch_of_one_step_has_one_first_choice():
    made = trainer("random", config=settings(candidate_size=50))
    for epoch in range(2):
        made.train_epoch(epoch)
    assert [len(kept) for _, kept in made.first_choices()] == [10]


def test_short_budget_ends_with_the_last_learning_rate():
    made = trainer("full-short", config=settings(epochs=7, lr_schedule="step", lr=0.01))
    assert (made.budget.n_steps, made.budget.n_epochs) == (4, 2)  # a fifth of 7 × 3, rounded
    records = [made.train_epoch(epoch) for epoch in range(2)]
    assert [record.steps for record in records] == [3, 1]
    assert [record.samples for record in records] == [60, 20]
    assert records[-1].lr == pytest.approx(0.0001)


def test_schedule_changes_what_is_kept_by_epoch():
    for method in ("gstds:start=0.8,end=0.5", Scheduled()):
        made = trainer(method)
        records = [made.train_epoch(epoch) for epoch in range(2)]
        assert [record.samples for record in records] == [12, 30]
        assert [record.filter_ratio for record in records] == [0.8, 0.5]


class Scheduled(Doubled):
    """Selects at the training step, following a schedule."""

    def schedule(self, filter_ratio, n_epochs):
        return LinearSchedule(0.8, 0.5, n_epochs=n_epochs)


class Informed(Method):
    """Records everything that a method can request."""

    name, summary = "informed", ""
    needs = frozenset({REFERENCE, LAST_LOSS, PROGRESS, FRESH})

    def __init__(self):
        self.seen = []

    def precompute(self, labels, features):
        return labels * 10

    def choose(self, candidates):
        self.seen.append(candidates)
        return Choice(np.arange(candidates.n_keep))


def test_methods_receive_reference_progress_and_precomputed_values():
    data, method = data_set(), Informed()
    config = settings()
    table = np.arange(64 * 3, dtype=np.float32).reshape(64, 3)
    reference = Outputs(table[:, 0], table, -table)
    model = build_classifier(config.model, 3)
    with pytest.raises(ValueError, match="'informed' needs the outputs of a reference model"):
        Trainer(config, data.train, method, model)
    made = Trainer(config, data.train, method, model, reference=reference)
    for epoch in range(2):
        made.train_epoch(epoch)
    assert [c.progress for c in method.seen] == pytest.approx([k / 6 for k in range(6)])
    assert np.isnan(method.seen[0].mean_last_loss)
    assert method.seen[-1].mean_last_loss == pytest.approx(float(made.last_loss.nanmean()), rel=0.5)
    for candidates in method.seen:
        assert np.array_equal(candidates.precomputed, candidates.labels * 10)
        assert np.array_equal(candidates.reference.logits, table[candidates.indices])
        assert np.array_equal(candidates.reference.loss, table[candidates.indices, 0])
