import copy

import numpy as np
import pytest
import torch
from train_helpers import data_set, features_of, settings

from spectral_select import n_kept
from spectral_select.integrations.backbones import build_classifier, hash_weights
from spectral_select.integrations.decoded import DecodedImages
from spectral_select.integrations.methods import (
    FEATURES,
    FRESH_LOSS,
    LAST_LOSS,
    Choice,
    Method,
    get_method,
)
from spectral_select.integrations.trainer import Trainer, evaluate


def trainer(method, data=None, config=None, seed=0, **options):
    method = get_method(method) if isinstance(method, str) else method
    data, config = data or data_set(), config or settings()
    model = build_classifier(config.model, 3, seed=seed)
    table = features_of(data)
    return Trainer(config, data.train, method, model, features=table, seed=seed, **options)


def batches(made, epoch):
    """Return the indices of an epoch's batches without training on them."""
    made.sampler.set_epoch(epoch)
    return [list(batch) for batch in made.sampler]


class Hardest(Method):
    """Keep the samples of highest fresh loss; remember what was seen."""

    name, summary, needs = "hardest", "", frozenset({FEATURES, LAST_LOSS, FRESH_LOSS})

    def __init__(self):
        self.seen = []

    def choose(self, candidates):
        losses = candidates.fresh_loss()
        self.seen.append((candidates, losses))
        return Choice(np.argsort(-losses)[: candidates.n_keep])


class Doubled(Method):
    """Keep the first ones and weigh them."""

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
            assert len(pairs) == whole.n_steps_per_epoch
            for candidates, kept in pairs:
                assert len(candidates) == 20
                assert len(set(kept)) == 4
                assert set(kept) <= set(candidates)


def test_seeds_and_epochs_give_other_orders():
    orders = {
        (seed, epoch): tuple(map(tuple, batches(trainer("full", seed=seed), epoch)))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4


@pytest.mark.parametrize("method", ["random", "fiedler"])
def test_what_is_not_chosen_is_never_loaded(method):
    data = data_set()
    made = trainer(method, data)
    chosen = {index for epoch in range(2) for batch in batches(made, epoch) for index in batch}
    made.warm_up()
    records = [made.train_epoch(epoch) for epoch in range(2)]
    assert set(data.train.loaded) == chosen
    assert len(data.train.loaded) == len(chosen) == sum(r["decoded"] for r in records)
    assert len(chosen) < len(data.train)


@pytest.mark.parametrize("method", ["full", "random", "fiedler"])
def test_an_epoch_reports_what_it_did(method):
    made = trainer(method)
    counted = []
    record = made.train_epoch(0, lambda n, loss, right: counted.append((n, float(loss), right)))
    kept = n_kept(20, made.filter_ratio)
    assert record["steps"] == made.n_steps_per_epoch == 3
    assert record["samples"] == 3 * kept
    assert [n for n, _, _ in counted] == [kept] * 3
    assert record["loss"] == pytest.approx(np.mean([loss for _, loss, _ in counted]), rel=1e-5)
    assert record["accuracy"] == pytest.approx(sum(int(r) for *_, r in counted) / (3 * kept))
    seconds = record["seconds"]
    assert all(value >= 0 for value in seconds.values())
    assert seconds["waiting"] + seconds["loading"] + seconds["training"] <= seconds["total"] + 1e-6


def test_learning_rate_follows_the_schedule_over_all_epochs():
    made = trainer("random", config=settings(lr_schedule="step", lr=0.01))
    rates = [made.train_epoch(epoch)["lr"] for epoch in range(2)]
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


def test_an_epoch_can_be_had_again_from_model_and_optimiser_alone():
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


def test_warming_up_leaves_no_trace():
    made = trainer("random")
    before = hash_weights(made.model)
    made.warm_up()
    assert hash_weights(made.model) == before
    assert not made.optimizer.state
    assert made.images.n_decoded == 0


def test_a_rule_may_use_losses_at_the_step():
    data, method = data_set(), Hardest()
    made = trainer(method, data)
    reference = batches(trainer("full"), 0)
    made.train_epoch(0)
    assert [c.indices.tolist() for c, _ in method.seen] == reference
    assert all(np.isnan(c.last_loss).all() for c, _ in method.seen)
    assert all(c.features.shape == (20, 6) for c, _ in method.seen)
    assert all(np.isfinite(losses).all() for _, losses in method.seen)
    assert np.isfinite(made.last_loss).sum() == 3 * 4
    made.train_epoch(1)
    again = np.concatenate([c.last_loss for c, _ in method.seen[3:]])
    assert 0 < np.isfinite(again).sum() <= 12


def test_a_fresh_loss_is_charged_to_selection_and_its_images_to_loading():
    data = data_set()
    record = trainer(Hardest(), data).train_epoch(0)
    assert record["decoded"] == 60
    assert record["samples"] == 12
    assert min(record["seconds"].values()) > 0


def test_weights_scale_the_gradient():
    rate = settings(lr=0.001, momentum=0.0, lr_schedule="constant")
    doubled = settings(lr=0.002, momentum=0.0, lr_schedule="constant")
    made, expected = trainer(Doubled(2.0), config=rate), trainer(Doubled(1.0), config=doubled)
    for each in (made, expected):
        each.train_epoch(0)
    for a, b in zip(made.model.parameters(), expected.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_too_few_samples():
    with pytest.raises(ValueError, match=r"candidate_size must be at most 64, .* got 65"):
        trainer("full", config=settings(candidate_size=65))


def test_features_are_required_where_they_are_needed():
    data, config = data_set(), settings()
    with pytest.raises(ValueError, match="method 'fiedler' needs features"):
        Trainer(config, data.train, get_method("fiedler"), build_classifier(config.model, 3))


def test_bfloat16_on_the_cpu():
    made = trainer("random", config=settings(amp=True))
    assert np.isfinite(made.train_epoch(0)["loss"])


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
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-4)


def test_evaluation_is_mean_cross_entropy_and_share_right():
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
    assert found["count"] == 300
    assert found["accuracy"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    expected = torch.nn.functional.cross_entropy(logits, labels).item()
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert model.training


def test_evaluating_nothing():
    data, config = data_set(n_val=0), settings()
    images = DecodedImages(data.val, config.image_size, cache_bytes=10**8)
    found = evaluate(torch.nn.Identity(), images, data.val.labels, config)
    assert found == {"count": 0, "accuracy": None, "loss": None}
