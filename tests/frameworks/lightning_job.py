"""Lightning: loader built inside and outside the hook, sampler replacement on and off."""

import os

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
    """Fit with each form of the sampler and each way to pass the loader."""
    import lightning
    import torch
    from torch.utils.data import DataLoader

    world = int(os.environ["WORLD_SIZE"])

    class Module(lightning.LightningModule):
        def __init__(self, form, hook):
            super().__init__()
            self.net, self.form, self.hook = Net(), form, hook
            self.epochs, self.lengths, self.calls = [], [], []

        def make_loader(self):
            sampler, self.calls = make_sampler(self.form)
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
        def train_dataloader(self):
            return self.make_loader()

    record = {}
    for form in FORMS:
        for hook in (True, False):
            for replace in (True, False):
                module = (WithHook if hook else Module)(form, hook)
                trainer = lightning.Trainer(
                    accelerator="cpu",
                    devices=world,
                    strategy="ddp" if world > 1 else "auto",
                    max_epochs=EPOCHS,
                    use_distributed_sampler=replace,
                    logger=False,
                    enable_checkpointing=False,
                    enable_progress_bar=False,
                    enable_model_summary=False,
                )
                name = f"{form}, hook {hook}, replacement {replace}"
                try:
                    if hook:
                        trainer.fit(module)
                    else:
                        trainer.fit(module, module.make_loader())
                except TypeError as error:
                    record[name] = {"refused": str(error)}
                    continue
                record[name] = {
                    "epochs": module.epochs,
                    "lengths": module.lengths,
                    "solved": rows_solved(module.calls),
                    "inner": type(trainer.train_dataloader.batch_sampler.sampler).__name__,
                }
    write_record(record)


if __name__ == "__main__":
    main()
