"""The probability of each sample's label in each epoch of training on all samples."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from spectral_select._utils.atomic_files import write_atomically
from spectral_select.integrations.methods import LAST_LOSS
from spectral_select.integrations.methods.baselines import Full
from spectral_select.integrations.training.config import TrainConfig
from spectral_select.integrations.training.trainer import Trainer

__all__ = ["Dynamics", "probabilities_of", "record_dynamics"]


@dataclass(frozen=True)
class Dynamics:
    """The label probabilities from a preliminary training run, and the cost of the run.

    Attributes
    ----------
    probabilities : ndarray of shape (n_samples, n_epochs)
        Probability of each sample's label at the sample's training step in each epoch.
    seconds : float
        Duration of the run.
    """

    probabilities: NDArray[np.float64]
    seconds: float


class _RecordedFull(Full):
    """Train on every sample and record the losses; this method is not registered."""

    needs = frozenset({LAST_LOSS})


def record_dynamics(
    config: TrainConfig,
    dataset: Any,
    model: nn.Module,
    n_epochs: int,
    *,
    seed: int,
    file: Path | None = None,
    on_step: Callable[..., object] | None = None,
) -> Dynamics:
    """Train a network on all samples and return the probabilities of their labels.

    Parameters
    ----------
    config : TrainConfig
        Training configuration; `epochs` and `filter_ratio` are ignored.
    dataset : map-style dataset
        Training data.
    model : Module
        The network in its initial state; it is trained in place.
    n_epochs : int
        Number of epochs.
    seed : int
        Seed for training.
    file : Path, optional
        File for the progress, written after each epoch. If it exists, training resumes from it.
    on_step : callable, optional
        Called after each step.

    Returns
    -------
    Dynamics
    """
    config = replace(config, epochs=n_epochs, filter_ratio=0.0)
    trainer = Trainer(config, dataset, _RecordedFull(), model, seed=seed)
    losses = torch.full((len(dataset), n_epochs), torch.nan)
    done, seconds = 0, 0.0
    try:
        trainer.warm_up()
        if file is not None and file.exists():
            saved = torch.load(file, map_location="cpu", weights_only=True)
            losses, done, seconds = saved["losses"], saved["done"], saved["seconds"]
            trainer.load_state_dict(saved["trainer"], next_epoch=done)
        for epoch in range(done, n_epochs):
            record = trainer.train_epoch(epoch, on_step)
            seconds += record.seconds.total
            losses[:, epoch] = trainer.last_loss.cpu()
            if file is not None:
                state = trainer.state_dict()  # must be called on all ranks
                content = {"losses": losses, "done": epoch + 1, "seconds": seconds}
                _save(file, content | {"trainer": state}, first=trainer.ranks.first)
    finally:
        trainer.close()
    return Dynamics(probabilities_of(losses.numpy()), seconds)


def _save(file: Path, content: dict[str, Any], *, first: bool) -> None:
    if first:
        write_atomically(file, lambda stream: torch.save(content, stream))


def probabilities_of(losses: ArrayLike) -> NDArray[np.float64]:
    """Return exp(−loss), the probability of each sample's label in each epoch.

    Parameters
    ----------
    losses : array-like of shape (n_samples, n_epochs)
        Cross-entropy of each sample at the end of each epoch, recorded in the sample's latest
        training step; NaN if it has not been trained on yet.

    Returns
    -------
    ndarray of shape (n_samples, n_epochs)
        Epochs before a sample's first training step have the probability from that step.
        (Samples left over after the last complete batch of an epoch are skipped.) Samples that
        were never trained on have probability 0.

    Examples
    --------
    >>> import numpy as np
    >>> probabilities_of([[np.nan, np.log(2)], [0.0, np.log(4)]])
    array([[0.5 , 0.5 ],
           [1.  , 0.25]])
    """
    p = np.exp(-np.asarray(losses, np.float64))
    for epoch in range(p.shape[1] - 2, -1, -1):
        p[:, epoch] = np.where(np.isnan(p[:, epoch]), p[:, epoch + 1], p[:, epoch])
    return np.nan_to_num(p, nan=0.0)
