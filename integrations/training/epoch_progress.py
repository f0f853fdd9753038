"""How far an epoch of training has come, and what its time went into."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spectral_select.integrations.records.run_records import (
    NOT_MEASURED,
    EpochRecord,
    EpochSeconds,
)
from spectral_select.integrations.runtime.distributed import Ranks
from spectral_select.integrations.training.evaluation import plain

__all__ = ["Clock", "Progress", "Seen", "Stopwatch", "synchronize"]

_KEYS = ("total", "loading", "choosing", "solving", "waiting", "loop_wait")


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Clock:
    """Seconds spent on loading, and on choices made at the step."""

    loading: float = 0.0
    choosing: float = 0.0


@dataclass
class Progress:
    """How far an epoch has come, on this rank.

    Attributes
    ----------
    epoch, steps, samples, decoded : int
        The epoch, and what was done of it.
    loss, correct : float or Tensor
        Sums over its samples; kept on the device while it goes on.
    seconds : dict
        ``total``, ``loading``, ``choosing``, ``solving``, ``waiting`` for the sampler, and
        ``loop_wait``: all waiting of the training loop.

    Examples
    --------
    >>> Progress(3).describe()["epoch"]
    3
    """

    epoch: int
    steps: int = 0
    samples: int = 0
    decoded: int = 0
    loss: Any = 0.0
    correct: Any = 0.0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_KEYS, 0.0))

    def move_to(self, device: torch.device) -> None:
        """Put the sums where they are added up, so that nothing is waited for."""
        sums = [float(self.loss), float(self.correct)]
        self.loss, self.correct = torch.tensor(sums, device=device, dtype=torch.float64)

    def describe(self) -> dict[str, Any]:
        """Return the attributes as plain numbers."""
        sums = {"loss": float(self.loss), "correct": float(self.correct)}
        return vars(self) | sums | {"seconds": dict(self.seconds)}

    @property
    def selection_share(self) -> float:
        """Share of the time so far that went into waiting for selection."""
        waiting = self.seconds["waiting"] + self.seconds["choosing"]
        return waiting / max(self.seconds["total"], 1e-9)

    def record(self, ranks: Ranks, *, ahead: bool) -> EpochRecord:
        """Return the record of the epoch: counts of all ranks, seconds of this one.

        Parameters
        ----------
        ranks : Ranks
            All of them have to call this.
        ahead : bool
            Whether batches were made ahead of training.
        """
        local = [self.samples, self.decoded, float(self.loss), float(self.correct)]
        samples, decoded, loss, correct = ranks.sum(local)
        seconds = self.seconds
        waiting = seconds["waiting"] + seconds["choosing"]
        # Ahead of training these two overlap with it: the loop waits for both at once.
        loop_wait = seconds["loop_wait"]
        return EpochRecord(
            epoch=self.epoch,
            steps=self.steps,
            samples=int(samples),
            loss=plain(loss / max(samples, 1)),
            accuracy=correct / max(samples, 1),
            decoded=int(decoded),
            seconds=EpochSeconds(
                total=seconds["total"],
                selection=seconds["solving"] + seconds["choosing"],
                waiting=min(waiting, loop_wait) if ahead else waiting,
                loading=seconds["loading"],
                training=max(seconds["total"] - loop_wait, 0.0),
            ),
            val=NOT_MEASURED,
            test=NOT_MEASURED,
        )


class Stopwatch:
    """Times an epoch, from now on.

    Parameters
    ----------
    progress : Progress
        Whose seconds are added to.
    device : torch.device
        Where training happens.
    clock : Clock
        Of its batches.
    sampler : SpectralBatchSampler
        Knows what selection took.
    batches : Ahead
        Knows what was waited for.
    """

    def __init__(
        self, progress: Progress, device: torch.device, clock: Clock, sampler: Any, batches: Any
    ) -> None:
        self._progress, self._device = progress, device
        self._clock, self._sampler, self._batches = clock, sampler, batches
        self._before = dict(progress.seconds)
        self._stopped = 0.0
        synchronize(device)
        self._begin = perf_counter()

    def read(self) -> None:
        """Bring the progress's seconds up to date."""
        timings = self._sampler.timings
        now = (
            perf_counter() - self._begin - self._stopped,
            self._clock.loading,
            self._clock.choosing,
            timings.solve_seconds,
            timings.wait_seconds,
            self._batches.waited,
        )
        self._progress.seconds = {
            key: self._before[key] + value for key, value in zip(_KEYS, now, strict=True)
        }

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave what happens inside out of the total."""
        synchronize(self._device)
        begin = perf_counter()
        try:
            yield
        finally:
            self._stopped += perf_counter() - begin


class Seen:
    """Which images have been loaded in steps that were taken.

    Parameters
    ----------
    n : int
        Number of images.

    Examples
    --------
    >>> seen = Seen(5)
    >>> seen.add(np.array([1, 3])), seen.add(np.array([3, 4]))
    (2, 1)
    """

    def __init__(self, n: int) -> None:
        self.mask = np.zeros(n, bool)

    def add(self, loaded: NDArray[np.int64]) -> int:
        """Return how many of those loaded had not been before, and remember them."""
        new = int((~self.mask[loaded]).sum())
        self.mask[loaded] = True
        return new
