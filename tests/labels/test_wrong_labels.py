"""find_wrong_labels: planted mistakes of three kinds, every kind of input, rejected input."""

from unittest import mock

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, roc_auc_score

from spectral_select import find_wrong_labels
from spectral_select._dataset_graph.similarity_graph import Rows
from spectral_select._labels import label_filter
from spectral_select._utils import widened_rows

X, Y = load_digits(return_X_y=True)
X, Y = X.astype(np.float32), Y.astype(np.int64)


def uniform(share, seed=0):
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(Y)) < share
    return np.where(wrong, (Y + rng.integers(1, 10, len(Y))) % 10, Y), wrong


def pairwise(share, seed=0):
    """Label samples of a class as the next class."""
    wrong = np.random.default_rng(seed).random(len(Y)) < share
    return np.where(wrong, (Y + 1) % 10, Y), wrong


def between_classes(share):
    """Label the samples nearest to the mean of another class as that class."""
    means = np.stack([X[c == Y].mean(0) for c in range(10)])
    distance = np.linalg.norm(X[:, None] - means, axis=2)
    own = distance[np.arange(len(Y)), Y].copy()
    distance[np.arange(len(Y)), Y] = np.inf
    order = np.argsort(distance.min(1) / own)
    wrong = np.zeros(len(Y), bool)
    wrong[order[: round(share * len(Y))]] = True
    return np.where(wrong, distance.argmin(1), Y), wrong


def f1(flagged, wrong):
    return 2 * (flagged & wrong).sum() / (flagged.sum() + wrong.sum())


@pytest.mark.parametrize(
    ("kind", "share", "area", "least"),
    [
        (uniform, 0.05, 0.99, 0.8),
        (uniform, 0.4, 0.99, 0.95),
        (pairwise, 0.1, 0.99, 0.85),
        (pairwise, 0.4, 0.88, 0.7),
        (between_classes, 0.05, 0.9, 0.4),
        (between_classes, 0.2, 0.75, 0.35),
    ],
)
def test_planted_mistakes_are_found(kind, share, area, least):
    given, wrong = kind(share)
    found = find_wrong_labels(X, given)
    assert roc_auc_score(wrong, -found.trust) > area
    assert f1(found.wrong, wrong) > least
    # Trust ranks at least about as well as the probability from which it is made.
    precision = average_precision_score(wrong, -found.trust)
    assert precision > average_precision_score(wrong, -found.label_probability) - 0.02


@pytest.mark.parametrize("kind", [uniform, pairwise])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_share_of_wrong_labels(kind, share):
    given, wrong = kind(share)
    found = find_wrong_labels(X, given)
    assert found.noise_rate == pytest.approx(wrong.mean(), rel=0.4)
    by_class = [wrong[given == c].mean() for c in range(10)]
    assert np.abs(found.class_noise_rate - by_class).mean() < 0.12


def test_clean_labels_are_hardly_flagged():
    found = find_wrong_labels(X, Y)
    assert found.wrong.mean() < 0.02
    assert found.noise_rate < 0.01
    assert np.allclose(found.noise_matrix.sum(1), 1)


def test_noise_matrix_shows_which_class_is_labeled_as_which():
    given, _ = pairwise(0.4)
    found = find_wrong_labels(X, given)
    next_ = found.noise_matrix[np.arange(10), (np.arange(10) + 1) % 10]
    assert np.median(next_) == pytest.approx(0.4, abs=0.1)
    rest = found.noise_matrix.sum(1) - np.diag(found.noise_matrix) - next_
    assert rest.max() < 0.1


def test_suggested_labels_are_right():
    given, wrong = uniform(0.3)
    found = find_wrong_labels(X, given)
    assert (found.suggested[wrong] == Y[wrong]).mean() > 0.93
    assert found.suggested_probability[wrong].mean() > 0.5


def same(a, b):
    assert np.array_equal(a.wrong, b.wrong)
    np.testing.assert_allclose(a.trust, b.trust, atol=1e-3)


def test_every_kind_of_features_and_labels(tmp_path):
    given, _ = uniform(0.2)
    expected = find_wrong_labels(X, given)
    same(find_wrong_labels(torch.from_numpy(X), given), expected)
    same(find_wrong_labels(X.astype(np.int8), given), expected)
    np.save(tmp_path / "x.npy", X.astype(np.float16))
    with mock.patch.object(widened_rows, "_LARGE_BYTES", 0):
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        same(find_wrong_labels(mapped, given), expected)
    names = np.array([f"class {c}" for c in range(10)])
    found = find_wrong_labels(X, names[given])
    same(found, expected)
    assert np.array_equal(found.suggested, names[expected.suggested])
    assert np.array_equal(found.classes, names)


def test_sparse_features():
    given, wrong = uniform(0.2)
    found = find_wrong_labels(sparse.csr_array(X), given)
    assert roc_auc_score(wrong, -found.trust) > 0.97


def test_same_result_each_time():
    given, _ = uniform(0.2)
    first, again = find_wrong_labels(X, given), find_wrong_labels(X, given)
    assert np.array_equal(first.trust, again.trust)


@pytest.mark.parametrize("n", [4, 12, 60])
def test_few_samples(n):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    found = find_wrong_labels(rng.random((n, 3)) + 3 * labels[:, None], labels)
    assert found.trust.shape == (n,)
    assert np.isfinite(found.trust).all()


def test_constant_columns_and_equal_rows():
    given, _ = uniform(0.1)
    wide = np.hstack([X, np.full((len(X), 2), 7, np.float32)])
    same(find_wrong_labels(wide, given), find_wrong_labels(X, given))
    found = find_wrong_labels(np.ones((50, 3)), np.arange(50) % 2)
    assert np.isfinite(found.trust).all()


def test_more_samples_than_parameters_are_chosen_on():
    given, wrong = uniform(0.2)
    small = {"_N_COMPARED": 300, "_N_LANDMARKS": 64, "_N_SAMPLED": 500}
    with mock.patch.multiple(label_filter, **small):
        found = find_wrong_labels(X, given, n_landmarks=256)
    assert roc_auc_score(wrong, -found.trust) > 0.98


def test_left_out_scores_are_those_without_the_label():
    """A ridge regression with an intercept, fitted without the sample, gives the same score."""
    given, _ = uniform(0.2)
    rows, labels = Rows(X[:200]), given[:200]
    found = label_filter.fit_label_filter(rows, labels, 10, n_landmarks=50, seed=0)
    ridge, U = found._ridge, found._factors(rows[slice(0, 200)])
    scores = ridge.left_out(U.copy(), labels)
    U, root = U.astype(np.float64), ridge.root.astype(np.float64)
    penalty = root @ root.T - U.T @ U
    for i in (0, 57, 123):
        others = np.delete(np.arange(200), i)
        design, target = U[others], np.eye(10)[labels[others]]
        mean, level = design.mean(0), target.mean(0)
        centered = design - mean
        solved = np.linalg.solve(centered.T @ centered + penalty, centered.T @ (target - level))
        np.testing.assert_allclose(scores[i], level + (U[i] - mean) @ solved, atol=5e-3)


def test_unlabeled_samples_get_suggestions_and_no_trust():
    given, wrong = uniform(0.2)
    hidden = np.random.default_rng(3).random(len(Y)) < 0.3
    for mark, y in ((-1, given), ("", given.astype(str)), (np.nan, given.astype(float)),
                    (None, given.astype(object))):  # fmt: skip
        y = y.copy()
        y[hidden] = mark
        found = find_wrong_labels(X, y, unlabeled=mark)
        assert np.isnan(found.trust[hidden]).all()
        assert not found.wrong[hidden].any()
        assert len(found.classes) == 10
        suggested = found.suggested[hidden].astype(float)
        assert (suggested == Y[hidden]).mean() > 0.9
        known = ~hidden
        assert roc_auc_score(wrong[known], -found.trust[known]) > 0.99
        assert found.noise_rate == pytest.approx(wrong[known].mean(), rel=0.4)


def test_rejects_undeclared_missing_labels():
    y = Y.astype(float)
    y[5] = np.nan
    with pytest.raises(ValueError, match="must not hold missing values; got NaN at position 5"):
        find_wrong_labels(X, y)
    with pytest.raises(ValueError, match="must not hold missing values"):
        find_wrong_labels(X, y, unlabeled=-1)
    hidden = np.full(len(Y), -1)
    message = "y has no labels: all values are -1, which means unlabeled"
    with pytest.raises(ValueError, match=message):
        find_wrong_labels(X, hidden, unlabeled=-1)
    assert -1 in find_wrong_labels(X, np.where(Y == 3, -1, Y)).classes


# --- probabilities from a model -------------------------------------------------------------------


def model_probabilities(share=0.3):
    rng = np.random.default_rng(1)
    logits = 3 * np.eye(10)[Y] + rng.standard_normal((len(Y), 10))
    P = np.exp(logits)
    return P / P.sum(1, keepdims=True)


def test_probabilities_of_a_model_alone_or_with_the_graph():
    given, wrong = uniform(0.2)
    P = model_probabilities()
    alone = find_wrong_labels(None, given, pred_probs=P)
    both = find_wrong_labels(X, given, pred_probs=P)
    graph = find_wrong_labels(X, given)
    assert alone.graph == ""
    assert roc_auc_score(wrong, -alone.trust) > 0.95
    area = {name: roc_auc_score(wrong, -found.trust) for name, found in
            {"alone": alone, "both": both, "graph": graph}.items()}  # fmt: skip
    assert area["both"] > max(area["alone"], area["graph"]) - 0.003


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((None, Y), {}, ValueError, "X or pred_probs must be given"),
        ((X, Y[:-1]), {}, ValueError, r"y must have shape \(1797,\)"),
        ((X, np.zeros(len(Y), int)), {}, ValueError, "at least two classes; got 1 class"),
        ((X, [None, *Y[1:]]), {}, ValueError, "missing values; got None at position 0"),
        ((np.where(X > 15, np.nan, X), Y), {}, ValueError, "X must be finite; row"),
        ((X[0], Y), {}, ValueError, "X must have shape"),
        ((X[None], Y), {}, ValueError, "X must have shape"),
        ((X, Y), {"n_landmarks": -1}, ValueError, "n_landmarks must be an integer of at least 0"),
        ((X, Y), {"random_state": -1}, ValueError, "random_state must be"),
        ((X, Y), {"pred_probs": np.ones((3, 2))}, ValueError, r"must have shape \(1797, 10\)"),
        ((X, Y), {"pred_probs": np.ones((1797, 10))}, ValueError, "row 0 sums to 10"),
        (
            (None, Y),
            {"pred_probs": np.full((1797, 10), np.nan)},
            ValueError,
            "rows sum to 1; row 0 sums to nan",
        ),
    ],
)
def test_refuses_invalid_input(arguments, options, error, message):
    with pytest.raises(error, match=message):
        find_wrong_labels(*arguments, **options)


def test_label_probability_does_not_depend_on_the_label_itself():
    """With another label, a sample gets the probability of the other class."""
    given = Y.copy()
    given[0] = (Y[0] + 1) % 10
    as_it_was, changed = find_wrong_labels(X, Y), find_wrong_labels(X, given)
    assert as_it_was.label_probability[0] > 0.5 > 0.1 > changed.label_probability[0]
    assert changed.suggested[0] == Y[0]


def test_label_probability_of_a_model_is_the_one_given():
    P = np.full((len(Y), 10), 0.02)
    P[np.arange(len(Y)), Y] = 0.82
    found = find_wrong_labels(None, Y, pred_probs=P)
    np.testing.assert_allclose(found.label_probability, 0.82, rtol=1e-6)


@pytest.mark.parametrize("n_classes", [4, 100])
def test_uninformative_features_give_equal_trust(n_classes):
    rng = np.random.default_rng(0)
    found = find_wrong_labels(rng.random((2000, 8)), rng.integers(0, n_classes, 2000))
    assert np.ptp(np.log(found.trust)) < 0.3
