"""Accelerate: prepared loaders, and a loader that is not prepared."""

from frameworks.job_tools import (
    EPOCHS,
    FORMS,
    Net,
    Numbered,
    make_sampler,
    rows_solved,
    write_record,
)


def main():
    """Train three epochs in each form and configuration, and stop and resume once."""
    import torch
    from accelerate import Accelerator, DataLoaderConfiguration
    from torch.utils.data import DataLoader, RandomSampler

    def prepared(form, sampler=None, **configuration):
        accelerator = Accelerator(
            cpu=True, dataloader_config=DataLoaderConfiguration(**configuration)
        )
        sampler, calls = make_sampler(form, sampler)
        model = Net()
        model, optimizer, loader = accelerator.prepare(
            model,
            torch.optim.SGD(model.parameters(), lr=0.01),
            DataLoader(Numbered(), batch_sampler=sampler),
        )
        return accelerator, model, optimizer, loader, sampler, calls

    def train(accelerator, model, optimizer, loader, stop=None):
        batches = []
        for batch in loader:
            optimizer.zero_grad()
            accelerator.backward(model(batch["x"], batch["labels"])["loss"])
            optimizer.step()
            batches.append(batch["index"].tolist())
            if len(batches) == stop:
                break
        return batches

    record = {}
    cases = {
        "default": {},
        "seedable": {"use_seedable_sampler": True, "data_seed": 7},
        "stateful": {"use_stateful_dataloader": True},
    }
    for form in FORMS:
        for name, configuration in cases.items():
            for kind in ("none", "random"):
                inner = RandomSampler(range(202)) if kind == "random" else None
                *training, loader, _, calls = prepared(form, inner, **configuration)
                epochs, lengths = [], []
                for _ in range(EPOCHS):
                    lengths.append(len(loader))
                    epochs.append(train(*training, loader))
                record[f"{form}, {name}, {kind}"] = {
                    "epochs": epochs,
                    "lengths": lengths,
                    "solved": rows_solved(calls),
                }
    # Rank 0 reads the batches of all ranks, so it selects as a single process.
    accelerator = Accelerator(
        cpu=True, dataloader_config=DataLoaderConfiguration(dispatch_batches=True)
    )
    sampler, _ = make_sampler("fixed", num_replicas=1, rank=0, drop_last=True)
    loader = accelerator.prepare(DataLoader(Numbered(), batch_sampler=sampler))
    record["dispatched"] = {"batches": [batch["index"].tolist() for batch in loader]}
    # Stop in the second epoch and resume in a new loader, from the state of the sampler.
    *training, loader, sampler, _ = prepared("fixed")
    whole = [train(*training, loader) for _ in range(EPOCHS)]
    *training, loader, sampler, _ = prepared("fixed")
    first = train(*training, loader)
    part = train(*training, loader, stop=3)
    state = sampler.state_dict(batches_yielded=3)
    *training, loader, sampler, calls = prepared("fixed")
    sampler.load_state_dict(state)
    loader.set_epoch(1)
    rest = train(*training, loader)
    rows = rows_solved(calls)
    record["resume"] = {
        "whole": whole,
        "resumed": [first, part + rest, train(*training, loader)],
        "solved": rows,
        "left": len(rest),
    }
    # Without prepare, this rank would train on the batches of other ranks.
    sampler, _ = make_sampler("fixed")
    try:
        unprepared = [b["index"].tolist() for b in DataLoader(Numbered(), batch_sampler=sampler)]
        record["unprepared"] = {"batches": unprepared}
    except RuntimeError as error:
        record["unprepared"] = {"refused": str(error)}
    sampler, _ = make_sampler(
        "fixed", num_replicas=accelerator.num_processes, rank=accelerator.process_index
    )
    own = [b["index"].tolist() for b in DataLoader(Numbered(), batch_sampler=sampler)]
    record["own"] = {"batches": own}
    write_record(record)


if __name__ == "__main__":
    main()
