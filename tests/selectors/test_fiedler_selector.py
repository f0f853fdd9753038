import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import algorithm_1
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from strategies import features

from spectral_select import FiedlerBatchSelector, Status, fiedler_vector, n_kept

ratios = st.floats(0, 0.99)
rules = st.sampled_from(["extreme", "stratified"])

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
    [FiedlerBatchSelector(), FiedlerBatchSelector(rule="stratified", candidate_size=8)],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learn_conventions(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # some checks fit constant rows
        warnings.filterwarnings("ignore", "Casting complex values", UserWarning)
        check(estimator)


def quiet(selector, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return selector.fit(X)


@given(features(min_rows=1), ratios, rules, st.none() | st.integers(1, 60))
def test_keeps_the_exact_number_of_every_batch(X, ratio, rule, size):
    selector = quiet(FiedlerBatchSelector(ratio, rule=rule, candidate_size=size), X)
    n = len(X)
    size = n if size is None else size
    for start in range(0, n, size):
        batch = selector.support_[start : start + size]
        assert batch.sum() == n_kept(len(batch), ratio)
    assert np.array_equal(np.flatnonzero(selector.get_support()), selector.sample_indices_)
    assert np.array_equal(selector.get_support(indices=True), selector.sample_indices_)
    assert len(selector.transform(X)) == len(selector.sample_indices_)


@pytest.mark.parametrize(("n", "ratio", "kept"), [(100, 0.8, 20), (10, 0.9, 1), (7, 0.0, 7)])
def test_rounding(n, ratio, kept):
    X = np.random.default_rng(0).random((n, 5))
    assert len(FiedlerBatchSelector(ratio).fit_transform(X)) == kept


@given(features(nonnegative=True, plain=True, min_rows=4), ratios)
def test_extreme_rule_is_algorithm_1(X, ratio):
    k = n_kept(len(X), ratio)
    kept, relative_gap = algorithm_1(X, k)
    assume(relative_gap > 1e-4)
    scores = -np.sort(-np.abs(fiedler_vector(X.astype(np.float64)).vector))
    assume(k == len(X) or scores[k - 1] - scores[k] > 1e-9)  # no tie at the cut
    selector = quiet(FiedlerBatchSelector(ratio), X)
    assert set(selector.sample_indices_.tolist()) == kept


def test_float32_batches_keep_what_float64_would():
    rng = np.random.default_rng(0)
    centers = np.abs(rng.standard_normal((10, 64)))
    X = np.abs(centers[rng.integers(10, size=60 * 128)] + rng.standard_normal((60 * 128, 64)))
    X = X.astype(np.float32)
    selector = FiedlerBatchSelector(candidate_size=128).fit(X)
    for batch, support in zip(
        X.reshape(60, 128, 64), selector.support_.reshape(60, 128), strict=True
    ):
        kept, relative_gap = algorithm_1(batch, 25)
        assert relative_gap < 1e-4 or set(np.flatnonzero(support).tolist()) == kept


@given(features(min_rows=4, plain=True), ratios, rules)
def test_order_of_rows_does_not_matter(X, ratio, rule):
    first = quiet(FiedlerBatchSelector(ratio), X)
    assume(first.gap_ > 1e-3 * len(X))
    scores = np.sort(first.scores_)[::-1]
    k = n_kept(len(X), ratio)
    assume(k == len(X) or scores[k - 1] - scores[k] > 1e-3)
    order = np.random.default_rng(0).permutation(len(X))
    again = quiet(FiedlerBatchSelector(ratio), X[order])
    assert set(order[again.sample_indices_].tolist()) == set(first.sample_indices_.tolist())


@given(features(), rules, st.none() | st.integers(0, 99))
def test_same_seed_gives_the_same_result_and_keeps_the_input(X, rule, seed):
    X.flags.writeable = False
    selector = FiedlerBatchSelector(0.5, rule=rule, candidate_size=9, random_state=seed)
    first, again = quiet(clone(selector), X), quiet(clone(selector), X)
    assert first.fiedler_vector_.tobytes() == again.fiedler_vector_.tobytes()
    assert first.sample_indices_.tobytes() == again.sample_indices_.tobytes()


def test_stratified_rule_gives_every_row_the_same_chance():
    X = np.random.default_rng(0).random((10, 4))
    counts = np.zeros(10)
    for seed in range(3000):
        counts[
            FiedlerBatchSelector(0.7, rule="stratified", random_state=seed).fit(X).sample_indices_
        ] += 1
    assert np.abs(counts / 3000 - 0.3).max() < 5 * np.sqrt(0.21 / 3000)


def test_candidate_batches_are_selected_from_independently():
    X = np.random.default_rng(0).random((130, 8))
    for wrap in (np.asarray, sparse.csr_array, torch.from_numpy):
        together = FiedlerBatchSelector(candidate_size=50).fit(wrap(X))
        alone = [FiedlerBatchSelector().fit(X[i : i + 50]) for i in (0, 50, 100)]
        expected = np.concatenate([50 * i + s.sample_indices_ for i, s in enumerate(alone)])
        assert np.array_equal(together.sample_indices_, expected)
        values = [s.algebraic_connectivity_ for s in alone]
        np.testing.assert_allclose(together.algebraic_connectivity_, values)
        assert together.status_.tolist() == [Status.CONVERGED] * 3


def test_selection_does_not_depend_on_blocks_and_threads(monkeypatch):
    X = np.random.default_rng(0).random((2000, 16)).astype(np.float32)
    expected = FiedlerBatchSelector(candidate_size=40).fit(X)
    monkeypatch.setattr("spectral_select._selectors.candidate_batches._BLOCK_ENTRIES", 40 * 40 * 3)
    blocks = FiedlerBatchSelector(candidate_size=40).fit(X)
    assert np.array_equal(blocks.sample_indices_, expected.sample_indices_)
    assert len(blocks.status_) == 50


def test_memory_mapped_features(tmp_path):
    X = np.random.default_rng(0).random((300, 8)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = FiedlerBatchSelector(candidate_size=64).fit(X)
    assert np.array_equal(
        FiedlerBatchSelector(candidate_size=64).fit(mapped).sample_indices_,
        expected.sample_indices_,
    )


@pytest.mark.parametrize("size", [None, 30])
def test_precomputed_affinity_is_the_same_as_features(size):
    X = np.random.default_rng(0).random((70, 5))
    S = cosine_similarity(X)
    expected = FiedlerBatchSelector(0.5, candidate_size=size).fit(X).sample_indices_
    for affinity in (S, sparse.csr_matrix(S), torch.from_numpy(S)):
        selector = FiedlerBatchSelector(0.5, affinity="precomputed", candidate_size=size)
        assert np.array_equal(selector.fit(affinity).sample_indices_, expected)


def test_output_has_the_container_of_the_input():
    X = np.random.default_rng(0).random((40, 3))
    names = ["a", "b", "c"]
    selector = FiedlerBatchSelector().fit(X)
    kept = X[selector.sample_indices_]
    frame = pd.DataFrame(X, columns=names, index=[f"row {i}" for i in range(40)])
    assert selector.transform(X.astype(np.float32)).dtype == np.float32
    assert isinstance(selector.transform(sparse.csr_array(X)), sparse.csr_array)
    assert torch.equal(selector.transform(torch.from_numpy(X)), torch.from_numpy(kept))
    fitted = FiedlerBatchSelector().fit(frame)
    out = fitted.transform(frame)
    assert out.index.tolist() == frame.index[fitted.sample_indices_].tolist()
    polars = pl.DataFrame(X, schema=names)
    assert (
        FiedlerBatchSelector()
        .fit(polars)
        .transform(polars)
        .equals(polars[selector.sample_indices_.tolist()])
    )


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(container):
    X = np.random.default_rng(0).random((40, 3))
    library = {"pandas": pd, "polars": pl}[container]
    for given_ in (X, pd.DataFrame(X, columns=list("abc")), pl.DataFrame(X, schema=list("abc"))):
        out = FiedlerBatchSelector().set_output(transform=container).fit_transform(given_)
        assert isinstance(out, library.DataFrame)
        assert out.shape == (8, 3)


def test_transform_accepts_any_table_with_the_rows_of_fit():
    X = np.random.default_rng(0).random((40, 3))
    selector = FiedlerBatchSelector().fit(X)
    table = np.arange(40 * 9).reshape(40, 9)
    assert np.array_equal(selector.transform(table), table[selector.sample_indices_])
    for wrong in (X[:-1], X[:8]):
        with pytest.raises(ValueError, match=rf"X must have the 40 rows.*got {len(wrong)}"):
            selector.transform(wrong)


def test_feature_names_of_an_earlier_fit_are_removed():
    frame = pd.DataFrame(np.random.default_rng(0).random((30, 2)), columns=["a", "b"])
    selector = FiedlerBatchSelector().fit(frame)
    assert selector.get_feature_names_out().tolist() == ["a", "b"]
    selector.fit(torch.rand(30, 3, generator=torch.Generator().manual_seed(0)))
    assert not hasattr(selector, "feature_names_in_")


def test_select_also_selects_from_other_arrays():
    X = np.random.default_rng(0).random((30, 3))
    labels, paths = np.arange(30), [f"{i}.jpg" for i in range(30)]
    selector = FiedlerBatchSelector()
    kept, y, names, nothing, series = selector.select(X, labels, paths, None, pd.Series(labels))
    assert np.array_equal(kept, X[y])
    assert names == [f"{i}.jpg" for i in y]
    assert nothing is None
    assert series.tolist() == y.tolist()
    assert np.array_equal(selector.select(X), kept)
    untouched = FiedlerBatchSelector()
    with pytest.raises(ValueError, match=r"arrays\[1\] must have 30 rows.*got 29"):
        untouched.select(X, labels, paths[:-1])
    assert not hasattr(untouched, "support_")


def test_clone_pickle_pipeline_and_grid_search():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    selector = FiedlerBatchSelector(0.5, candidate_size=50, random_state=3)
    assert clone(selector).get_params() == selector.get_params()
    selector.fit(X)
    again = pickle.loads(pickle.dumps(selector))
    assert np.array_equal(again.transform(X), selector.transform(X))
    assert make_pipeline(MinMaxScaler(), clone(selector)).fit_transform(X).shape == (150, 64)
    search = GridSearchCV(
        clone(selector),
        {"filter_ratio": [0.2, 0.8], "rule": ["extreme", "stratified"]},
        scoring=lambda estimator, X, y=None: float(estimator.scores_.max()),
        cv=2,
    )
    assert search.fit(X).best_estimator_.support_.shape == (300,)


def test_attributes_of_one_batch():
    X = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    selector = FiedlerBatchSelector().fit(X)
    assert (selector.n_samples_in_, selector.n_features_in_) == (50, 4)
    assert selector.fiedler_vector_.dtype == np.float32
    assert np.array_equal(selector.scores_, np.abs(selector.fiedler_vector_))
    assert isinstance(selector.algebraic_connectivity_, float)
    assert selector.status_ == Status.CONVERGED
    assert 0 < selector.error_bound_ < 0.1
    assert selector.gap_ > 0


def test_undetermined_vectors_warn():
    X = np.ones((120, 5))
    X[80:] = np.random.default_rng(0).random((40, 5))
    with pytest.warns(ConvergenceWarning, match=r"2 of 3 candidate batches.*too close"):
        FiedlerBatchSelector(candidate_size=40).fit(X)
    with pytest.warns(ConvergenceWarning) as caught:
        FiedlerBatchSelector(candidate_size=40).fit(X)
    assert caught[0].filename == __file__


def test_rejects_unfitted_selector():
    for call in (lambda s: s.get_support(), lambda s: s.transform(np.ones((3, 2)))):
        with pytest.raises(NotFittedError):
            call(FiedlerBatchSelector())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"filter_ratio": 1.0}, r"'filter_ratio' parameter.*range \[0.0, 1.0\).*Got 1.0"),
        ({"filter_ratio": -0.1}, "'filter_ratio' parameter.*Got -0.1"),
        ({"filter_ratio": "0.8"}, "'filter_ratio' parameter.*Got '0.8'"),
        ({"candidate_size": 0}, "'candidate_size' parameter.*Got 0"),
        ({"max_iter": 0}, "'max_iter' parameter.*Got 0"),
        ({"candidate_size": 2.5}, "'candidate_size' parameter.*Got 2.5"),
        ({"rule": "best"}, "'rule' parameter.*Got 'best'"),
        ({"laplacian": "normalized"}, "'laplacian' parameter.*Got 'normalized'"),
        ({"affinity": "rbf"}, "'affinity' parameter.*Got 'rbf'"),
        ({"tol": 0.0}, "'tol' parameter.*Got 0.0"),
        ({"random_state": "seed"}, "'random_state' parameter.*Got 'seed'"),
    ],
)
def test_rejects_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        FiedlerBatchSelector(**parameters).fit(np.ones((4, 3)))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1.0, 2], [np.nan, 1]]), "X must be finite; row 1 holds NaN"),
        (np.empty((0, 3)), r"0 sample\(s\)"),
        (np.empty((3, 0)), r"0 feature\(s\)"),
        (np.ones(3), "Expected 2D array, got 1D array"),
        (np.ones((2, 2, 2)), "dim 3|3 dims"),
        (torch.ones(3), r"X must have shape \(n_samples, n_features\); got \(3,\)"),
        (torch.tensor([[1.0], [torch.nan]]), "row 1 holds NaN"),
    ],
)
def test_rejects_bad_features(X, message):
    with pytest.raises(ValueError, match=message):
        FiedlerBatchSelector().fit(X)


@pytest.mark.parametrize("name", ["candidate_size", "max_iter", "n_neighbors"])
def test_rejects_bool_as_count(name):
    with pytest.raises(TypeError, match=f"{name} must be an integer.*got True"):
        FiedlerBatchSelector(**{name: True}).fit(np.ones((4, 3)))


def test_rejects_masked_arrays():
    with pytest.raises(ValueError, match="X must not be a masked array"):
        FiedlerBatchSelector().fit(np.ma.masked_less(np.ones((9, 3)), 2))


@pytest.mark.parametrize(
    "kind", ["csr_matrix", "csr_array", "csc_matrix", "coo_matrix", "lil_array"]
)
def test_sparse_tables_keep_their_type(kind):
    X = getattr(sparse, kind)(np.random.default_rng(0).random((40, 3)))
    out = FiedlerBatchSelector().fit_transform(X)
    assert isinstance(out, sparse.sparray) == isinstance(X, sparse.sparray)


def test_sparse_float32_features_keep_what_float64_would():
    rng = np.random.default_rng(0)
    X = np.abs(rng.standard_normal((40 * 64, 30))).astype(np.float32)
    X[X < 0.5] = 0
    support = FiedlerBatchSelector(candidate_size=64).fit(sparse.csr_array(X)).support_
    for batch, mask in zip(X.reshape(40, 64, 30), support.reshape(40, 64), strict=True):
        kept, relative_gap = algorithm_1(batch, 12)
        assert relative_gap < 1e-4 or set(np.flatnonzero(mask).tolist()) == kept
