from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from spectral_select.integrations.methods.joint_sampling import chunk_sizes, sample_jointly


class Prescribed:
    """A generator that returns given Gumbel noise, chunk by chunk."""

    def __init__(self, noise):
        self.noise = iter(noise)

    def gumbel(self, size):
        noise = next(self.noise)
        assert noise.shape == (size,)
        return noise


def logits_given(S, taken, gain=1.0):
    """Return the logits by definition, from only S and the samples taken."""
    n = len(S)
    logits = [S[i, i] + sum(S[k, i] + S[i, k] for k in taken) for i in range(n)]
    return gain * np.array([-np.inf if i in taken else x for i, x in enumerate(logits)])


def law(S, n_keep, n_chunks, gain=1.0):
    """Return the probability of every ordered draw, by enumeration."""
    sizes = chunk_sizes(n_keep, n_chunks)
    found = {}
    for order in permutations(range(len(S)), n_keep):
        probability, start = 1.0, 0
        for size in sizes:
            logits = logits_given(S, order[:start], gain)
            weights = np.exp(logits - logits.max())
            for i in order[start : start + size]:
                probability *= weights[i] / weights.sum()
                weights[i] = 0
            start += size
        found[order] = probability
    return found


def assert_follows(draw, expected, n_draws):
    """Compare frequencies with a law, by a chi-square test with one false alarm in 1e9."""
    counts = dict.fromkeys(expected, 0)
    rng = np.random.default_rng(7)
    for _ in range(n_draws):
        counts[draw(rng)] += 1
    wanted = np.array([n_draws * p for p in expected.values()])
    seen = np.array([counts[key] for key in expected])
    rare = wanted < 8
    wanted = np.append(wanted[~rare], wanted[rare].sum())
    seen = np.append(seen[~rare], seen[rare].sum())
    if wanted[-1] < 8:  # the remainder is too small for a separate cell
        wanted = np.append(wanted[:-2], wanted[-2] + wanted[-1])
        seen = np.append(seen[:-2], seen[-2] + seen[-1])
    statistic = ((seen - wanted) ** 2 / wanted).sum()
    assert statistic < chi2.isf(1e-9, len(wanted) - 1)


@pytest.mark.parametrize(
    ("n", "n_keep", "n_chunks", "gain"),
    [(5, 3, 1, 1.0), (5, 3, 2, 1.0), (5, 3, 3, 0.5), (4, 4, 2, 1.0), (4, 3, 16, 2.0)],
)
def test_ordered_draws_follow_the_enumerated_law(n, n_keep, n_chunks, gain):
    S = np.random.default_rng(n + n_chunks).normal(size=(n, n))
    expected = law(S, n_keep, n_chunks, gain)
    assert sum(expected.values()) == pytest.approx(1)
    assert_follows(
        lambda rng: tuple(sample_jointly(S, n_keep, n_chunks, rng, gain=gain).tolist()),
        expected,
        5000,
    )


def test_comparison_with_the_law_can_fail():
    S = np.random.default_rng(0).normal(size=(5, 5))
    with pytest.raises(AssertionError):
        assert_follows(lambda rng: tuple(sample_jointly(S, 3, 3, rng).tolist()), law(S, 3, 2), 5000)


@given(st.data())
def test_draw_with_given_noise_follows_the_definition(data):
    # The samples with the largest sums of logit and standard Gumbel noise follow the law of
    # sequential draws. So it is enough to check that the noise is added to the right logits.
    n = data.draw(st.integers(2, 12))
    n_keep, n_chunks = data.draw(st.integers(1, n)), data.draw(st.integers(1, 14))
    gain = data.draw(st.sampled_from([1.0, 0.3, 4.0]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    S = rng.normal(size=(n, n)) * data.draw(st.sampled_from([0.1, 1.0, 30.0]))
    sizes = chunk_sizes(n_keep, n_chunks)
    noise = rng.gumbel(size=(len(sizes), n))
    taken = []
    for size, one in zip(sizes, noise, strict=True):
        keys = logits_given(S, taken, gain) + one
        taken += np.argsort(-keys)[:size].tolist()
    drawn = sample_jointly(S, n_keep, n_chunks, Prescribed(noise), gain=gain)
    assert drawn.tolist() == taken


@given(st.integers(0, 300), st.integers(1, 350))
def test_chunks_are_nearly_equal_and_add_up(n_keep, n_chunks):
    sizes = chunk_sizes(n_keep, n_chunks)
    assert sum(sizes) == n_keep
    assert len(sizes) == min(n_keep, n_chunks)
    assert not sizes or max(sizes) - min(sizes) <= 1


@settings(max_examples=200)
@given(
    n=st.integers(1, 60),
    share=st.floats(0, 1),
    n_chunks=st.integers(1, 70),
    scale=st.sampled_from([0.0, 1.0, 1e4, 1e30]),
    spoilt=st.sampled_from([0.0, 0.1, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32),
)
def test_exactly_n_keep_are_drawn_for_any_scores(n, share, n_chunks, scale, spoilt, dtype, seed):
    rng = np.random.default_rng(seed)
    S = (scale * rng.normal(size=(n, n))).astype(dtype)
    bad = rng.random((n, n)) < spoilt
    S[bad] = rng.choice([np.nan, np.inf, -np.inf], bad.sum())
    before = S.copy()
    n_keep = round(share * n)
    drawn = sample_jointly(S, n_keep, n_chunks, rng)
    assert drawn.dtype == np.int64
    assert len(drawn) == n_keep == len(set(drawn.tolist()))
    assert set(drawn.tolist()) <= set(range(n))
    np.testing.assert_array_equal(S, before)


def test_losses_of_ten_thousand_in_float32_do_not_overflow_and_decide():
    rng = np.random.default_rng(0)
    S = rng.uniform(-1e4, 1e4, (320, 320)).astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        drawn = sample_jointly(S, 64, 16, rng)
    # With gaps of this size, nothing is left to chance: each chunk has the largest logits.
    wide, taken = S.astype(np.float64), []
    for size in chunk_sizes(64, 16):
        logits = wide.diagonal() + wide[taken].sum(0) + wide[:, taken].sum(1)
        logits[taken] = -np.inf
        taken += np.argsort(-logits)[:size].tolist()
    assert len(set(drawn.tolist()) & set(taken)) >= 60


def test_small_differences_between_large_scores_count():
    # In float32, sums over the samples taken exceed 1e7 and would not resolve a difference of 1.
    S = np.full((3, 3), 1e4, np.float32)
    S[0, 0] = 1e4 + 1
    first = [sample_jointly(S, 1, 1, np.random.default_rng(seed))[0] for seed in range(4000)]
    share = np.mean(np.array(first) == 0)
    expected = np.e / (np.e + 2)
    assert abs(share - expected) < 6 * (expected * (1 - expected) / 4000) ** 0.5


def test_equal_scores_give_a_uniform_draw():
    expected = dict.fromkeys(permutations(range(5), 3), 1 / 60)
    S = np.full((5, 5), -2.5)
    assert_follows(lambda rng: tuple(sample_jointly(S, 3, 2, rng).tolist()), expected, 5000)


def test_scores_of_single_samples_rise_in_sharpness():
    s = np.array([0.2, -0.5, 1.0, 0.4])
    S = np.broadcast_to(s[:, None], (4, 4))
    for taken in ([], [2], [0, 3]):
        logits = logits_given(S, taken)
        left = [i for i in range(4) if i not in taken]
        flat = logits[left] - (1 + len(taken)) * s[left]
        np.testing.assert_allclose(flat, flat[0])


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_diverged_losses_come_last(bad):
    S = np.zeros((4, 4))
    S[1], S[:, 1] = bad, bad
    S[3, 3] = -1e3
    drawn = sample_jointly(S, 4, 4, np.random.default_rng(0))
    assert drawn[-1] == 1  # sample 1 has the lowest logit
    assert set(drawn[:2]) == {0, 2}


def test_infinite_learnability_counts_as_the_largest():
    S = np.zeros((4, 4))
    S[2, 2], S[1, 1] = np.inf, 500.0
    drawn = [sample_jointly(S, 1, 1, np.random.default_rng(seed))[0] for seed in range(200)]
    assert {1, 2} == set(drawn)


def test_draw_is_uniform_if_no_score_is_finite():
    S = np.full((4, 4), np.nan, np.float32)
    expected = dict.fromkeys(permutations(range(4), 2), 1 / 12)
    assert_follows(lambda rng: tuple(sample_jointly(S, 2, 2, rng).tolist()), expected, 4000)


@pytest.mark.parametrize(
    ("scores", "n_keep", "n_chunks", "message"),
    [
        (np.zeros((3, 2)), 1, 1, r"scores must have shape \(n, n\); got \(3, 2\)"),
        (np.zeros(3), 1, 1, r"scores must have shape \(n, n\); got \(3,\)"),
        (np.zeros((3, 3)), 4, 1, "n_keep must be at most 3, the size of scores; got 4"),
        (np.zeros((3, 3)), -1, 1, "n_keep must be an integer of at least 0; got -1"),
        (np.zeros((3, 3)), 1, 0, "n_chunks must be an integer of at least 1; got 0"),
    ],
)
def test_rejects_impossible_draws(scores, n_keep, n_chunks, message):
    with pytest.raises(ValueError, match=message):
        sample_jointly(scores, n_keep, n_chunks, np.random.default_rng(0))
