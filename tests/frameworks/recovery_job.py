"""A training run that saves checkpoints, loses a rank mid-epoch, and is restarted."""

import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from frameworks.job_tools import EPOCHS, Net, Numbered, make_sampler, write_record

KILLED_AT = (1, 4)  # epoch and batch


def main():
    """Train from the last checkpoint, if any, and save a checkpoint after every batch."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader

    folder, killed = Path(sys.argv[1]), sys.argv[2] == "killed"
    dist.init_process_group("gloo", timeout=timedelta(seconds=20))
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = DistributedDataParallel(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler, _ = make_sampler("fixed", dataset=Numbered())
    loader = DataLoader(Numbered(), batch_sampler=sampler, num_workers=1)
    checkpoint, start, seen = folder / "checkpoint.pt", 0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        sampler.load_state_dict(state["sampler"])
        start = state["sampler"]["epoch"]
    for epoch in range(start, EPOCHS):
        sampler.set_epoch(epoch)
        done = sampler.state_dict()["batches_yielded"]
        for batch in loader:
            if killed and rank == 1 and (epoch, done) == KILLED_AT:
                os.kill(os.getpid(), signal.SIGKILL)
            optimizer.zero_grad()
            model(batch["x"], batch["labels"])["loss"].backward()
            optimizer.step()
            done += 1
            seen.append([epoch, *batch["index"].tolist()])
            if rank == 0:
                state = {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "sampler": sampler.state_dict(batches_yielded=done),
                }
                torch.save(state, folder / "checkpoint.new")
                (folder / "checkpoint.new").replace(checkpoint)
            # Written after each step, so that the file survives a kill of this rank.
            (folder / f"seen-{rank}-{sys.argv[2]}.json").write_text(json.dumps(seen))
    weights = [parameter.tolist() for parameter in model.parameters()]
    write_record({"seen": seen, "weights": weights})


if __name__ == "__main__":
    main()
