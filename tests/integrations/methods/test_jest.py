from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_select import n_kept
from spectral_select.integrations.methods import Candidates, Outputs, get_method


def outputs(n, n_classes, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return Outputs(
        (scale * rng.exponential(size=n)).astype(np.float32),
        rng.normal(size=(n, n_classes)).astype(np.float32),
        rng.uniform(-1, 1, (n, n_classes)).astype(np.float32),
    )


def candidates(labels, n_keep, learner, reference, seed=0):
    return Candidates(
        np.arange(len(labels)),
        labels,
        n_keep,
        np.random.default_rng(seed),
        fresh=lambda: learner,
        reference=reference,
    )


def some(n=40, n_classes=5, scale=1.0):
    labels = np.random.default_rng(9).integers(0, n_classes, n)
    return labels, outputs(n, n_classes, 1, scale), outputs(n, n_classes, 2, scale)


@pytest.mark.parametrize("name", ["jest", "jest-sigmoid"])
@given(
    n=st.integers(2, 50), ratio=st.floats(0, 0.95), n_chunks=st.integers(1, 60), seed=st.integers(0)
)
def test_exact_number_is_chosen(name, n, ratio, n_chunks, seed):
    labels, learner, reference = some(n, scale=1e4)
    method = get_method(f"{name}:n_chunks={n_chunks}")
    n_keep = n_kept(n, ratio)
    chosen = method.choose(candidates(labels, n_keep, learner, reference, seed)).positions
    assert len(chosen) == n_keep == len(set(chosen.tolist()))


@pytest.mark.parametrize("name", ["jest", "jest-sigmoid"])
def test_choice_is_a_function_of_the_generator(name):
    labels, learner, reference = some()
    method = get_method(name)
    chosen = [
        method.choose(candidates(labels, 8, learner, reference, seed)).positions.tolist()
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("match", ["class", "sample"])
def test_sigmoid_loss_is_that_of_each_pair(match):
    labels, learner, reference = some(12, 3)
    method = get_method(f"jest-sigmoid:t=4,bias=-1.5,match={match}")

    def loss(found, i, j):
        z = 1 if i == j or (match == "class" and labels[i] == labels[j]) else -1
        return log(1 + exp(-z * (4 * float(found.cosines[i, labels[j]]) - 1.5)))

    expected = [[loss(learner, i, j) - loss(reference, i, j) for j in range(12)] for i in range(12)]
    found = method.learnability(learner, reference, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_only_the_sigmoid_form_is_joint():
    labels, learner, reference = some(12, 3)

    def gains(name, taken):
        S = get_method(name).learnability(learner, reference, labels)
        return sum(S[k] + S[:, k] for k in taken)

    # With a loss per sample, the samples taken contribute by their number, not their identity.
    difference = gains("jest", [0, 1]) - gains("jest", [5, 7])
    np.testing.assert_allclose(difference, difference[0], atol=1e-5)
    assert np.ptp(gains("jest-sigmoid", [0, 1]) - gains("jest-sigmoid", [5, 7])) > 0.1


def test_matching_narrows_or_spreads_the_classes():
    labels = np.arange(60) % 10
    ignorant = Outputs(np.zeros(60), np.zeros((60, 10)), np.zeros((60, 10)))
    cosines = np.where(labels[:, None] == np.arange(10), 0.6, -0.1)
    expert = Outputs(np.zeros(60), np.zeros((60, 10)), cosines)
    n_classes = {}
    for match in ("class", "sample"):
        method = get_method(f"jest-sigmoid:match={match},t=20")
        chosen = [
            method.choose(candidates(labels, 10, ignorant, expert, seed)).positions
            for seed in range(40)
        ]
        n_classes[match] = np.mean([len(set(labels[c].tolist())) for c in chosen])
    assert n_classes["class"] < 3  # a random subset has about 6.8 classes
    assert n_classes["sample"] > 6.8


@pytest.mark.parametrize("n_chunks", [1, 3, 16])
def test_sample_form_is_sharpened_rho_loss_sampling(n_chunks):
    labels, learner, reference = some(20)
    method, noise = get_method(f"jest:n_chunks={n_chunks}"), np.random.default_rng(5)
    sizes = [9] if n_chunks == 1 else [3, 3, 3] if n_chunks == 3 else [1] * 9
    left, expected = np.arange(20), []
    s = learner.loss.astype(np.float64) - reference.loss
    for size in sizes:
        keys = (1 + len(expected)) * s + noise.gumbel(size=20)
        best = left[np.argsort(-keys[left])[:size]]
        expected += best.tolist()
        left = np.setdiff1d(left, best)
    chosen = method.choose(candidates(labels, 9, learner, reference, seed=5)).positions
    assert chosen.tolist() == expected


def test_one_chunk_follows_the_softmax_of_learnability():
    labels = np.zeros(4, np.int64)
    learner, reference = outputs(4, 2, 1), outputs(4, 2, 2)
    method, n = get_method("jest:gain=2"), 6000
    first = [
        method.choose(candidates(labels, 1, learner, reference, seed)).positions[0]
        for seed in range(n)
    ]
    weights = np.exp(2 * (learner.loss - reference.loss).astype(np.float64))
    expected = weights / weights.sum()
    counts = np.bincount(first, minlength=4)
    assert (abs(counts - n * expected) < 6 * np.sqrt(n * expected * (1 - expected)) + 1).all()


@pytest.mark.parametrize("name", ["jest", "jest-sigmoid"])
def test_choice_is_uniform_if_learner_equals_reference(name):
    labels, learner, _ = some(10)
    counts = np.zeros(10)
    for seed in range(1500):
        chosen = get_method(name).choose(candidates(labels, 3, learner, learner, seed))
        counts[chosen.positions] += 1
    assert (abs(counts - 450) < 6 * (1500 * 0.3 * 0.7) ** 0.5).all()


@pytest.mark.parametrize("name", ["jest", "jest-sigmoid"])
def test_sample_that_only_the_reference_knows_is_chosen(name):
    labels = np.array([0, 1, 0, 1])
    unsure = Outputs(np.full(4, 40.0), np.zeros((4, 2)), np.zeros((4, 2)))
    cosines = np.zeros((4, 2))
    cosines[2] = [1, -1]
    known = Outputs(np.array([40.0, 40.0, 0.0, 40.0]), np.zeros((4, 2)), cosines)
    method = get_method(name if name == "jest" else "jest-sigmoid:t=100")
    for seed in range(20):
        assert method.choose(candidates(labels, 1, unsure, known, seed)).positions.tolist() == [2]


@pytest.mark.parametrize("name", ["jest", "jest-sigmoid"])
def test_accepts_a_diverged_network(name):
    labels, learner, reference = some(10)
    lost = Outputs(
        *(
            np.full_like(a, bad)
            for a, bad in zip(
                (learner.loss, learner.logits, learner.cosines),
                (np.inf, np.nan, np.nan),
                strict=True,
            )
        )
    )
    for first, second in ((lost, reference), (learner, lost), (lost, lost)):
        assert len(get_method(name).choose(candidates(labels, 4, first, second)).positions) == 4


@pytest.mark.parametrize("missing", ["fresh", "reference"])
def test_rejects_missing_outputs(missing):
    labels, learner, reference = some(4)
    bare = replace(candidates(labels, 2, learner, reference), **{missing: None})
    with pytest.raises(ValueError, match=f"requires candidates.{missing}; got None"):
        get_method("jest").choose(bare)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("jest:n_chunks=0", "n_chunks must be an integer of at least 1; got 0"),
        ("jest:gain=0", r"gain must be a number in \(0, inf\); got 0.0"),
        ("jest:gain=nan", r"gain must be a number in \(0, inf\); got nan"),
        ("jest-sigmoid:t=-1", r"t must be a number in \(0, inf\); got -1.0"),
        ("jest-sigmoid:bias=inf", r"bias must be a number in \(-inf, inf\); got inf"),
        ("jest-sigmoid:match=pair", "match must be one of 'class', 'sample'; got 'pair'"),
        ("jest:t=1", "has no option 't'; options of jest: n_chunks, gain"),
    ],
)
def test_rejects_invalid_options(spec, message):
    with pytest.raises(ValueError, match=message):
        get_method(spec)
