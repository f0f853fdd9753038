"""Progress of a training epoch, and the time spent on each kind of work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spectral_select.integrations.records.json_records import JsonObject
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
    """Wait until a GPU has finished all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Clock:
    """Seconds spent on loading images, and on selection during and after the training steps."""

    loading: float = 0.0
    choosing: float = 0.0
    after: float = 0.0


@dataclass
class Progress:
    """Progress of an epoch on this rank.

    Attributes
    ----------
    epoch, steps, samples, decoded : int
        The epoch, and the numbers of steps, samples and decoded images so far.
    loss, correct : float or Tensor
        Sums over the samples; on the device during the epoch.
    seconds : dict
        ``total``, ``loading``, ``choosing``, ``solving``, ``waiting`` (for the sampler) and
        ``loop_wait`` (all time that the training loop waits).

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
        """Move the sums to the device, so that adding to them does not block."""
        sums = [float(self.loss), float(self.correct)]
        self.loss, self.correct = torch.tensor(sums, device=device, dtype=torch.float64)

    def describe(self) -> JsonObject:
        """Return the attributes as plain numbers."""
        sums = {"loss": float(self.loss), "correct": float(self.correct)}
        return vars(self) | sums | {"seconds": dict(self.seconds)}

    @property
    def selection_share(self) -> float:
        """Share of the time so far spent waiting for selection."""
        waiting = self.seconds["waiting"] + self.seconds["choosing"]
        return waiting / max(self.seconds["total"], 1e-9)

    def record(self, ranks: Ranks, *, ahead: bool) -> EpochRecord:
        """Return the record of the epoch, with counts over all ranks and times of this rank.

        Parameters
        ----------
        ranks : Ranks
            The ranks; all of them must call this method.
        ahead : bool
            Whether batches were made ahead of training.
        """
        local = [self.samples, self.decoded, float(self.loss), float(self.correct)]
        samples, decoded, loss, correct = ranks.sum(local)
        seconds = self.seconds
        waiting = seconds["waiting"] + seconds["choosing"]
        # If batches are made ahead, selection and loading overlap with training. The loop's wait
        # then includes the waits for both, so the wait for selection cannot be longer.
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
    """Measures the time of an epoch, from the creation of the stopwatch.

    Parameters
    ----------
    progress : Progress
        The progress whose seconds are updated.
    device : torch.device
        Device used for training.
    clock : Clock
        Time spent on making batches.
    sampler : SpectralBatchSampler
        Provides the time spent on selection.
    batches : Prefetcher
        Provides the time that the training loop waits.
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
        """Update the seconds of the progress."""
        timings = self._sampler.timings
        now = (
            perf_counter() - self._begin - self._stopped,
            self._clock.loading,
            self._clock.choosing + self._clock.after,
            timings.solve_seconds,
            timings.wait_seconds,
            self._batches.waited + self._clock.after,
        )
        self._progress.seconds = {
            key: self._before[key] + value for key, value in zip(_KEYS, now, strict=True)
        }

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Exclude the time inside this context from the total."""
        synchronize(self._device)
        begin = perf_counter()
        try:
            yield
        finally:
            self._stopped += perf_counter() - begin


class Seen:
    """The set of images loaded in completed steps.

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
        """Add loaded images and return how many of them are new."""
        new = int((~self.mask[loaded]).sum())
        self.mask[loaded] = True
        return new
