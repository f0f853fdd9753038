"""Plain loaders and torchdata's, under DistributedDataParallel."""

from frameworks.job_tools import (
    EPOCHS,
    FORMS,
    Net,
    Numbered,
    make_sampler,
    rows_solved,
    write_record,
)

LOADERS = {
    "main process": {},
    "workers": {"num_workers": 2, "persistent_workers": True, "pin_memory": True},
}


def main():
    """Train for three epochs with each form of the sampler and each loader."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader
    from torchdata.stateful_dataloader import StatefulDataLoader

    dist.init_process_group("gloo")
    record = {}
    for form in FORMS:
        for name, options in LOADERS.items():
            for cls in (DataLoader, StatefulDataLoader):
                sampler, calls = make_sampler(form, dataset=Numbered())
                loader = cls(Numbered(), batch_sampler=sampler, **options)
                model = DistributedDataParallel(Net())
                optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
                epochs, lengths = [], []
                for epoch in range(EPOCHS):
                    sampler.set_epoch(epoch)
                    lengths.append(len(loader))
                    epochs.append([])
                    for batch in loader:
                        optimizer.zero_grad()
                        model(batch["x"], batch["labels"])["loss"].backward()
                        optimizer.step()
                        epochs[-1].append(batch["index"].tolist())
                record[f"{form}, {name}, {cls.__name__}"] = {
                    "epochs": epochs,
                    "lengths": lengths,
                    "solved": rows_solved(calls),
                }
    write_record(record)


if __name__ == "__main__":
    main()
