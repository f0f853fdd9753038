import numpy as np
import pytest
from _conditions import CONDITIONS, make_condition
from scipy.stats import chisquare


def data(sizes, d=6, seed=0):
    """Features around one center per class, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centers = rng.standard_normal((len(sizes), d))
    features = centers[labels] + rng.standard_normal((len(labels), d))
    return features.astype(np.float32), labels


EVEN, UNEVEN = [200] * 10, [400, 30, 90, 20, 300, 60, 40, 150]


@pytest.mark.parametrize("name", CONDITIONS)
def test_data_are_determined_by_the_seed(name):
    features, labels = data(EVEN)
    given = features.copy(), labels.copy()
    pools = [make_condition(name, features, labels, seed) for seed in (3, 3, [3, 1])]
    for part in ("indices", "labels", "features"):
        np.testing.assert_array_equal(getattr(pools[0], part), getattr(pools[1], part))
    if name != "as-is":
        arrays = [(pool.indices, pool.labels) for pool in pools]
        assert not all(np.array_equal(a, b) for a, b in zip(arrays[0], arrays[2], strict=True))
    np.testing.assert_array_equal(features, given[0])
    np.testing.assert_array_equal(labels, given[1])


def test_as_is_changes_nothing():
    features, labels = data(UNEVEN)
    pool = make_condition("as-is", features, labels, 0)
    np.testing.assert_array_equal(pool.indices, np.arange(len(labels)))
    np.testing.assert_array_equal(pool.labels, labels)
    np.testing.assert_array_equal(pool.features, features)


def test_long_tail_falls_exponentially_by_100_in_random_class_order():
    features, labels = data(EVEN)
    orders = set()
    for seed in range(4):
        pool = make_condition("long-tailed", features, labels, seed)
        sizes = np.bincount(pool.labels, minlength=10)
        expected = np.rint(200 * 100 ** -(np.arange(10) / 9))
        np.testing.assert_array_equal(np.sort(sizes)[::-1], expected)
        assert len(np.unique(pool.indices)) == len(pool)
        np.testing.assert_array_equal(pool.features, features[pool.indices])
        np.testing.assert_array_equal(pool.labels, labels[pool.indices])
        orders.add(tuple(np.argsort(sizes)))
    assert len(orders) > 1


def test_long_tail_keeps_small_classes_whole():
    features, labels = data(UNEVEN)
    pool = make_condition("long-tailed", features, labels, 0)
    sizes = np.bincount(pool.labels)
    targets = np.rint(400 * 100 ** -(np.arange(8) / 7))
    cut = sizes < UNEVEN
    assert cut.any()
    assert len(set(sizes[cut])) == cut.sum()
    assert set(sizes[cut]) <= set(targets)


def test_every_class_of_a_long_tail_keeps_two_samples():
    pool = make_condition("long-tailed", *data([20] * 5), 0)
    assert np.bincount(pool.labels).min() == 2


def test_redundant_data_are_mostly_near_copies_of_few():
    features, labels = data(UNEVEN)
    features = np.abs(features)
    pool = make_condition("redundant", features, labels, 0)
    n = len(labels)
    assert len(pool) == n
    np.testing.assert_array_equal(pool.labels, labels[pool.indices])
    assert set(pool.labels) == set(labels)
    assert (pool.features >= 0).all()
    away = np.abs(pool.features - features[pool.indices])
    copies = (away > 0).any(1)
    assert copies.sum() == round(0.7 * n)
    originals, times = np.unique(pool.indices[copies], return_counts=True)
    assert len(originals) == round(0.02 * n)
    assert times.max() - times.min() <= 1
    assert set(originals) <= set(pool.indices[~copies])
    assert away.max() < 6 * 0.05 * features.std(0).max()
    # Each copy is far nearer to its original than other samples are to each other.
    assert (away**2).sum(1).max() ** 0.5 < features.std(0).max()


def test_wrong_labels_are_uniform_and_a_fifth_of_all():
    features, labels = data(EVEN)
    pool = make_condition("wrong-labels", features, labels, 0)
    wrong = np.flatnonzero(pool.labels != labels)
    assert len(wrong) == round(0.2 * len(labels))
    shifts = (pool.labels[wrong] - labels[wrong]) % 10
    assert chisquare(np.bincount(shifts, minlength=10)[1:]).pvalue > 1e-3
    np.testing.assert_array_equal(pool.features, features)


def test_wrong_labels_use_only_existing_classes():
    features, labels = data(EVEN)
    pool = make_condition("wrong-labels", features, 3 * labels + 1, 0)
    assert set(pool.labels) == set(3 * labels + 1)


def test_wrong_labels_are_added_to_the_long_tail():
    features, labels = data(EVEN)
    tail = make_condition("long-tailed", features, labels, 5)
    both = make_condition("long-tailed-wrong-labels", features, labels, 5)
    np.testing.assert_array_equal(both.indices, tail.indices)
    assert (both.labels != tail.labels).sum() == round(0.2 * len(tail))


def test_rejects_invalid_arguments():
    features, labels = data(EVEN)
    with pytest.raises(ValueError, match=r"condition must be one of as-is.*got 'noise'"):
        make_condition("noise", features, labels, 0)
    with pytest.raises(ValueError, match=r"features and labels must have .*\(1999,\)"):
        make_condition("as-is", features, labels[1:], 0)
    with pytest.raises(ValueError, match="at least 2 classes; got 1"):
        make_condition("wrong-labels", features, np.zeros_like(labels), 0)
