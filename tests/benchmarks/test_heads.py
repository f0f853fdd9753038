import numpy as np
import pytest
from _accuracy_runs import load_data
from _budgets import BUDGETS, FORWARD, CannotTrainError, canonical, limit_of
from _conditions import make_condition
from _heads import Problem, train

from spectral_select import LinearSchedule
from spectral_select.integrations.methods import (
    CLEAN,
    DYNAMICS,
    FEATURES,
    FRESH,
    LAST_LOSS,
    PROGRESS,
    REFERENCE,
    Choice,
    Method,
    get_method,
    method_names,
)
from spectral_select.integrations.training.config import TrainConfig

CONFIG = TrainConfig(epochs=3, candidate_size=64, filter_ratio=0.75)


@pytest.fixture(scope="module")
def digits():
    return load_data(["digits"])


@pytest.fixture(scope="module")
def problem(digits):
    pool = make_condition("as-is", digits.features, digits.labels, 0)
    return Problem(pool, digits.test_features, digits.test_labels, digits.n_classes, seed=0)


class Probe(Method):
    """Selects the first candidates, and records everything that it receives."""

    name = "probe"
    summary = "the first candidates"
    needs = frozenset({FEATURES, FRESH, LAST_LOSS, PROGRESS, REFERENCE})

    def __init__(self, **fields):
        self.seen = []
        self.__dict__ |= fields

    def precompute(self, labels, features):
        return np.column_stack([labels, features[:, 0]])

    def choose(self, candidates):
        self.seen.append((candidates, candidates.fresh()))
        return Choice(np.arange(candidates.n_keep))


def test_methods_receive_the_features_to_choose_by(digits):
    pool = make_condition("as-is", digits.features, digits.labels, 0)
    few = digits.features[:, :9]
    held = digits.test_features, digits.test_labels, digits.n_classes
    probe = Probe()
    train(Problem(pool, *held, 0, few), probe, CONFIG, "steps", 1e-3)
    candidates, outputs = probe.seen[0]
    np.testing.assert_array_equal(candidates.features, few[candidates.indices])
    assert outputs.embeddings.shape[1] == 256

    def accuracy(choose_by):
        found = train(
            Problem(pool, *held, 0, choose_by), get_method("guided"), CONFIG, "steps", 1e-3
        )
        return found["accuracy"], found["seen"]

    assert accuracy(None) == accuracy(digits.features)
    assert accuracy(few) != accuracy(None)


# --- budgets and costs ---


@pytest.mark.parametrize("name", method_names())
@pytest.mark.parametrize("budget", BUDGETS)
def test_every_method_trains_within_its_budget(problem, name, budget):
    method = get_method(name)
    try:
        found = train(problem, method, CONFIG, budget, 3e-3)
    except CannotTrainError:
        assert budget == "first-run"
        assert method.needs & {DYNAMICS, REFERENCE}
        return
    n_steps, kept = 3 * (1198 // 64), 16
    assert 0 <= found["worst"] <= found["balanced"] <= 1
    assert 0 < found["seen"] <= 1
    if name == "full":
        assert (found["steps"], found["samples"]) == (n_steps, 64 * n_steps)
    elif name == "full-short":
        assert found["samples"] == pytest.approx(n_steps * kept, abs=32)
    elif budget == "steps":
        assert (found["steps"], found["samples"]) == (n_steps, n_steps * kept)
    elif budget == "samples":
        assert found["samples"] == pytest.approx(n_steps * kept, abs=32)
    else:
        charged = found["one_off"] if budget == "first-run" else 0
        most = kept + FORWARD * (64 * (FRESH in method.needs) + 12 * (CLEAN in method.needs))
        assert found["cost"] + charged == pytest.approx(n_steps * kept, abs=most)
    if CLEAN in method.needs:  # scores 1% of the pool after each epoch
        n_scored = (found["cost"] - found["samples"]) / (12 * FORWARD)
        assert n_scored == pytest.approx(round(n_scored))
    elif FRESH not in method.needs:
        assert found["cost"] == found["samples"]
    elif name != "selective-backprop":  # it does not score every batch
        assert found["cost"] == pytest.approx(found["samples"] + found["steps"] * 64 / 3)


@pytest.mark.parametrize("name", method_names())
def test_equivalent_budgets_give_equal_results(problem, name):
    method = get_method(name)
    what = ("accuracy", "balanced", "seen", "steps", "samples", "cost", "one_off")
    for budget in BUDGETS:
        trained = canonical(method, budget, CONFIG)
        assert canonical(method, trained, CONFIG) == trained
        if trained != budget:
            a, b = (train(problem, method, CONFIG, each, 3e-3) for each in (budget, trained))
            assert {key: a[key] for key in what} == {key: b[key] for key in what}


def test_first_run_is_charged_for_embeddings_and_a_reference_model():
    n, everything = 1280, 3 * 20 * 16
    features, joint = get_method("guided-fresh"), get_method("jest")
    assert limit_of(get_method("random"), "first-run", CONFIG, n, 0).amount == 60  # steps
    assert limit_of(features, "wall-clock", CONFIG, n, 0).amount == everything
    limit = limit_of(features, "first-run", CONFIG, n, 0)
    assert limit.amount == pytest.approx(everything - n / 3)
    limit = limit_of(joint, "first-run", CONFIG, n, 500)
    assert (limit.unit, limit.amount, limit.one_off) == ("cost", everything - 500, 500)
    with pytest.raises(CannotTrainError, match=r"1000 units use up the budget of 960"):
        limit_of(joint, "first-run", CONFIG, n, 1000)


def test_preliminary_training_is_charged_once(problem):
    n, size, dual = len(problem.pool), 64, get_method("dual:epochs=4,window=2")
    p = problem.dynamics(4, size)
    assert p.shape == (n, 4)
    assert ((p >= 0) & (p <= 1)).all()
    assert p[:, -1].mean() > p[:, 0].mean() + 0.1
    found = train(problem, dual, CONFIG, "steps", 3e-3)
    assert found["one_off"] == 4 * (n // size) * size
    assert found["cost"] == found["samples"] == 3 * (n // size) * 16
    # The method trains on a single subset, as large as an epoch.
    assert found["seen"] == pytest.approx((n // size) * 16 / n)
    assert canonical(dual, "wall-clock", CONFIG) == "steps"
    with pytest.raises(CannotTrainError, match="use up the budget"):
        train(problem, dual, CONFIG, "first-run", 3e-3)


def test_clean_set_has_true_labels_and_is_charged_after_each_epoch(digits):
    pool = make_condition("wrong-labels", digits.features, digits.labels, 0)
    np.testing.assert_array_equal(pool.true_labels, digits.labels[pool.indices])
    problem = Problem(pool, digits.test_features, digits.test_labels, digits.n_classes, seed=0)
    rows, labels = problem.clean_set()
    n_clean = round(0.01 * len(pool))
    assert len(rows) == len(labels) == n_clean
    inputs, _ = problem.rows(np.arange(len(pool)))
    places = (inputs[None] == rows[:, None]).all(2).int().argmax(1)
    assert labels.tolist() == pool.true_labels[places].tolist()
    config = TrainConfig(epochs=5, candidate_size=64, filter_ratio=0.0)
    found = train(problem, get_method("alignprune"), config, "steps", 3e-3)
    n_scored = (found["cost"] - found["samples"]) / (n_clean * FORWARD)
    assert n_scored >= 4  # five epochs of steps, and more epochs of candidates
    assert n_scored == pytest.approx(round(n_scored))


def test_rejects_pool_smaller_than_a_candidate_batch(problem):
    config = TrainConfig(epochs=1, candidate_size=1200)
    with pytest.raises(CannotTrainError, match="needs 1200 samples, but the pool has 1198"):
        train(problem, get_method("random"), config, "steps", 1e-3)


def test_schedule_is_completed_within_the_budget(problem):
    schedule = LinearSchedule(0.9, 0.1, n_epochs=3)
    for budget in ("samples", "wall-clock"):
        probe = Probe(schedule=lambda *_: schedule)
        train(problem, probe, CONFIG, budget, 1e-3)
        kept = [candidates.n_keep for candidates, _ in probe.seen]
        assert sorted(set(kept)) == [6, 32, 57]
        assert kept == sorted(kept)


# --- inputs of methods ---


def test_candidates_have_the_values_of_the_driver(problem):
    probe = Probe()
    found = train(problem, probe, CONFIG, "steps", 3e-3)
    pool = problem.pool
    table = np.full(len(pool), np.nan, np.float32)
    for number, (candidates, outputs) in enumerate(probe.seen):
        indices = candidates.indices
        assert len(indices) == 64
        np.testing.assert_array_equal(candidates.labels, pool.labels[indices])
        np.testing.assert_array_equal(candidates.features, pool.features[indices])
        np.testing.assert_array_equal(candidates.precomputed[:, 0], pool.labels[indices])
        np.testing.assert_array_equal(candidates.last_loss, table[indices])
        np.testing.assert_allclose(
            candidates.mean_last_loss, np.nanmean(table) if number else np.nan, rtol=1e-6
        )
        assert candidates.reference.logits.shape == outputs.logits.shape == (64, 10)
        assert candidates.step == number
        assert candidates.progress == pytest.approx(number / found["steps"])
        # The training loss equals the loss in the forward pass just before the step.
        table[indices[: candidates.n_keep]] = outputs.loss[: candidates.n_keep]
        # Cosines and embeddings belong to the layer that computes the logits.
        norms = np.linalg.norm(outputs.embeddings, axis=1)
        assert outputs.embeddings.shape == (64, 256)
        assert (np.abs(outputs.cosines) <= 1 + 1e-5).all()
        assert (norms > 0).all()
    epochs = [
        np.concatenate([c.indices for c, _ in probe.seen[start : start + 18]])
        for start in (0, 18, 36)
    ]
    for epoch in epochs:
        assert len(np.unique(epoch)) == 18 * 64
    assert not np.array_equal(epochs[0], epochs[1])


def test_first_batch_is_the_same_for_all_methods_and_fixed_by_the_seed(problem, digits):
    a, b = Probe(), Probe()
    train(problem, a, CONFIG, "steps", 3e-3)
    train(problem, b, CONFIG, "samples", 1e-3)
    np.testing.assert_array_equal(a.seen[0][0].indices, b.seen[0][0].indices)
    np.testing.assert_array_equal(a.seen[0][1].logits, b.seen[0][1].logits)
    assert a.seen[0][0].rng.random() == b.seen[0][0].rng.random()
    other = Problem(problem.pool, digits.test_features, digits.test_labels, 10, seed=1)
    c = Probe()
    train(other, c, CONFIG, "steps", 3e-3)
    assert not np.array_equal(a.seen[0][0].indices, c.seen[0][0].indices)


def test_reference_scores_samples_it_was_not_trained_on(digits):
    # Random labels can be memorized, but not predicted.
    labels = np.random.default_rng(0).integers(10, size=len(digits.labels))
    pool = make_condition("as-is", digits.features, labels, 0)
    blind = Problem(pool, digits.features, labels, 10, seed=0)
    found = blind.reference(30, 64)
    assert (found.outputs.logits.argmax(1) == labels).mean() < 0.15
    assert found.cost == pytest.approx(30 * 1198 + 1198 / 3, rel=0.05)
    learnt = train(
        blind, get_method("full"), TrainConfig(epochs=30, candidate_size=64), "steps", 3e-3
    )
    assert learnt["accuracy"] > 0.5


def test_weights_scale_the_loss(problem):
    class Weighted(Probe):
        needs = frozenset()
        weighted = True

        def choose(self, candidates):
            return Choice(np.arange(candidates.n_keep), np.full(candidates.n_keep, self.weight))

        def precompute(self, labels, features):
            return None

    class Plain(Weighted):
        weighted = False

        def choose(self, candidates):
            return Choice(np.arange(candidates.n_keep))

    ones = train(problem, Weighted(weight=1.0), CONFIG, "steps", 3e-3)
    plain = train(problem, Plain(), CONFIG, "steps", 3e-3)
    nothing = train(problem, Weighted(weight=0.0), CONFIG, "steps", 3e-3)
    assert ones["accuracy"] == plain["accuracy"] > 0.5
    assert nothing["accuracy"] < 0.3  # with a gradient of 0, Adam does not change the weights
