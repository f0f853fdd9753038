import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from spectral_select import FiedlerBatchSelector, n_kept
from spectral_select.integrations.methods import (
    CLEAN,
    DYNAMICS,
    FEATURES,
    FRESH,
    HISTORY,
    LAST_LOSS,
    PROGRESS,
    REFERENCE,
    Candidates,
    Choice,
    Method,
    as_selector,
    check_choice,
    check_methods,
    get_method,
    method_names,
    register,
)

SPECTRAL = {
    "fiedler": {"rule": "extreme", "laplacian": "unnormalized"},
    "stratified": {"rule": "stratified", "laplacian": "symmetric"},
}


def features(n=60, d=5, seed=0):
    return np.random.default_rng(seed).random((n, d), dtype=np.float32)


def fitted(method, n=60, filter_ratio=0.8, candidate_size=20, seed=0):
    table = features(n)
    labels = np.arange(n) % 2
    selector = as_selector(method, filter_ratio, labels=labels, features=table, seed=seed)
    selector = clone(selector).set_params(candidate_size=candidate_size)
    rows = table if method.fits_on_features else np.arange(n)[:, None]
    return selector.fit(rows)


def test_paper_methods_are_registered():
    assert method_names()[:3] == ("full", "full-short", "random")
    assert {"fiedler", "gstds", "stratified"} <= set(method_names())


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in method_names()
        if get_method(name).selects_ahead and DYNAMICS not in get_method(name).needs
    ],
)
@settings(max_examples=20)
@given(n=st.integers(2, 40), ratio=st.floats(0, 0.95))
def test_methods_keep_the_exact_share(name, n, ratio):
    method = get_method(name)
    ratio = method.schedule(ratio, 1)(0)
    kept = fitted(method, n=n, filter_ratio=ratio, candidate_size=n).get_support(indices=True)
    assert len(np.unique(kept)) == n_kept(n, ratio)


@pytest.mark.parametrize("name", method_names())
def test_every_method_has_a_summary(name):
    method = get_method(name)
    assert method.name == name
    assert method.summary
    assert method.needs <= {
        *(FEATURES, LAST_LOSS, HISTORY, FRESH, REFERENCE, CLEAN, DYNAMICS, PROGRESS)
    }
    again = get_method(method.spec)
    assert (type(again), vars(again)) == (type(method), vars(method))


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_methods_are_the_selector_of_that_name(name):
    method, table = get_method(name), features()
    expected = FiedlerBatchSelector(0.8, candidate_size=20, **SPECTRAL[name]).fit(table)
    assert np.array_equal(fitted(method).get_support(), expected.get_support())


@pytest.mark.parametrize("name", SPECTRAL)
def test_single_and_stacked_batches_give_the_same_choice(name):
    method, table = get_method(name), features(20)
    candidates = Candidates(
        np.arange(20), np.zeros(20, np.int64), 4, np.random.default_rng(0), features=table
    )
    chosen = method.choose(candidates).positions
    expected = fitted(method, n=20).get_support(indices=True)
    assert sorted(chosen) == expected.tolist()


def test_random_depends_on_the_seed_and_is_uniform():
    method = get_method("random")
    same = [fitted(method, seed=3).get_support(indices=True).tolist() for _ in range(2)]
    other = fitted(method, seed=4).get_support(indices=True).tolist()
    assert same[0] == same[1] != other
    counts = sum(fitted(method, seed=seed).get_support().astype(int) for seed in range(300))
    expected, deviation = 300 * 0.2, (300 * 0.2 * 0.8) ** 0.5
    assert (abs(counts - expected) < 5 * deviation).all()


def test_full_discards_nothing_at_any_ratio():
    method = get_method("full")
    assert method.schedule(0.8, 3)(1) == 0
    with pytest.raises(ValueError, match="filter_ratio must be in"):
        method.schedule(1.5, 3)


def test_rules_receive_the_features_and_labels_of_their_candidates():
    table, labels = features(12), np.arange(12) * 10
    seen = []

    class Looking(Method):
        name, summary, needs = "looking", "", frozenset({FEATURES})

        def choose(self, candidates):
            seen.append(candidates)
            return Choice(np.arange(candidates.n_keep))

    selector = as_selector(Looking(), 0.5, labels=labels, features=table, seed=0)
    clone(selector).set_params(candidate_size=4).fit(np.array([[7], [1], [3], [9], [0], [2]]))
    assert [c.indices.tolist() for c in seen] == [[7, 1, 3, 9], [0, 2]]
    assert seen[0].labels.tolist() == [70, 10, 30, 90]
    assert np.array_equal(seen[0].features, table[[7, 1, 3, 9]])
    assert [c.n_keep for c in seen] == [2, 1]


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([], "chose none of the 5 candidates"),
        ([0, 5], "must choose distinct positions"),
        ([-1, 2], "must choose distinct positions"),
        ([2, 2], "must choose distinct positions"),
        ([0, 1, 2], "must choose 2 of 5 candidates; chose 3"),
        ([[0, 1]], r"must return positions as integers.*; got int64 of shape \(1, 2\)"),
        (1, r"must return positions.*got int64 of shape \(\)"),
        ([0.0, 1.0], "must return positions.*got float64"),
        ([True, False], "must return positions.*got bool"),
    ],
)
def test_rejects_invalid_choices(positions, message):
    with pytest.raises(RuntimeError, match=f"method 'random' {message}"):
        check_choice(Choice(np.array(positions)), get_method("random"), 5, 2)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]], ["a", "b"], 1.0])
def test_rejects_weights_of_another_length(weights):
    choice = Choice(np.array([0, 1]), np.array(weights))
    with pytest.raises(RuntimeError, match="must return one weight for each of the 2 chosen"):
        check_choice(choice, get_method("random"), 5, 2)


def test_rejects_weights_of_unweighted_methods():
    class Forgetful(Method):
        name, summary = "forgetful", ""

        def choose(self, candidates):
            return Choice(np.arange(candidates.n_keep), np.ones(candidates.n_keep))

    with pytest.raises(RuntimeError, match=r"'forgetful' returned weights.* weighted = True"):
        fitted(Forgetful())


def test_weights_follow_their_samples():
    choice = check_choice(
        Choice(np.array([3, 1]), np.array([0.3, 0.1])), get_method("random"), 5, 2
    )
    assert choice.positions.tolist() == [1, 3]
    assert choice.weights.tolist() == [0.1, 0.3]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["full", "magic"], "method must be one of full, full-short, random.*; got 'magic'"),
        (["fiedlr"], r"got 'fiedlr': did you mean fiedler\?"),
        (["full,random"], "got 'full,random'; separate methods with spaces"),
        (["full", "full"], "methods must not contain duplicates"),
        ([], "methods must be a list"),
        ("full", "methods must be a list"),
    ],
)
def test_rejects_unknown_names(names, message):
    with pytest.raises(ValueError, match=message):
        check_methods(names)


def test_rejects_registered_names():
    class Impostor(Method):
        name, summary = "full", ""

        def choose(self, candidates):
            return Choice(np.arange(1))

    with pytest.raises(ValueError, match="method 'full' is already registered"):
        register(Impostor)
    assert type(get_method("full")) is not Impostor


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gstds:power=2", "has no option 'power'; options of gstds: rule, .*shape, start, end"),
        ("random:k=2", "has no option 'k'; options of random: none"),
        ("gstds:", "has no option ''"),
        ("gstds:end=a", "option 'end' of 'gstds:end=a' must be a number; got 'a'"),
        ("fiedler:n_neighbors=1.5", "must be an integer; got '1.5'"),
        ("gstds:end=0.1,end=0.2", "option 'end' twice"),
        ("gstds:end=1.5", r"method 'gstds:end=1.5': end must be in \[0, 1\)"),
        ("fiedler:rule=best", "rule must be one of 'extreme', 'stratified'; got 'best'"),
    ],
)
def test_rejects_invalid_options(spec, message):
    with pytest.raises(ValueError, match=message):
        get_method(spec)


def test_options_reach_the_selector_and_name_the_method():
    method = get_method("fiedler:rule=stratified,laplacian=symmetric")
    same = fitted(get_method("stratified")).get_support()
    assert np.array_equal(fitted(method).get_support(), same)
    assert method.spec == "fiedler:rule=stratified,laplacian=symmetric"
    assert get_method("fiedler:rule=extreme").spec == "fiedler"


@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("shape", ["linear", "cosine", "step"])
def test_gstds_schedule_falls_with_the_given_mean(ratio, shape):
    schedule = get_method(f"gstds:shape={shape}").schedule(ratio, 10)
    ratios = [schedule(epoch) for epoch in range(10)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > ratios[-1] or ratio == 0
    assert np.mean(ratios) == pytest.approx(ratio)


def test_gstds_start_and_end_are_options():
    schedule = get_method("gstds:start=0.5,end=0").schedule(0.8, 3)
    assert [schedule(epoch) for epoch in range(3)] == [0.5, 0.25, 0.0]
