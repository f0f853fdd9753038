import pickle
import warnings
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from spectral_select import GuidedBatchSelector, find_wrong_labels, n_kept
from spectral_select._selectors.guided_weights import ScoredLabels, fill_unknown, parts_of_scores

ratios = st.floats(0, 0.99)

DROPS_ROWS = "the output has fewer rows than the input"
ANY_TABLE = "any table aligned by row may be transformed, whatever its columns"
EXPECTED = {
    "check_transformer_general": DROPS_ROWS,
    "check_transformer_data_not_an_array": DROPS_ROWS,
    "check_methods_subset_invariance": DROPS_ROWS,
    "check_methods_sample_order_invariance": DROPS_ROWS,
    "check_fit_idempotent": DROPS_ROWS,
    "check_n_features_in_after_fitting": ANY_TABLE,
}


@parametrize_with_checks(
    [GuidedBatchSelector(), GuidedBatchSelector(candidate_size=8, random_state=1)],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learn_conventions(estimator, check):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Casting complex values", UserWarning)
        check(estimator)


def clusters(n=200, d=6, n_classes=4, wrong=0.2, seed=0):
    """Return features around one center per class, partly wrong labels, and a mask of them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    y[:n_classes] = np.arange(n_classes)
    X = rng.random((n_classes, d))[y] + 0.1 * rng.standard_normal((n, d))
    bad = rng.random(n) < wrong
    return X, np.where(bad, (y + 1) % n_classes, y), bad


def within_classes(weights, y):
    """Divide weights by the square root of the mean of their class."""
    return weights / np.sqrt(np.bincount(y, weights) / np.bincount(y))[y]


@given(st.floats(0, 500), st.integers(0, 9))
def test_trust_scales_the_weight_of_a_class_by_the_root_of_its_mean(power, seed):
    _, y, _ = clusters(n_classes=5, seed=seed)
    rng = np.random.default_rng(seed)
    labels = ScoredLabels(y, rng.random(len(y)) ** rng.integers(1, 4), rng.random(len(y)))
    parts = parts_of_scores(
        np.zeros(len(y)), labels, hardness_power=0, trust_power=power, duplicate_power=1
    )
    logs = power * np.log(np.maximum(labels.trust, 0.01))
    for code in range(5):
        n, one = (y == code).sum(), y == code
        total = np.logaddexp.reduce(parts[one, 0])
        expected = (np.logaddexp.reduce(logs[one]) + np.log(n)) / 2
        np.testing.assert_allclose(total, expected, atol=1e-9)


@settings(max_examples=30)
@given(
    st.integers(8, 60),
    ratios,
    st.none() | st.integers(1, 70),
    st.none() | st.integers(0, 99),
    st.sampled_from([None, "some", "none"]),
    st.tuples(*[st.sampled_from([0, 0.5, 1.0, 30.0])] * 3),
)
def test_keeps_the_exact_number_of_every_batch(n, ratio, size, seed, known, powers):
    X, y, _ = clusters(n, seed=n)
    losses = None if known is None else np.full(n, np.nan)
    if known == "some":
        losses[::3] = np.random.default_rng(0).exponential(size=len(losses[::3]))
    for array in (X, y):
        array.flags.writeable = False
    hardness, confidence, power = powers
    selector = GuidedBatchSelector(
        ratio,
        candidate_size=size,
        hardness_power=hardness,
        trust_power=confidence,
        loss_power=power,
        random_state=seed,
    ).fit(X, y, losses)
    size = n if size is None else size
    for start in range(0, n, size):
        batch = selector.support_[start : start + size]
        assert batch.sum() == n_kept(len(batch), ratio)
    assert np.array_equal(np.flatnonzero(selector.get_support()), selector.sample_indices_)
    assert np.array_equal(selector.get_support(indices=True), selector.sample_indices_)
    assert np.isfinite(selector.weights_).all()
    assert (selector.weights_ >= 0).all()
    again = clone(selector).fit(X, y, losses)
    assert again.sample_indices_.tobytes() == selector.sample_indices_.tobytes()
    assert again.weights_.tobytes() == selector.weights_.tobytes()


def test_weights_are_powers_of_hardness_trust_and_loss():
    X, y, _ = clusters()
    losses = np.random.default_rng(0).exponential(size=len(y))
    losses[:3] = 0.0
    selector = GuidedBatchSelector(hardness_power=0.3, trust_power=1.5, loss_power=0.7).fit(
        X, y, losses
    )
    found = find_wrong_labels(X, y)
    assert np.array_equal(found.trust, selector.wrong_labels_.trust)
    trust = within_classes(np.clip(found.trust, 0.01, None) ** 1.5, y)
    graph = np.clip(1 - found.label_probability, 0.05, None) ** 0.3 * trust
    wrong = found.class_noise_rate[y]
    assert (wrong > 0.05).all()
    loss = np.clip(losses, 1e-3, None) ** (0.7 * np.clip(1 - 2 * wrong, 0, None))
    np.testing.assert_allclose(selector.weights_, graph * loss)
    without = GuidedBatchSelector(hardness_power=0.3, trust_power=1.5, loss_power=0.7).fit(X, y)
    np.testing.assert_allclose(without.weights_, graph)
    blind = GuidedBatchSelector(hardness_power=0, trust_power=0, loss_power=2).fit(X, y, losses)
    np.testing.assert_allclose(blind.weights_, np.clip(losses, 1e-3, None) ** 2)


def test_rows_are_drawn_in_proportion_to_their_weights():
    X, y, _ = clusters(5, n_classes=2, seed=1)
    losses = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    weights = GuidedBatchSelector().fit(X, y, losses).weights_
    expected = np.zeros(5)
    for first, second in permutations(range(5), 2):
        expected[[first, second]] += (
            weights[first] / weights.sum() * weights[second] / (weights.sum() - weights[first])
        )
    counts, draws = np.zeros(5), 1500
    for seed in range(draws):
        counts += GuidedBatchSelector(0.6, random_state=seed).fit(X, y, losses).support_
    spread = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(counts / draws - expected) < 4.5 * spread).all()


def test_rows_without_trust_come_last():
    X, y, bad = clusters(300)
    trust = np.maximum(find_wrong_labels(X, y).trust, 0.01)
    distrusted = trust < 0.1
    assert bad[distrusted].mean() > 0.9
    k = len(y) - distrusted.sum()
    for kept in (k // 2, k, k + 5):
        ratio = 1 - kept / len(y)
        selector = GuidedBatchSelector(ratio, hardness_power=0, trust_power=1000).fit(X, y)
        assert (selector.support_ & distrusted).sum() == max(0, kept - k)


def test_copies_together_weigh_as_much_as_one_row():
    X, y, _ = clusters(200, d=30, wrong=0.0)
    X[:8] = X[0]
    powers = {"hardness_power": 0, "trust_power": 0}
    weights = GuidedBatchSelector(**powers).fit(X, y).weights_
    np.testing.assert_allclose(weights[:8], 1 / 8)
    assert (weights[8:] == 1).mean() > 0.98
    assert (GuidedBatchSelector(**powers, duplicate_power=0).fit(X, y).weights_ == 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_uninformative_features_give_nearly_equal_weights(seed):
    _, y, _ = clusters(2000, wrong=0.0)
    blind = np.random.default_rng(seed).random((2000, 8))
    selector = GuidedBatchSelector(hardness_power=0, duplicate_power=0).fit(blind, y)
    logs = np.log(selector.weights_)
    assert np.ptp(np.quantile(logs, [0.01, 0.99])) < 1


def test_hard_and_unlearned_rows_are_drawn_more_often():
    X, y, _ = clusters(400, d=2, wrong=0.0)
    losses = np.random.default_rng(1).exponential(size=400)
    predicted = find_wrong_labels(X, y).label_probability

    def kept(**powers):
        drawn = [GuidedBatchSelector(0.8, **powers, random_state=s) for s in range(5)]
        return np.concatenate([d.fit(X, y, losses).sample_indices_ for d in drawn])

    assert losses[kept(loss_power=1)].mean() > losses[kept(loss_power=0)].mean() + 0.3
    assert predicted[kept(hardness_power=3)].mean() < predicted[kept(hardness_power=0)].mean()


def test_unknown_losses_count_as_the_largest_of_their_batch():
    nan = np.nan
    assert fill_unknown([1.0, nan, 3.0, np.inf]).tolist() == [1, 3, 3, 3]
    assert fill_unknown([nan, nan]).tolist() == [1, 1]
    X, y, _ = clusters(20)
    losses = np.r_[np.full(10, nan), np.full(9, 0.25), nan]
    selector = GuidedBatchSelector(candidate_size=10).fit(X, y, losses)
    counted = GuidedBatchSelector(candidate_size=10).fit(X, y, np.r_[np.ones(10), losses[10:]])
    assert np.array_equal(selector.weights_, counted.weights_)
    counted.fit(X, y, np.r_[losses[:10], np.full(10, 0.25)])
    assert np.array_equal(selector.weights_, counted.weights_)


def test_seeds_give_different_draws_and_none_is_fixed():
    X, y, _ = clusters(400)
    X[200:], y[200:] = X[:200], y[:200]  # two identical candidate batches

    def kept(seed):
        selector = GuidedBatchSelector(0.5, candidate_size=200, random_state=seed)
        return selector.fit(X, y).support_

    assert np.array_equal(kept(None), kept(None))
    assert not np.array_equal(kept(1), kept(2))
    assert not np.array_equal(kept(1)[:200], kept(1)[200:])
    state = np.random.RandomState(3)
    assert not np.array_equal(kept(state), kept(state))


@pytest.mark.parametrize("kind", ["float32", "tensor", "sparse", "pandas", "list"])
def test_output_has_the_type_of_the_input(kind):
    X, y, _ = clusters()
    expected = GuidedBatchSelector(0.5).fit(X, y)
    table = {
        "float32": lambda: X.astype(np.float32),
        "tensor": lambda: torch.from_numpy(X),
        "sparse": lambda: sparse.csr_array(X),
        "pandas": lambda: pd.DataFrame(X, columns=list("abcdef")),
        "list": X.tolist,
    }[kind]()
    selector = GuidedBatchSelector(0.5)
    kept, labels, names = selector.select(table, y.tolist(), np.arange(len(y)))
    if kind == "sparse":  # not centered, so the graph differs a little
        assert np.corrcoef(np.log(selector.weights_), np.log(expected.weights_))[0, 1] > 0.95
    else:
        np.testing.assert_allclose(selector.weights_, expected.weights_, rtol=0.05, atol=1e-3)
    assert type(kept) is type(table)
    assert np.array_equal(names, selector.sample_indices_)
    assert labels == y[names].tolist()
    assert selector.n_features_in_ == 6
    assert hasattr(selector, "feature_names_in_") == (kind == "pandas")
    # `transform` also accepts tables with other columns, and selects by row.
    assert np.array_equal(selector.transform(np.arange(400).reshape(200, 2))[:, 0], 2 * names)


def test_accepts_labels_of_any_type():
    X, y, _ = clusters()
    expected = GuidedBatchSelector().fit(X, y).sample_indices_
    for labels in (
        np.array(list("abcd"))[y],
        y.astype(np.float32),
        torch.from_numpy(y),
        pd.Series(y, index=range(200, 0, -1)),
    ):
        selector = GuidedBatchSelector().fit(X, labels)
        assert np.array_equal(selector.sample_indices_, expected)


def test_select_checks_lengths_before_any_work():
    X, y, _ = clusters()
    untouched = GuidedBatchSelector()
    with pytest.raises(ValueError, match=r"arrays\[1\] must have 200 rows.*got 199"):
        untouched.select(X, y, y, y[:-1])
    assert not hasattr(untouched, "support_")
    with pytest.raises(NotFittedError):
        untouched.transform(X)


def test_can_be_pickled_and_accepts_data_frames():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    selector = GuidedBatchSelector(0.5, candidate_size=50, random_state=3).fit(X, y)
    again = pickle.loads(pickle.dumps(selector))
    assert np.array_equal(again.transform(X), selector.transform(X))
    out = clone(selector).set_output(transform="pandas").fit_transform(X, y)
    assert out.shape == (150, 64)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"filter_ratio": 1.0}, r"'filter_ratio' parameter.*Got 1.0"),
        ({"candidate_size": 0}, "'candidate_size' parameter.*Got 0"),
        ({"hardness_power": -0.1}, "'hardness_power' parameter.*Got -0.1"),
        ({"trust_power": "1"}, "'trust_power' parameter.*Got '1'"),
        ({"loss_power": None}, "'loss_power' parameter.*Got None"),
        ({"random_state": "seed"}, "'random_state' parameter.*Got 'seed'"),
    ],
)
def test_rejects_bad_parameters(parameters, message):
    X, y, _ = clusters()
    with pytest.raises(ValueError, match=message):
        GuidedBatchSelector(**parameters).fit(X, y)


X, Y, _ = clusters(9)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, None), ValueError, "GuidedBatchSelector requires y to be passed"),
        ((X, Y[:-1]), ValueError, r"y must have shape \(9,\), one label per sample; got \(8,\)"),
        ((X, Y + 0.5), ValueError, "y must hold class labels, integers or strings; got .* 0"),
        ((X, Y * 1e300), ValueError, "y must hold class labels, integers or strings; got 1e"),
        ((X, Y.astype("datetime64[D]")), TypeError, "integers or strings; got dtype datetime64"),
        ((X, [None, "a", "b"] * 3), ValueError, "missing values; got None at position"),
        ((X, np.zeros(9)), ValueError, "at least two classes; got 1 class"),
        ((X * np.nan, Y), ValueError, "X must be finite; row 0"),
        ((X, Y, np.ones(8)), ValueError, r"losses must have shape \(9,\), one per sample; got"),
        ((X, Y, np.ma.masked_less(np.arange(9), 3)), ValueError, "losses must not be a masked"),
        ((X, Y, np.array(["a"] * 9)), TypeError, "losses must hold real numbers; got dtype"),
        ((torch.ones(9), Y), ValueError, r"X must have shape \(n_samples, n_features\)"),
    ],
)
def test_rejects_invalid_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        GuidedBatchSelector().fit(*arguments)


def test_rejects_bool_as_count():
    with pytest.raises(TypeError, match=r"candidate_size must be an integer.*got True"):
        GuidedBatchSelector(candidate_size=True).fit(X, Y)
