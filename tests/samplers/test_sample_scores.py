"""Saved scores: samplers make the same choices with them as with features and labels."""

import numpy as np
import pytest
from parquet_helpers import inspect, noisy_digits, write

from spectral_select import (
    FiedlerBatchSelector,
    GuidedSampler,
    SampleScores,
    SpectralBatchSampler,
    inspect_dataset,
    load_scores,
)

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def data():
    X, y = noisy_digits(600, 0.2, np.float32)
    X[300:330] = 1.002 * X[:30]
    return X, y


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    inspect_dataset(*data).write(folder / "memory.parquet")
    assert inspect(write(folder / "in", data), folder / "files") == 0
    return folder


def visits(sampler, n, epochs):
    counts = np.zeros(n, int)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        counts += np.bincount(list(sampler), minlength=n)
    return counts


def test_guided_sampler_visits_the_same_samples(data, folder):
    X, y = data
    expected = visits(GuidedSampler(y, features=X), len(y), 20)
    found = visits(GuidedSampler(None, features=load_scores(folder / "memory.parquet")), len(y), 20)
    assert np.abs(found - expected).max() <= 1
    assert (found == expected).mean() > 0.9


def test_files_and_memory_agree(data, folder):
    memory = load_scores(folder / "memory.parquet")
    files = load_scores(folder / "files")
    np.testing.assert_array_equal(files.near_duplicates, memory.near_duplicates)
    assert (files.near_duplicates[:30] >= 1).all()
    # Parameters are chosen on different samples.
    assert np.corrcoef(files.label_trust, memory.label_trust)[0, 1] > 0.99


def test_ids_give_the_order(data, folder):
    order = np.random.default_rng(1).permutation(len(data[1]))[:200]
    ids = [f"r{i}" for i in order]
    found, whole = load_scores(folder / "files", ids=ids), load_scores(folder / "files")
    np.testing.assert_array_equal(found.label_trust, whole.label_trust[order])
    by_index = load_scores(folder / "memory.parquet", ids=order, id_column="index")
    assert by_index.n_rows == 200


def test_powers_apply_to_scores(folder):
    scores = load_scores(folder / "memory.parquet")
    plain = GuidedSampler(None, features=scores, trust_power=0, hardness_power=0, duplicate_power=0)
    assert (visits(plain, scores.n_rows, 5) == 1).all()


def test_batches_are_drawn_in_proportion_to_weights(folder):
    scores = load_scores(folder / "memory.parquet")
    sampler = SpectralBatchSampler(None, 20, features=scores, seed=3)
    counts = np.zeros(scores.n_rows)
    for epoch in range(60):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert {len(batch) for batch in batches} == {20}
        counts += np.bincount(np.concatenate(batches), minlength=scores.n_rows)
    trusted = scores.label_trust > 0.5
    assert counts[trusted].mean() > 5 * counts[~trusted].mean()


def test_batches_resume(folder):
    scores = load_scores(folder / "memory.parquet")
    whole = list(SpectralBatchSampler(None, 20, features=scores, seed=3))
    first = SpectralBatchSampler(None, 20, features=scores, seed=3)
    passed = iter(first)
    head = [next(passed), next(passed)]
    second = SpectralBatchSampler(None, 20, features=scores, seed=3)
    second.load_state_dict(first.state_dict())
    assert head + list(second) == whole


def test_scores_without_labels(data, tmp_path):
    inspect_dataset(data[0]).write(tmp_path / "scores.parquet")
    scores = load_scores(tmp_path / "scores.parquet")
    assert scores.label_trust is None
    counts = visits(GuidedSampler(None, features=scores), len(data[0]), 10)
    assert counts[:30].mean() < 0.7 * counts[30:300].mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([-1.0],), "near_duplicates must be between 0 and inf; row 0 is -1"),
        (
            ([0, 1], [0.5, 2.0], [0.5, 0.5], [1, 2]),
            "label_trust must be between 0 and 1; row 1 is 2",
        ),
        (
            ([0, 1], [0.5, np.nan], [0.5, 0.5], ["a", "b"]),
            "label_trust must be between 0 and 1; row 1 is nan",
        ),
        (([0, 1], [0.5], [0.5, 0.5], [0, 0]), r"label_trust must have shape \(2,\)"),
        (([0, 1], [0.5, 0.5], [0.5, 0.5], [1]), r"labels must have shape \(2,\)"),
        (([0, 1], [0.5, 0.5], [0.5, 0.5]), "must be given together"),
        (([],), "near_duplicates must have shape"),
    ],
)
def test_rejects_bad_scores(arguments, message):
    with pytest.raises(ValueError, match=message):
        SampleScores(*arguments)


def test_rejects_bad_files(folder, tmp_path):
    with pytest.raises(ValueError, match=r"ids\[1\] is 'x', for which .* has no scores"):
        load_scores(folder / "files", ids=["r1", "x"])
    with pytest.raises(ValueError, match="has no column 'near_duplicates'"):
        load_scores(folder / "in")
    with pytest.raises(ValueError, match="neither a Parquet file nor a folder with scores"):
        load_scores(tmp_path)
    (tmp_path / "_progress").mkdir()
    (tmp_path / "a.parquet").write_bytes((folder / "memory.parquet").read_bytes())
    with pytest.raises(ValueError, match="is not complete"):
        load_scores(tmp_path)


def test_rejects_labels_and_selectors(data, folder):
    scores = load_scores(folder / "memory.parquet")
    with pytest.raises(ValueError, match="labels must be None with saved scores"):
        GuidedSampler(data[1], features=scores)
    with pytest.raises(ValueError, match="selector must be None with saved scores"):
        SpectralBatchSampler(None, 20, features=scores, selector=FiedlerBatchSelector())
