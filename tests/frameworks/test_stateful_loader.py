"""Resuming mid-epoch through the stateful loader of torchdata and a plain loader."""

import io

import pytest
import torch
from frameworks.guided_job import BATCH_SIZE
from frameworks.guided_job import make_sampler as make_guided_sampler
from frameworks.job_tools import Numbered, make_sampler
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

# torchdata 0.11 calls a function that torch 2.15 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")

FORMS = ["fixed", "papers"]


def saved_and_loaded(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def indices(loader):
    return [batch["index"].tolist() for batch in loader]


def session(form, workers, steps, checkpoint=None):
    """Train for some steps from a checkpoint; return the batches and the next checkpoint."""
    sampler, _ = make_sampler(form)
    loader = StatefulDataLoader(Numbered(), batch_sampler=sampler, num_workers=workers)
    start = 0
    if checkpoint is not None:
        start = checkpoint["epoch"]
        loader.load_state_dict(checkpoint["loader"])
    got = []
    for epoch in range(start, 3):
        sampler.set_epoch(epoch)
        for batch in loader:
            got.append((epoch, batch["index"].tolist()))
            if len(got) == steps:
                return got, saved_and_loaded({"epoch": epoch, "loader": loader.state_dict()})
    return got, None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stops", [(1, 1), (4, 2), (9, 5), (12, 13), (13, 13), (20, 1)])
def test_stateful_loader_resumes_twice_in_a_row(form, workers, stops):
    whole, _ = session(form, workers, steps=None)
    assert len(whole) == 39
    got, checkpoint = [], None
    for steps in (*stops, None):
        batches, checkpoint = session(form, workers, steps, checkpoint)
        got += batches
    assert got == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_stateful_loader_resumes_after_a_complete_epoch(workers):
    sampler, _ = make_sampler("fixed")
    loader = StatefulDataLoader(Numbered(), batch_sampler=sampler, num_workers=workers)
    whole = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        whole.append(indices(loader))
    sampler, _ = make_sampler("fixed")
    loader = StatefulDataLoader(Numbered(), batch_sampler=sampler, num_workers=workers)
    assert indices(loader) == whole[0]
    state = saved_and_loaded(loader.state_dict())
    sampler, _ = make_sampler("fixed")
    loader = StatefulDataLoader(Numbered(), batch_sampler=sampler, num_workers=workers)
    loader.load_state_dict(state)
    sampler.set_epoch(1)
    assert indices(loader) == whole[1]


@pytest.mark.parametrize("form", FORMS)
def test_stateful_loader_does_not_select_skipped_batches_again(form):
    sampler, _ = make_sampler(form)
    loader = StatefulDataLoader(Numbered(), batch_sampler=sampler)
    iterator = iter(loader)
    for _ in range(9):
        next(iterator)
    state = saved_and_loaded(loader.state_dict())
    sampler, calls = make_sampler(form)
    loader = StatefulDataLoader(Numbered(), batch_sampler=sampler)
    loader.load_state_dict(state)
    assert len(indices(loader)) == 4
    assert sum(len(X) for _, X in calls) == 202 - 9 * 16


@pytest.mark.parametrize("form", FORMS)
def test_plain_loader_resumes_with_another_number_of_workers(form):
    expected, _ = make_sampler(form)
    whole = indices(DataLoader(Numbered(), batch_sampler=expected))
    state, got = None, []
    for workers, steps in ((2, 3), (0, 4), (1, 99)):
        sampler, _ = make_sampler(form)
        if state is not None:
            sampler.load_state_dict(saved_and_loaded(state))
        loader = iter(DataLoader(Numbered(), batch_sampler=sampler, num_workers=workers))
        for _, batch in zip(range(steps), loader, strict=False):
            got.append(batch["index"].tolist())
        state = sampler.state_dict(batches_yielded=len(got))
    assert got == whole


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stops", [(1, 1), (3, 2), (8, 8), (9, 1)])
def test_guided_sampler_resumes_twice_in_a_row(workers, stops):
    def session(steps, checkpoint=None):
        sampler = make_guided_sampler()
        loader = StatefulDataLoader(
            Numbered(), batch_size=BATCH_SIZE, sampler=sampler, num_workers=workers
        )
        start = 0
        if checkpoint is not None:
            start = checkpoint["epoch"]
            loader.load_state_dict(checkpoint["loader"])
        got = []
        for epoch in range(start, 3):
            sampler.set_epoch(epoch)
            for batch in loader:
                got.append((epoch, batch["index"].tolist()))
                if len(got) == steps:
                    return got, saved_and_loaded({"epoch": epoch, "loader": loader.state_dict()})
        return got, None

    whole, _ = session(None)
    got, checkpoint = [], None
    for steps in (*stops, None):
        batches, checkpoint = session(steps, checkpoint)
        got += batches
    assert got == whole
