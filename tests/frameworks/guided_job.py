"""GuidedSampler in ordinary loaders: plain, torchdata, Lightning, Accelerate and Trainer."""

import os
import sys

from frameworks.job_tools import EPOCHS, N, Net, Numbered, write_record
from sampler_helpers import table

from spectral_select import GuidedSampler

BATCH_SIZE = 8


def make_sampler(**options):
    """Return the sampler that all jobs use.

    All epochs have the same size, because Lightning and Trainer fix the number of steps.
    """
    labels = [i % 2 for i in range(N)]
    return GuidedSampler(labels, features=table(N), filter_ratio=0.6, seed=7, **options)


def make_loader(cls=None, **options):
    from torch.utils.data import DataLoader

    return (cls or DataLoader)(Numbered(), batch_size=BATCH_SIZE, sampler=make_sampler(), **options)


def run_plain():
    """Train under DistributedDataParallel with torch's loader and with torchdata's loader."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    from torchdata.stateful_dataloader import StatefulDataLoader

    dist.init_process_group("gloo")
    model = DistributedDataParallel(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    record = {}
    for cls in (None, StatefulDataLoader):
        loader = make_loader(cls, num_workers=2, persistent_workers=True)
        epochs, lengths = [], []
        for epoch in range(EPOCHS):
            loader.sampler.set_epoch(epoch)
            lengths.append(len(loader))
            epochs.append([])
            for batch in loader:
                optimizer.zero_grad()
                model(batch["x"], batch["labels"])["loss"].backward()
                optimizer.step()
                epochs[-1].append(batch["index"].tolist())
        name = "loader" if cls is None else "stateful loader"
        record[name] = {"epochs": epochs, "lengths": lengths}
    return record


def run_lightning():
    """Fit with the loader built inside and outside the hook, sampler replacement on and off."""
    import lightning
    import torch

    world = int(os.environ["WORLD_SIZE"])

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.epochs, self.lengths = Net(), [], []

        def on_train_epoch_start(self):
            self.epochs.append([])
            self.lengths.append(len(self.trainer.train_dataloader))

        def training_step(self, batch, _):
            self.epochs[-1].append(batch["index"].tolist())
            return self.net(batch["x"], batch["labels"])["loss"]

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    class WithHook(Module):
        def train_dataloader(self):
            return make_loader()

    record = {}
    for hook in (True, False):
        for replace in (True, False):
            for reload in (0, 1) if hook else (0,):
                trainer = lightning.Trainer(
                    accelerator="cpu",
                    devices=world,
                    strategy="ddp" if world > 1 else "auto",
                    max_epochs=EPOCHS,
                    use_distributed_sampler=replace,
                    reload_dataloaders_every_n_epochs=reload,
                    logger=False,
                    enable_checkpointing=False,
                    enable_progress_bar=False,
                    enable_model_summary=False,
                )
                module = WithHook() if hook else Module()
                trainer.fit(module, *([] if hook else [make_loader()]))
                name = f"hook {hook}, replacement {replace}, reload {reload}"
                record[name] = {"epochs": module.epochs, "lengths": module.lengths}
    return record


def run_accelerate():
    """Train with prepared loaders."""
    import torch
    from accelerate import Accelerator, DataLoaderConfiguration

    cases = {
        "default": {},
        "stateful": {"use_stateful_dataloader": True},
        "dispatched": {"dispatch_batches": True},
        "split": {"split_batches": True},
    }
    record = {}
    for name, options in cases.items():
        configuration = DataLoaderConfiguration(**options)
        accelerator = Accelerator(cpu=True, dataloader_config=configuration)
        model = Net()
        model, optimizer, loader = accelerator.prepare(
            model, torch.optim.SGD(model.parameters(), lr=0.01), make_loader()
        )
        epochs, lengths = [], []
        for _ in range(EPOCHS):
            lengths.append(len(loader))
            epochs.append([])
            for batch in loader:
                optimizer.zero_grad()
                accelerator.backward(model(batch["x"], batch["labels"])["loss"])
                optimizer.step()
                epochs[-1].append(batch["index"].tolist())
        record[name] = {"epochs": epochs, "lengths": lengths}
    return record


def run_transformers():
    """Train with the Trainer, and resume from a checkpoint mid-epoch."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Recording(TrainerCallback):
        def __init__(self):
            self.epochs, self.lengths = [], []

        def on_epoch_begin(self, args, state, control, train_dataloader=None, **_):
            self.epochs.append([])
            self.lengths.append(len(train_dataloader))

    class GuidedTrainer(Trainer):
        def _get_train_sampler(self, train_dataset=None):
            return make_sampler()

        def compute_loss(self, model, inputs, *args, **kwargs):
            self.recording.epochs[-1].append(inputs["index"].tolist())
            return super().compute_loss(model, inputs, *args, **kwargs)

    def trainer(**options):
        arguments = TrainingArguments(
            output_dir=f"{sys.argv[1]}/run",
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH_SIZE,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            logging_strategy="no",
            **{"save_strategy": "no", **options},
        )
        recording = Recording()
        made = GuidedTrainer(Net(), arguments, train_dataset=Numbered(), callbacks=[recording])
        made.recording = recording
        return made

    made = trainer(save_strategy="steps", save_steps=5, save_only_model=True)
    made.train()
    record = {"whole": {"epochs": made.recording.epochs, "lengths": made.recording.lengths}}
    again = trainer()
    again.train(resume_from_checkpoint=f"{again.args.output_dir}/checkpoint-5")
    record["resumed"] = {"epochs": again.recording.epochs}
    return record


if __name__ == "__main__":
    write_record(globals()[f"run_{sys.argv[2]}"]())
