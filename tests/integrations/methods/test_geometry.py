from itertools import combinations
from math import e

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_helpers import candidates
from scipy import sparse

from spectral_select.integrations.methods import get_method

NAMES = ("low-degree", "high-degree", "k-center", "facility-location")


def table(n=24, d=5, seed=0, *, signed=False, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) if signed else rng.random((n, d))
    return X.astype(dtype)


def cosines(X):
    """Return all cosines in float64, computed one at a time; 0 for a row of zeros."""
    X = np.asarray(X, np.float64)
    S = np.zeros((len(X), len(X)))
    for i, a in enumerate(X):
        for j, b in enumerate(X):
            norms = np.linalg.norm(a) * np.linalg.norm(b)
            S[i, j] = a @ b / norms if norms else 0.0
    return S


def choose(spec, X, k, seed=0):
    return get_method(spec).choose(candidates(X.shape[0], k, features=X, seed=seed)).positions


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("k", [1, 6, 24])
def test_degree_is_the_mean_cosine_to_the_batch(signed, k):
    X = table(signed=signed)
    order = np.argsort(cosines(X).mean(1))
    assert choose("low-degree", X, k).tolist() == order[:k].tolist()
    assert choose("high-degree", X, k).tolist() == order[::-1][:k].tolist()


def farthest_first(distances, first, k):
    taken = [first]
    while len(taken) < k:
        left = [i for i in range(len(distances)) if i not in taken]
        taken.append(max(left, key=lambda i: min(distances[i, j] for j in taken)))
    return taken


def euclidean(X):
    return np.array([[np.linalg.norm(a - b) for b in X] for a in X])


@pytest.mark.parametrize("first", ["random", "medoid"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 7, 24])
def test_k_center_takes_the_farthest_first(distance, first, k):
    X = table(signed=True)
    distances = 1 - cosines(X) if distance == "cosine" else euclidean(X)
    positions = choose(f"k-center:distance={distance},first={first}", X, k)
    expected = farthest_first(distances, positions[0], k)
    assert positions.tolist() == expected
    if first == "medoid":
        assert positions[0] == distances.sum(1).argmin()


def test_first_center_is_random():
    firsts = {int(choose("k-center", table(6), 2, seed)[0]) for seed in range(60)}
    assert firsts == set(range(6))


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), k=st.integers(1, 4), distance=st.booleans())
def test_k_center_is_within_twice_the_best_radius(seed, k, distance):
    X = table(9, 3, seed, signed=True)
    spec = "k-center:distance=euclidean"
    if distance:  # for unit rows, the cosine distance is half the squared Euclidean distance
        X, spec = X / np.linalg.norm(X, axis=1, keepdims=True), "k-center"
    distances = euclidean(X)
    radius = [distances[:, list(s)].min(1).max() for s in combinations(range(9), k)]
    found = distances[:, choose(spec, X, k)].min(1).max()
    assert found <= 2 * min(radius) * (1 + 1e-9)


def coverage(S, subset):
    return S[:, list(subset)].max(1).sum()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("k", [1, 8, 24])
def test_facility_location_is_the_greedy_maximum(signed, k):
    # Mutual neighbors have equal gains, so check that each step is greedy instead of comparing
    # with another implementation.
    X = table(signed=signed)
    S, positions = cosines(X), choose("facility-location", X, k).tolist()
    for step, chosen in enumerate(positions):
        taken = positions[:step]
        reached = [coverage(S, [*taken, j]) for j in range(len(X)) if j not in taken]
        assert coverage(S, [*taken, chosen]) == pytest.approx(max(reached), abs=1e-12)
    assert len(set(positions)) == k


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), k=st.integers(1, 4), signed=st.booleans())
def test_facility_location_keeps_its_bound(seed, k, signed):
    X = table(9, 3, seed, signed=signed)
    S = (1 + cosines(X)) / 2
    best = max(coverage(S, s) for s in combinations(range(9), k))
    assert coverage(S, choose("facility-location", X, k)) >= (1 - 1 / e) * best


def test_facility_location_covers_each_of_some_tight_groups():
    groups = np.repeat(np.eye(4), [20, 10, 5, 2], axis=0)
    X = groups + 0.01 * table(37, 4, signed=True)
    positions = choose("facility-location", X, 4)
    assert groups[positions].argmax(1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_cosines_do_not_depend_on_the_scale(name, scale):
    X = table(dtype=np.float32, signed=True)
    rows = np.random.default_rng(1).random((24, 1)).astype(np.float32) + 0.5
    assert set(choose(name, X, 6)) == set(choose(name, X * rows * np.float32(scale), 6))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 5, 8])
def test_accepts_rows_of_zeros_and_equal_rows(name, k):
    for X in (np.zeros((8, 3)), np.ones((8, 3)), np.repeat([[0.0, 0], [1, 1]], 4, axis=0)):
        positions = choose(name, X, k)
        assert len(set(positions.tolist())) == len(positions) == k


def test_row_of_zeros_is_similar_to_nothing():
    X = np.vstack([table(7), np.zeros(5)])
    assert choose("low-degree", X, 1).tolist() == [7]
    assert choose("k-center:first=medoid", X, 2)[1] == 7


@pytest.mark.parametrize("name", NAMES)
def test_all_kinds_of_tables_agree(name):
    X = table()
    X[X < 0.3] = 0
    expected = choose(name, X, 6).tolist()
    for kind in (sparse.csr_array(X), torch.from_numpy(X), np.asfortranarray(X)):
        assert choose(name, kind, 6).tolist() == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_error_names_nonfinite_features(name, bad):
    X = table()
    X[3, 1] = bad
    with pytest.raises(ValueError, match="features must be finite; row 3 holds NaN or infinity"):
        choose(name, X, 6)
    with pytest.raises(ValueError, match=r"requires candidates\.features; got None"):
        get_method(name).choose(candidates(4, 2))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("k-center:distance=manhattan", "distance must be one of 'cosine', 'euclidean'"),
        ("k-center:first=last", "first must be one of 'random', 'medoid'; got 'last'"),
        ("low-degree:k=3", "has no option 'k'; options of low-degree: none"),
    ],
)
def test_rejects_invalid_options(spec, message):
    with pytest.raises(ValueError, match=message):
        get_method(spec)
