"""Training history of each sample: its losses, and how often it was trained on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spectral_select.integrations.methods import HISTORY, LAST_LOSS, History, Method
from spectral_select.integrations.runtime.distributed import ONE, Ranks

__all__ = ["SampleHistory"]

_N_EPOCHS = 10  # number of epochs for which losses are kept


class SampleHistory:
    """Losses and counts of all samples, recorded for the methods that need them.

    The last losses change at every step, but a `snapshot` changes only at the end of an epoch.
    So a method that resumes within an epoch computes the same scores as at the epoch's start.

    Parameters
    ----------
    n : int
        Number of samples.
    method : Method
        The method, whose `needs` determine what is recorded.
    device : torch.device
        Device of the losses.
    ranks : Ranks, optional
        Processes that train together; a single process by default.

    Attributes
    ----------
    last_loss : Tensor of shape (n,)
        Loss of each sample in the last step that trained on it; NaN if there was no such step,
        or if the method does not need losses.
    """

    def __init__(self, n: int, method: Method, device: torch.device, ranks: Ranks = ONE) -> None:
        self._ranks = ranks
        self._whole = HISTORY in method.needs
        self._records = self._whole or LAST_LOSS in method.needs
        rows = n if self._whole else 0
        self.last_loss = torch.full((n,), torch.nan, device=device)
        # Mask of the samples this rank has trained on since its last exchange with other ranks.
        self._own = torch.zeros(n, dtype=torch.bool, device=device)
        self._excess = torch.full((rows,), torch.nan, device=device)
        self._epoch = 0
        self._losses = torch.empty(rows, 0)
        self._excess_before = torch.full((rows,), torch.nan)
        self._n_trained = torch.zeros(rows, dtype=torch.int64)
        self._clean_losses = torch.empty(0, dtype=torch.float64)

    def add(self, indices: Tensor, losses: Tensor) -> None:
        """Record the losses from a training step on the samples at `indices`."""
        if not self._records:
            return
        self.last_loss[indices] = losses
        self._own[indices] = True
        if self._whole:
            self._excess[indices] = losses - losses.mean()

    def mean_last_loss(self) -> float:
        """Return the mean of the finite last losses; NaN if there are none."""
        known = self.last_loss[self.last_loss.isfinite()]
        return float(known.double().mean()) if len(known) else float("nan")

    def end_epoch(self, clean_loss: float = float("nan")) -> None:
        """Exchange records with the other ranks, and append the losses of the finished epoch.

        Parameters
        ----------
        clean_loss : float, optional
            Mean loss on the clean set after the epoch, for methods that need it.
        """
        if not self._records:
            return
        self._ranks.merge(self.last_loss, self._own)
        if self._whole:
            self._ranks.merge(self._excess, self._own)
            trained = self._own.to(torch.float32)
            self._ranks.merge(trained, self._own)
            latest = self.last_loss.cpu()[:, None]
            self._losses = torch.cat([self._losses, latest], dim=1)[:, -_N_EPOCHS:]
            self._excess_before = self._excess.cpu().clone()
            self._n_trained += trained.cpu().to(torch.int64)
            clean = torch.tensor([clean_loss], dtype=torch.float64)
            self._clean_losses = torch.cat([self._clean_losses, clean])[-_N_EPOCHS:]
            self._epoch += 1
        self._own.zero_()

    def snapshot(self) -> History:
        """Return the history as it stood at the end of the last epoch."""
        return History(
            epoch=self._epoch,
            losses=self._losses.numpy().astype(np.float64),
            excess_loss=self._excess_before.numpy().astype(np.float64),
            n_trained=self._n_trained.numpy(),
            clean_losses=self._clean_losses.numpy(),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state that another process needs to continue the history."""
        tensors = {key: value.cpu() for key, value in vars(self).items() if torch.is_tensor(value)}
        return tensors | {"_epoch": self._epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the history from the result of `state_dict`."""
        for key, value in state.items():
            own = getattr(self, key)
            setattr(self, key, value.clone().to(own.device) if torch.is_tensor(own) else value)

    def copy(self) -> "SampleHistory":
        """Return an independent copy."""
        copied = object.__new__(SampleHistory)
        copied.__dict__ = vars(self) | {
            key: value.clone() for key, value in vars(self).items() if torch.is_tensor(value)
        }
        return copied
