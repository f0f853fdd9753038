"""Accelerate: prepared loaders, and a loader that is not prepared."""

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from frameworks.job_tools import (
    EPOCHS,
    FORMS,
    INNER,
    Net,
    Numbered,
    make_sampler,
    rows_solved,
    write_record,
)
from torch.utils.data import DataLoader

CONFIGURATIONS = {
    "default": {},
    "seedable": {"use_seedable_sampler": True, "data_seed": 7},
    "stateful": {"use_stateful_dataloader": True},
}


class Training:
    """A model and its prepared loader."""

    def __init__(self, form, inner=None, **configuration):
        self.accelerator = Accelerator(
            cpu=True, dataloader_config=DataLoaderConfiguration(**configuration)
        )
        self.sampler, self.calls = make_sampler(form, inner)
        model = Net()
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            model,
            torch.optim.SGD(model.parameters(), lr=0.01),
            DataLoader(Numbered(), batch_sampler=self.sampler),
        )

    def epoch(self, stop=None):
        """Train for an epoch or for its first `stop` batches, and return the batches."""
        batches = []
        for batch in self.loader:
            self.optimizer.zero_grad()
            self.accelerator.backward(self.model(batch["x"], batch["labels"])["loss"])
            self.optimizer.step()
            batches.append(batch["index"].tolist())
            if len(batches) == stop:
                break
        return batches


def indices(loader):
    """Return the batches of a loader."""
    return [batch["index"].tolist() for batch in loader]


def run_case(form, name, kind):
    """Train three epochs."""
    training = Training(form, INNER[kind](), **CONFIGURATIONS[name])
    epochs, lengths = [], []
    for _ in range(EPOCHS):
        lengths.append(len(training.loader))
        epochs.append(training.epoch())
    return {"epochs": epochs, "lengths": lengths, "solved": rows_solved(training.calls)}


def run_dispatched():
    """Read one epoch in which rank 0 reads the batches of all ranks, like a single process."""
    accelerator = Accelerator(
        cpu=True, dataloader_config=DataLoaderConfiguration(dispatch_batches=True)
    )
    sampler, _ = make_sampler("fixed", num_replicas=1, rank=0, drop_last=True)
    loader = accelerator.prepare(DataLoader(Numbered(), batch_sampler=sampler))
    return {"batches": indices(loader)}


def run_split():
    """Read one epoch in which each rank keeps its part of every batch."""
    accelerator = Accelerator(
        cpu=True, dataloader_config=DataLoaderConfiguration(split_batches=True)
    )
    if 16 % accelerator.num_processes:  # Accelerate rejects batches that it cannot divide
        return {}
    sampler, _ = make_sampler("fixed", num_replicas=1, rank=0, drop_last=True)
    loader = accelerator.prepare(DataLoader(Numbered(), batch_sampler=sampler))
    refused = ""
    if accelerator.num_processes > 1:
        plain, _ = make_sampler("fixed")
        try:
            indices(accelerator.prepare(DataLoader(Numbered(), batch_sampler=plain)))
        except RuntimeError as error:
            refused = str(error)
    return {"batches": indices(loader), "refused": refused}


def run_resume():
    """Stop in the second epoch, and resume with a new loader from the sampler's state."""
    whole = Training("fixed")
    expected = [whole.epoch() for _ in range(EPOCHS)]
    stopped = Training("fixed")
    first, part = stopped.epoch(), stopped.epoch(stop=3)
    resumed = Training("fixed")
    resumed.sampler.load_state_dict(stopped.sampler.state_dict(batches_yielded=3))
    resumed.loader.set_epoch(1)
    rest = resumed.epoch()
    solved = rows_solved(resumed.calls)
    return {
        "whole": expected,
        "resumed": [first, part + rest, resumed.epoch()],
        "solved": solved,
    }


def run_unprepared():
    """Read the batches of other ranks from a loader that is not prepared."""
    sampler, _ = make_sampler("fixed")
    try:
        return {"batches": indices(DataLoader(Numbered(), batch_sampler=sampler))}
    except RuntimeError as error:
        return {"refused": str(error)}


def run_explicit_ranks():
    """Read a loader that is not prepared, with a sampler that divides the batches itself."""
    accelerator = Accelerator(cpu=True)
    sampler, _ = make_sampler(
        "fixed", num_replicas=accelerator.num_processes, rank=accelerator.process_index
    )
    return {"batches": indices(DataLoader(Numbered(), batch_sampler=sampler))}


if __name__ == "__main__":
    record = {
        f"{form}, {name}, {kind}": run_case(form, name, kind)
        for form in FORMS
        for name in CONFIGURATIONS
        for kind in ("none", "random")
    }
    for kind in INNER:
        record[f"papers, default, {kind}"] = run_case("papers", "default", kind)
    record["dispatched"] = run_dispatched()
    record["split"] = run_split()
    record["resume"] = run_resume()
    record["unprepared"] = run_unprepared()
    record["explicit ranks"] = run_explicit_ranks()
    write_record(record)
