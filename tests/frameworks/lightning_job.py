"""Lightning: loader built inside and outside the hook, sampler replacement on and off.

With the argument "inner", fits with each inner sampler and resumes mid-epoch.
"""

import os
import sys
from pathlib import Path

import lightning
import torch
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
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

WORLD_SIZE = int(os.environ["WORLD_SIZE"])


class Module(lightning.LightningModule):
    """Trains with one form of the sampler and records the batches."""

    def __init__(self, form, inner="none"):
        super().__init__()
        self.net, self.form, self.inner = Net(), form, inner
        self.epochs, self.lengths, self.calls = [], [], []

    def make_loader(self):
        sampler, self.calls = make_sampler(self.form, INNER[self.inner]())
        return DataLoader(Numbered(), batch_sampler=sampler)

    def on_train_epoch_start(self):
        self.epochs.append([])
        self.lengths.append(len(self.trainer.train_dataloader))

    def training_step(self, batch, _):
        self.epochs[-1].append(batch["index"].tolist())
        return self.net(batch["x"], batch["labels"])["loss"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class WithHook(Module):
    """Builds its loader in the hook."""

    def train_dataloader(self):
        return self.make_loader()


def make_trainer(replace, **options):
    """Return a trainer that uses all ranks."""
    return lightning.Trainer(
        accelerator="cpu",
        devices=WORLD_SIZE,
        strategy="ddp" if WORLD_SIZE > 1 else "auto",
        max_epochs=EPOCHS,
        use_distributed_sampler=replace,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def fit(form, hook, replace):
    """Fit a module, and return its record or the sampler's error."""
    module = WithHook(form) if hook else Module(form)
    trainer = make_trainer(replace, enable_checkpointing=False)
    try:
        trainer.fit(module, *([] if hook else [module.make_loader()]))
    except TypeError as error:
        return {"refused": str(error)}
    return {
        "epochs": module.epochs,
        "lengths": module.lengths,
        "solved": rows_solved(module.calls),
        "inner": type(trainer.train_dataloader.batch_sampler.sampler).__name__,
    }


def fit_and_resume(inner):
    """Fit with an inner sampler, and again from checkpoints in the middle of an epoch."""
    folder = Path(sys.argv[1], inner)
    saving = ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
    module = WithHook("papers", inner)
    make_trainer(False, callbacks=[saving]).fit(module)
    record = {
        "epochs": module.epochs,
        "lengths": module.lengths,
        "solved": rows_solved(module.calls),
    }
    for steps in (4, 9):
        module = WithHook("papers", inner)
        module.epochs.append([])  # batches of the epoch that has started
        make_trainer(False, enable_checkpointing=False).fit(
            module, ckpt_path=folder / f"step={steps}.ckpt"
        )
        record[str(steps)] = module.epochs
    return record


if __name__ == "__main__":
    write_record(
        {inner: fit_and_resume(inner) for inner in INNER}
        if "inner" in sys.argv
        else {
            f"{form}, hook {hook}, replacement {replace}": fit(form, hook, replace)
            for form in FORMS
            for hook in (True, False)
            for replace in (True, False)
        }
    )
