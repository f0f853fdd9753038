"""The budgets of the methods in a comparison, and the cost model.

The unit of cost is a training step on one sample: forward, backward and update together cost 1;
a forward pass alone costs 1/3. Let T be the number of candidate batches in all epochs, and k the
number of samples kept from each batch. There are four budgets. The learning rate falls to 0
within each budget.

- ``samples``: T·k samples trained on. Each batch consists of the samples kept from a candidate
  batch, so methods that keep more take fewer steps.
- ``steps``: T steps of k samples. If a method sets its own count, the samples kept from
  successive candidate batches are queued and taken k at a time.
- ``wall-clock``: T·k units for everything that recurs in each run: steps (of k samples, as above)
  and forward passes of the current model on candidate batches or on a clean set. One-off work
  that serves all runs on a dataset (embeddings, a reference model, the probabilities of labels
  during a training run) is amortized and not charged.
- ``first-run``: as ``wall-clock``, but one-off work is also charged: a forward pass on the pool
  for embeddings; training and a forward pass for a reference model; and the epochs on the pool in
  which label probabilities are recorded. Training a reference model as long as `full` would
  exceed the budget, so the reference model is trained with a quarter of the budget.

Two methods always use their own budget. ``full`` takes T steps on complete batches;
``full-short`` takes as many steps as T·k samples allow.
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
REFERENCE_SHARE = 1 / 4  # share of the first-run budget for the reference model


class CannotTrainError(ValueError):
    """The pool is smaller than a candidate batch, or one-off costs use up the budget."""


@dataclass(frozen=True)
class Limit:
    """The condition that ends a training run.

    Attributes
    ----------
    unit : str
        The quantity that is limited: "steps", "samples" or "cost".
    amount : float
        The limit.
    batch_size : int or None
        Number of samples per step; None for all samples kept from a candidate batch.
    one_off : float
        One-off cost before training, not included in the amount.
    """

    unit: str
    amount: float
    batch_size: int | None
    one_off: float


def canonical(method: Method, budget: str, config: TrainConfig) -> str:
    """Return a common name for all budgets that have the same effect as `budget` on a method.

    For example, a random subset trains in the same way under all four budgets, so it is trained
    only once.
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
    """Return the number of epochs for a method's reference model; 0 if it has none."""
    if REFERENCE not in method.needs:
        return 0.0
    if budget != FIRST:
        return float(config.epochs)
    kept = config.n_kept(config.filter_ratio) / config.candidate_size
    return REFERENCE_SHARE * config.epochs * kept


def limit_of(
    method: Method, budget: str, config: TrainConfig, n_samples: int, trained_before: float
) -> Limit:
    """Return the limit of a method's training under a budget.

    Parameters
    ----------
    method : Method
    budget : str
        One of `BUDGETS`.
    config : TrainConfig
        Determines the epochs, the candidate size and the filter ratio.
    n_samples : int
        Number of samples in the pool.
    trained_before : float
        Cost of preliminary training, for a reference model or to record label probabilities.

    Raises
    ------
    CannotTrainError
        If one-off costs use up the budget.
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
            f"one-off costs of {one_off:.0f} units use up the budget of {everything} units"
        )
    return Limit("cost", left, asked, one_off)
