"""Lightning in one process: reloaded loaders, resumed training, prediction."""

import lightning
import pytest
import torch
from frameworks.guided_job import BATCH_SIZE
from frameworks.guided_job import make_sampler as make_guided_sampler
from frameworks.job_tools import EPOCHS, INNER, N, Net, Numbered, make_sampler
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import BatchSampler, DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # advice from Lightning
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
N_BATCHES = 13


class StoppedError(Exception):
    """Training was interrupted."""


class Module(lightning.LightningModule):
    """Builds its loader in the hook and records the batches, until it is stopped."""

    def __init__(self, make_loader, stop):
        super().__init__()
        self.net, self.make_loader, self.stop = Net(), make_loader, stop
        self.seen = []

    def train_dataloader(self):
        return self.make_loader()

    def training_step(self, batch, _):
        if len(self.seen) == self.stop:
            raise StoppedError
        batch = batch[0] if isinstance(batch, list) else batch
        self.seen.append((self.current_epoch, batch["index"].tolist()))
        return self.net(batch["x"], batch["labels"])["loss"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(make_loader, folder, *, stop=None, every=None, checkpoint=None, **options):
    """Train from a checkpoint until interrupted; return the batches and the checkpoints."""
    module = Module(make_loader, stop)
    saving = ModelCheckpoint(
        folder, "{step}", every_n_train_steps=every, save_top_k=-1, every_n_epochs=None
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        callbacks=[saving],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": EPOCHS, **options},
    )
    try:
        trainer.fit(module, ckpt_path=checkpoint)
    except StoppedError:
        assert len(module.seen) == stop
    return module.seen


class Predicting(Module):
    """Predicts with the loader built in the hook."""

    def predict_dataloader(self):
        return self.make_loader()

    def predict_step(self, batch, _):
        return batch["index"].tolist()


def spectral(inner, cls=DataLoader, workers=0):
    def make():
        sampler, _ = make_sampler("papers", INNER[inner]())
        return cls(Numbered(), batch_sampler=sampler, num_workers=workers)

    return make


def guided(cls=DataLoader, workers=0):
    def make():
        return cls(
            Numbered(), batch_size=BATCH_SIZE, sampler=make_guided_sampler(), num_workers=workers
        )

    return make


def of_all_epochs(make_loader):
    """Return the batches of a plain loop over a new loader in each epoch."""
    seen = []
    for epoch in range(EPOCHS):
        loader = make_loader()
        sampler = loader.batch_sampler
        (sampler if hasattr(sampler, "state_dict") else loader.sampler).set_epoch(epoch)
        seen += [(epoch, batch["index"].tolist()) for batch in loader]
    return seen


LOADERS = {**{name: spectral(name) for name in INNER}, "guided": guided()}


@pytest.mark.parametrize("every", [0, 1])
@pytest.mark.parametrize("inner", LOADERS)
def test_kept_or_reloaded_loader_receives_every_epoch(inner, every, tmp_path):
    seen = fit(LOADERS[inner], tmp_path, reload_dataloaders_every_n_epochs=every)
    assert seen == of_all_epochs(LOADERS[inner])


@pytest.mark.parametrize("every", [0, 1])
@pytest.mark.parametrize("steps", [5, N_BATCHES, N_BATCHES + 4])
@pytest.mark.parametrize("inner", LOADERS)
def test_resumed_training_sees_the_same_batches(inner, steps, every, tmp_path):
    options = {"reload_dataloaders_every_n_epochs": every}
    whole = of_all_epochs(LOADERS[inner])
    before = fit(LOADERS[inner], tmp_path, stop=steps + 1, every=steps, **options)
    assert before == whole[: steps + 1]
    after = fit(LOADERS[inner], tmp_path, checkpoint=tmp_path / f"step={steps}.ckpt", **options)
    assert after == whole[steps:]


@pytest.mark.parametrize("steps", [5, N_BATCHES, N_BATCHES + 4])
@pytest.mark.parametrize("cls", [DataLoader, StatefulDataLoader])
@pytest.mark.parametrize("make", [lambda *a: spectral("weighted", *a), guided])
def test_workers_that_read_ahead_see_the_same_batches(make, cls, steps, tmp_path):
    # Lightning reads the first batches of a resumed epoch before it sets the epoch.
    make_loader = make(cls, 2)
    whole = of_all_epochs(make(DataLoader, 0))
    assert fit(make_loader, tmp_path, stop=steps + 1, every=steps) == whole[: steps + 1]
    assert fit(make_loader, tmp_path, checkpoint=tmp_path / f"step={steps}.ckpt") == whole[steps:]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_beyond_limit_train_batches_are_skipped(workers, tmp_path):
    make_loader = spectral("random", workers=workers)
    options = {"limit_train_batches": 6}
    everything = of_all_epochs(make_loader)
    whole = [everything[epoch * N_BATCHES + i] for epoch in range(EPOCHS) for i in range(6)]
    for steps in (4, 6, 10):
        folder = tmp_path / str(steps)
        assert (
            fit(make_loader, folder, stop=steps + 1, every=steps, **options) == whole[: steps + 1]
        )
        checkpoint = folder / f"step={steps}.ckpt"
        assert fit(make_loader, folder, checkpoint=checkpoint, **options) == whole[steps:]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("steps", [4, N_BATCHES, 20])
def test_training_by_steps_resumes(steps, workers, tmp_path):
    make_loader = spectral("random", workers=workers)
    options = {"max_epochs": -1, "max_steps": 30}
    whole = of_all_epochs(make_loader)
    assert fit(make_loader, tmp_path, every=steps, **options) == whole[:30]
    checkpoint = tmp_path / f"step={steps}.ckpt"
    assert fit(make_loader, tmp_path, checkpoint=checkpoint, **options) == whole[steps:30]


def test_rejects_what_cannot_be_resumed_mid_epoch(tmp_path):
    class Own(BatchSampler):
        """A user-defined batch sampler."""

    def one_of_two():
        return [guided()(), spectral("random")()]

    def inside_another():
        return DataLoader(Numbered(), batch_sampler=Own(make_guided_sampler(), BATCH_SIZE, False))

    cases = {"there are several loaders": one_of_two, "another sampler contains it": inside_another}
    for reason, make_loader in cases.items():
        folder = tmp_path / make_loader.__name__
        fit(make_loader, folder, stop=5, every=4)
        with pytest.raises(RuntimeError, match=f"resumes after 4 batches of epoch 0.*{reason}"):
            fit(make_loader, folder, checkpoint=folder / "step=4.ckpt")


def test_rejects_new_epoch_while_workers_read_another():
    loader = spectral("random", workers=2)()
    iterator = iter(loader)  # the workers receive the first batches
    loader.batch_sampler.set_epoch(3)
    with pytest.raises(RuntimeError, match=r"epoch 3 was set after .* epoch 0"):
        list(iterator)
    loader = guided(workers=1)()
    iterator = iter(loader)
    loader.sampler.set_epoch(3)
    with pytest.raises(RuntimeError, match=r"epoch 3 was set after .* epoch 0"):
        list(iterator)


def test_advice_for_prediction_works():
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, use_distributed_sampler=False, **options
    )
    module = Predicting(spectral("none"), None)
    with pytest.raises(TypeError, match=r"inside a \*_dataloader hook.*predict rebuilds the"):
        trainer.predict(module, module.make_loader())
    batches, _ = make_sampler("papers", range(N))  # prediction uses the order of the dataset
    assert trainer.predict(module) == list(batches)
