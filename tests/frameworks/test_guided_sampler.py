"""GuidedSampler under the real frameworks, with one real process for each rank."""

import math

import pytest
from frameworks.guided_job import BATCH_SIZE, make_sampler
from frameworks.job_tools import EPOCHS
from frameworks.test_frameworks import run_job


def selected(epoch):
    """Return the indices of an epoch in a single process."""
    sampler = make_sampler(num_replicas=1, rank=0)
    sampler.set_epoch(epoch)
    return list(sampler)


def check_epochs(ranks, *, loader_shards):
    """Check that the ranks together yield the samples of a single process, in the same order."""
    n_ranks = len(ranks)
    assert [len(rank["epochs"]) for rank in ranks] == [EPOCHS] * n_ranks
    for epoch in range(EPOCHS):
        expected = selected(epoch)
        parts = [rank["epochs"][epoch] for rank in ranks]
        assert [rank["lengths"][epoch] for rank in ranks] == [len(part) for part in parts]
        assert len({len(part) for part in parts}) == 1, "every rank takes the same steps"
        if loader_shards:  # whole batches in turn; the last ones are completed from the first
            dealt = [batch for round_ in zip(*parts, strict=True) for batch in round_]
            flat = [i for batch in dealt for i in batch]
            assert flat[: len(expected)] == expected
            assert set(flat) == set(expected)
        else:  # single samples in turn, as in DistributedSampler
            shares = [[i for batch in part for i in batch] for part in parts]
            size = math.ceil(len(expected) / n_ranks)
            padded = expected + expected[: size * n_ranks - len(expected)]
            assert shares == [padded[rank::n_ranks] for rank in range(n_ranks)]
            assert len(parts[0]) == math.ceil(size / BATCH_SIZE)


@pytest.mark.parametrize("n_ranks", [1, 2])
@pytest.mark.parametrize("framework", ["plain", "lightning", "accelerate"])
def test_ranks_train_on_the_epochs_of_one_process(framework, n_ranks, tmp_path):
    records = run_job("guided_job", n_ranks, tmp_path, framework)
    for case in records[0]:
        ranks = [record[case] for record in records]
        check_epochs(ranks, loader_shards=framework == "accelerate")


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_trainer_resumes_mid_epoch(n_ranks, tmp_path):
    records = run_job("guided_job", n_ranks, tmp_path, "transformers")
    check_epochs([record["whole"] for record in records], loader_shards=True)
    for record in records:
        whole = [batch for epoch in record["whole"]["epochs"] for batch in epoch]
        resumed = [batch for epoch in record["resumed"]["epochs"] for batch in epoch]
        assert resumed == whole[5:]
