import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_digits

from spectral_select import label_trust

N_CLASSES = 6


def clusters(n=600, d=12, spread=0.15, seed=0):
    """Return non-negative features around one center per class, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n)
    centers = rng.random((N_CLASSES, d))
    return np.abs(centers[labels] + spread * rng.standard_normal((n, d))), labels


def with_wrong(labels, share, seed=0):
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(labels)) < share
    shift = rng.integers(1, N_CLASSES, len(labels))
    return np.where(wrong, (labels + shift) % N_CLASSES, labels), wrong


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("signed", [False, True])
def test_finds_wrong_labels_and_their_share(share, signed):
    X, y = clusters()
    X = X - 0.5 if signed else X
    noisy, wrong = with_wrong(y, share)
    found = label_trust(X, noisy)
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.02 + 0.2 * share)
    assert found.trust[~wrong].mean() > 0.98 - 0.4 * share
    if share:
        assert found.trust[wrong].mean() < 0.2
    assert 0 <= found.trust.min() <= found.trust.max() <= 1


def test_trust_is_a_probability():
    """Among labels with about the same trust, the share of correct labels equals the trust."""
    X, y = clusters(n=6000, spread=0.45, seed=1)
    noisy, wrong = with_wrong(y, 0.3)
    trust = label_trust(X, noisy).trust
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01)):
        band = (low <= trust) & (trust < high)
        assert band.sum() > 50
        assert (~wrong[band]).mean() == pytest.approx(trust[band].mean(), abs=0.12)


def test_rare_classes_are_not_distrusted_for_being_rare():
    X, y = clusters(n=3000, seed=2)
    keep = (y > 0) | (np.cumsum(y == 0) <= 12)  # about 500 of every other class
    found = label_trust(X[keep], y[keep])
    assert found.trust[y[keep] == 0].min() > 0.8
    assert found.noise_rate < 0.02


def test_finds_a_class_of_wrong_labels():
    X, y = clusters(n=3000, seed=3)
    noisy = y.copy()
    members = np.flatnonzero(y == 2)
    noisy[members[: 2 * len(members) // 5]] = 3
    found = label_trust(X, noisy)
    assert found.class_noise_rate.argmax() == 3
    assert found.class_noise_rate[3] == pytest.approx(2 / 7, abs=0.08)
    assert np.delete(found.class_noise_rate, 3).max() < 0.02


def test_right_labels_that_the_features_say_little_of_are_not_taken_for_wrong():
    X, y = clusters(n=3000, seed=5)
    rng = np.random.default_rng(5)
    unclear = rng.random(len(y)) < 0.4
    X[unclear] = X.mean(0) + 0.05 * rng.standard_normal((unclear.sum(), X.shape[1]))
    found = label_trust(X, y)
    assert found.noise_rate < 0.03
    assert found.trust[unclear].mean() > 0.9


def test_separation_says_whether_the_graph_can_tell():
    X, y = clusters(n=2000, seed=6)
    noisy, _ = with_wrong(y, 0.2, 6)
    assert label_trust(X, y).separation > 0.9
    assert label_trust(X, noisy).separation > 0.9
    X, y = clusters(n=2000, spread=0.6, seed=6)
    some = label_trust(X, y).separation
    none = label_trust(np.random.default_rng(6).random(X.shape), y).separation
    assert 0 <= none < some < 0.9
    blind = label_trust(np.random.default_rng(7).random((200, 5)), np.arange(200) % 40)
    assert ((blind.class_separation >= 0) & (blind.class_separation <= 1)).all()


def test_class_that_the_features_know_nothing_of_separates_least():
    X, y = clusters(n=3000, seed=7)
    unknown = np.isin(y, (1, 4))
    X[unknown] = X[unknown][np.random.default_rng(7).permutation(unknown.sum())]
    found = label_trust(X, y)  # 1 and 4 cannot be distinguished
    assert found.class_separation[[1, 4]].max() < 0.7
    assert np.delete(found.class_separation, [1, 4]).min() > 0.8


def test_scores_are_those_of_a_fit_without_the_sample():
    X, y = clusters(n=40, seed=4)
    found = label_trust(X, y)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    S = (1 + unit @ unit.T) / 2
    degrees = S.sum(1)
    values, vectors = np.linalg.eigh(len(X) * S / np.sqrt(np.outer(degrees, degrees)))
    Z = vectors * np.sqrt(np.maximum(values, 0))
    Z -= Z.mean(0)
    damping = found.strength * np.linalg.eigvalsh(Z.T @ Z).sum() / (X.shape[1] + 1)
    for i in (0, 7, 39):
        # Fit a ridge regression with an intercept to the indicator of the sample's class, using
        # all other samples.
        rest = np.delete(np.arange(len(X)), i)
        target = (y == y[i]).astype(float)
        center, mean = Z[rest].mean(0), target[rest].mean()
        A = Z[rest] - center
        w = np.linalg.solve(A.T @ A + damping * np.eye(len(X)), A.T @ (target[rest] - mean))
        assert found.scores[i] == pytest.approx(mean + (Z[i] - center) @ w, abs=2e-3)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_order_scale_and_names_do_not_matter(seed):
    X, y = clusters(n=200, seed=seed)
    y, _ = with_wrong(y, 0.2, seed)
    expected = label_trust(X, y)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    scaled = X[order] * rng.uniform(1e-3, 1e3, (len(y), 1))
    names = np.array(list("fedcba"))[y[order]]
    found = label_trust(scaled, names)
    np.testing.assert_allclose(found.trust, expected.trust[order], atol=2e-3)
    assert found.classes.tolist() == sorted(set(names))
    np.testing.assert_allclose(found.class_noise_rate, expected.class_noise_rate[::-1], atol=2e-3)


@pytest.mark.parametrize("kind", ["float32", "tensor", "sparse", "memmap"])
def test_every_kind_of_table_gives_the_same(kind, tmp_path):
    X, y = clusters(n=300)
    expected = label_trust(X, y).scores
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        table = np.load(tmp_path / "X.npy", mmap_mode="r")
    else:
        table = {
            "float32": lambda: X.astype(np.float32),
            "tensor": lambda: torch.tensor(X),
            "sparse": lambda: sparse.csr_array(X),
        }[kind]()
    np.testing.assert_allclose(label_trust(table, y).scores, expected, atol=1e-3)


def test_blocks_and_samples_of_rows_change_little(monkeypatch):
    X, y = clusters(n=2000)
    y, _ = with_wrong(y, 0.2)
    whole = label_trust(X, y)
    monkeypatch.setattr("spectral_select._labels.label_trust._BLOCK_ENTRIES", 1000)
    blocks = label_trust(X, y)
    np.testing.assert_allclose(blocks.scores, whole.scores, atol=1e-3)
    monkeypatch.setattr("spectral_select._labels.label_trust._N_SAMPLED", 500)
    few = label_trust(X, y)
    assert abs(few.trust - whole.trust).mean() < 0.03


def test_rows_of_zeros_and_copies_do_no_harm():
    X, y = clusters(n=200)
    X[:5] = 0
    X[5:50] = X[5]
    found = label_trust(X, y)
    assert np.isfinite(found.trust).all()
    assert np.isfinite(found.scores).all()


def test_all_rows_alike_say_nothing():
    found = label_trust(np.ones((60, 3)), np.arange(60) % 3)
    assert np.isfinite(found.trust).all()
    assert len(np.unique(found.trust.round(6))) <= 3  # at most one value per class


def test_digits_are_labeled_well():
    X, y = load_digits(return_X_y=True)
    assert label_trust(X, y).noise_rate < 0.03


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (np.ones((3, 2, 2)), [0, 1, 0], ValueError, "X must have shape"),
        (np.ones((3, 2)), [0, 1], ValueError, r"y must have shape \(3,\), one label per sample"),
        (np.ones((3, 2)), [[0, 1], [1, 0], [1, 1]], ValueError, r"y must have shape \(3,\)"),
        (np.ones((3, 2)), [0, 0, 0], ValueError, "at least two classes; got 1"),
        (np.ones((3, 2)), [0.5, 1, 0], ValueError, "integers or strings; got 0.5 at position 0"),
        (np.ones((3, 2)), [None, "a", "b"], ValueError, "missing values; got None at position 0"),
        ([[1, 2], [np.nan, 1]], [0, 1], ValueError, "row 1 holds NaN or infinity"),
        (np.ones((0, 2)), [], ValueError, "at least one sample"),
    ],
)
def test_rejects_invalid_arguments(X, y, error, message):
    with pytest.raises(error, match=message):
        label_trust(X, y)


@pytest.mark.parametrize("n", range(4, 12))
def test_labels_that_all_look_wrong_are_no_error(n):
    """Nothing overflows for a few samples whose neighbors all have the other label."""
    X = np.random.default_rng(0).random((n, 5), dtype=np.float32)
    found = label_trust(X, np.arange(n) % 2)
    assert ((found.trust >= 0) & (found.trust <= 1)).all()
    opposed = label_trust(np.array([[1.0], [-1.0]] * n), np.repeat([0, 1], n))
    assert np.isfinite(opposed.trust).all()


def test_random_state_means_the_same_as_in_the_estimators():
    X = np.abs(np.random.default_rng(0).standard_normal((80, 4)))
    y = np.arange(80) % 3
    expected = label_trust(X, y).trust
    for random_state in (None, 0, np.int64(0)):
        assert np.array_equal(label_trust(X, y, random_state=random_state).trust, expected)
    label_trust(X, y, random_state=np.random.RandomState(0))
    with pytest.raises(TypeError, match="random_state must be an integer"):
        label_trust(X, y, random_state="seed")
