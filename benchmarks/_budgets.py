"""What the methods of a comparison may spend, and what things cost.

Costs are in training steps of one sample: forward, backward and update cost 1, a forward
pass alone 1/3. With T the number of candidate batches in all epochs and k the number of
samples kept of each, there are four budgets. The learning rate falls to 0 inside each.

- ``samples``: T·k gradient samples, in batches of what is kept of each candidate batch. What
  keeps more of a batch takes fewer steps.
- ``steps``: T steps of k samples. What a method that decides itself how many it keeps has
  kept of one candidate batch after the other is lined up and taken k at a time.
- ``wall-clock``: T·k units for all that recurs in each training: steps, of k samples too,
  and fresh forward passes of candidate batches or of a clean set. What is done once for a
  dataset and serves all trainings on it (embeddings, a reference model, the probabilities of
  labels in a training) is left out: amortized.
- ``first-run``: the same with that charged too: a forward pass of the pool for embeddings;
  for a reference model, its training and a forward pass; for probabilities of labels, the
  epochs on the pool in which they were recorded. As a reference model trained as
  long as `full` would cost more than there is, it is trained with a quarter of the budget.

Two methods have budgets of their own, and the same one in every column: ``full`` takes T
steps of whole batches, and ``full-short`` as many as give T·k samples.
"""

from dataclasses import dataclass

from spectral_select import ConstantSchedule
from spectral_select.integrations.methods import (
    CLEAN,
    DYNAMICS,
    FEATURES,
    FRESH,
    PROGRESS,
    REFERENCE,
    Method,
    get_method,
)
from spectral_select.integrations.methods.baselines import Full
from spectral_select.integrations.training.budget import Budget
from spectral_select.integrations.training.config import TrainConfig

__all__ = [
    "BUDGETS",
    "FORWARD",
    "CannotTrainError",
    "Limit",
    "canonical",
    "epochs_of_reference",
    "limit_of",
]

SAMPLES, STEPS, CLOCK, FIRST = BUDGETS = ("samples", "steps", "wall-clock", "first-run")
FORWARD = 1 / 3
REFERENCE_SHARE = 1 / 4  # of the budget, for a reference model of the first run


class CannotTrainError(ValueError):
    """The pool has not one candidate batch, or what comes before training takes the budget."""


@dataclass(frozen=True)
class Limit:
    """When a training ends.

    Attributes
    ----------
    unit : str
        What is counted: "steps", "samples" or "cost".
    amount : float
        How much of it there is.
    batch_size : int or None
        Samples of a step; None for all that are kept of a candidate batch.
    one_off : float
        What was spent once before training, in units of cost; not part of the amount.
    """

    unit: str
    amount: float
    batch_size: int | None
    one_off: float


def canonical(method: Method, budget: str, config: TrainConfig) -> str:
    """Return the first budget under which a method does what it does under this one.

    A random subset, say, trains the same way under all four, so it is trained once.
    """
    if isinstance(method, Full):
        return STEPS
    if budget == FIRST and not method.needs & {DYNAMICS, FEATURES, REFERENCE}:
        budget = CLOCK
    if budget == CLOCK and not method.needs & {CLEAN, FRESH}:
        budget = STEPS
    if budget == SAMPLES and _keeps_as_asked(method, config):
        budget = STEPS
    return budget


def _keeps_as_asked(method: Method, config: TrainConfig) -> bool:
    schedule = method.schedule(config.filter_ratio, config.epochs)
    return (
        isinstance(schedule, ConstantSchedule)
        and schedule.filter_ratio == config.filter_ratio
        and PROGRESS not in method.needs
    )


def epochs_of_reference(method: Method, budget: str, config: TrainConfig) -> float:
    """Return for how many epochs a method's reference model is trained; 0 without one."""
    if REFERENCE not in method.needs:
        return 0.0
    if budget != FIRST:
        return float(config.epochs)
    kept = config.n_kept(config.filter_ratio) / config.candidate_size
    return REFERENCE_SHARE * config.epochs * kept


def limit_of(
    method: Method, budget: str, config: TrainConfig, n_samples: int, trained_before: float
) -> Limit:
    """Return when a method's training ends under a budget.

    Parameters
    ----------
    method : Method
    budget : str
        Of `BUDGETS`.
    config : TrainConfig
        Its epochs, candidate size and filter ratio.
    n_samples : int
        Number of samples in the pool.
    trained_before : float
        What the training before cost: of a reference model, or for probabilities of labels.

    Raises
    ------
    CannotTrainError
        If what is spent before training leaves nothing to train with.
    """
    one_off = trained_before + (FORWARD * n_samples if FEATURES in method.needs else 0.0)
    asked = config.n_kept(config.filter_ratio)
    if canonical(method, budget, config) == STEPS:
        n_steps = Budget.of(method, config, n_samples).n_steps
        return Limit("steps", n_steps, None if isinstance(method, Full) else asked, one_off)
    everything = Budget.of(get_method("random"), config, n_samples).n_images
    if budget == SAMPLES:
        return Limit("samples", everything, None, one_off)
    left = everything - (one_off if budget == FIRST else 0.0)
    if left <= 0:
        raise CannotTrainError(
            f"{one_off:.0f} training steps of one sample go before training, of {everything}"
        )
    return Limit("cost", left, asked, one_off)
