"""Data, samplers and records shared by the jobs that run under real frameworks.

A job is a script that `torchrun` starts in one or more processes. Each process writes its
batches to a JSON file, and the tests compare these files.
"""

import json
import os
import sys
from pathlib import Path

import torch
from sampler_helpers import Calls, TopSum, table
from torch.utils.data import Dataset, RandomSampler, Sampler, WeightedRandomSampler

from spectral_select import ClassBalancedSampler, SpectralBatchSampler

N = 202
EPOCHS = 3
FORMS = {
    # The number of samples per batch is fixed, and so is the number of batches.
    "fixed": {"batch_size": 8, "schedule": 0.5},
    # The number of candidates is fixed, and the batch size grows from epoch to epoch.
    "papers": {"batch_size": None, "candidate_size": 16, "schedule": [0.75, 0.5, 0.25]},
}


class Custom(Sampler):
    """A user-defined sampler: a permutation drawn with its own generator."""

    def __init__(self):
        self.generator = None

    def __iter__(self):
        return iter(torch.randperm(N, generator=self.generator).tolist())

    def __len__(self):
        return N


# Each yields every index once in an epoch.
INNER = {
    "none": lambda: None,
    "random": lambda: RandomSampler(range(N)),
    "weighted": lambda: WeightedRandomSampler(torch.arange(1.0, N + 1), N, replacement=False),
    "custom": Custom,
    "balanced": lambda: ClassBalancedSampler([i % 2 for i in range(N)]),
}


def ratio_of_epoch(ratios):
    """Return a schedule from a list of ratios."""
    return lambda epoch: ratios[epoch % len(ratios)]


def make_sampler(form, sampler=None, **options):
    """Return a sampler of the given form, and the record of its selector."""
    calls = Calls()
    options = {**FORMS[form], "seed": 7, "selector": TopSum(0.5, calls=calls), **options}
    if isinstance(options["schedule"], list):
        options["schedule"] = ratio_of_epoch(options["schedule"])
    options.setdefault("features", table(N))
    return SpectralBatchSampler(sampler, **options), calls


class Numbered(Dataset):
    """Samples that contain their index."""

    def __init__(self, n=N):
        self.features = torch.from_numpy(table(n))

    def __len__(self):
        return len(self.features)

    def __getitem__(self, index):
        return {"index": index, "x": self.features[index], "labels": index % 2}


class Net(torch.nn.Module):
    """A classifier with batch normalization, which fails on a batch of one sample."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
        )

    def forward(self, x, labels=None, index=None):
        logits = self.layers(x)
        if labels is None:
            return logits
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def rows_solved(calls):
    """Return the number of candidate rows in all calls of the selector."""
    return sum(len(X) for _, X in calls)


def write_record(record):
    """Write this process's record to the folder named on the command line, and exit."""
    rank = int(os.environ.get("RANK", "0"))
    Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(record))
    if torch.distributed.is_initialized():  # a rank that exits early would abort the others
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
