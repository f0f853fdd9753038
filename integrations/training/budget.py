"""How long each method trains, and on how many samples, under a shared configuration."""

from dataclasses import dataclass
from math import ceil

from spectral_select._samplers.schedules import Schedule
from spectral_select.integrations.methods import Method
from spectral_select.integrations.training.config import TrainConfig

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """The number of steps, epochs and samples in one training run.

    Attributes
    ----------
    schedule : Schedule
        Share of each candidate batch that is discarded, by epoch.
    n_steps_per_epoch : int
        Number of steps in a complete epoch.
    n_steps, n_epochs : int
        Number of steps and epochs in the whole run; the last epoch may end early.
    kept : tuple of int
        Number of samples per step over all ranks, by epoch. Methods that set their own count
        may keep a different number.

    Examples
    --------
    >>> from spectral_select.integrations.methods import get_method
    >>> config = TrainConfig(epochs=4, candidate_size=100, filter_ratio=0.8)
    >>> budget = Budget.of(get_method("full-short"), config, n_samples=1000)
    >>> budget.n_steps, budget.n_epochs, budget.n_images
    (8, 1, 800)
    """

    schedule: Schedule
    n_steps_per_epoch: int
    n_steps: int
    n_epochs: int
    kept: tuple[int, ...]

    @classmethod
    def of(cls, method: Method, config: TrainConfig, n_samples: int) -> "Budget":
        """Return a method's budget for a number of training samples."""
        size = config.candidate_size
        per_epoch = n_samples // size
        schedule = method.schedule(config.filter_ratio, config.epochs)
        share = method.step_fraction(config.n_kept(config.filter_ratio) / size)
        n_steps = max(1, round(config.epochs * per_epoch * share))
        n_epochs = ceil(n_steps / per_epoch)
        kept = tuple(config.n_kept(schedule(epoch)) for epoch in range(n_epochs))
        return cls(schedule, per_epoch, n_steps, n_epochs, kept)

    def kept_of_rank(self, epoch: int, n_ranks: int) -> int:
        """Return the number of samples per step on each of `n_ranks` processes."""
        return self.kept[epoch] // n_ranks

    def steps_in(self, epoch: int) -> int:
        """Return the number of steps in an epoch."""
        return max(0, min(self.n_steps - epoch * self.n_steps_per_epoch, self.n_steps_per_epoch))

    @property
    def n_images(self) -> int:
        """Total number of samples trained on, counting repetitions."""
        return sum(self.kept[epoch] * self.steps_in(epoch) for epoch in range(self.n_epochs))
