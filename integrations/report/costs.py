"""The cost of a run in seconds, including the cost of its inputs."""

import json
from collections import Counter
from dataclasses import dataclass, replace

from spectral_select.integrations.records.run_records import InputRecord
from spectral_select.integrations.report.run_groups import Run, RunGroup

__all__ = ["Cost", "amortized", "cost_of"]

_SHARED = ("features", "reference")


@dataclass(frozen=True)
class Cost:
    """The cost of a run in seconds.

    Attributes
    ----------
    training : float
        Time of the training loop, including waits for selection and images, but not evaluation.
    features, reference : float or None
        Time to extract the features and to train the reference model: 0 if the method does not
        need them, None if the time was not recorded.
    precompute : float
        Time that the method spends before training, on the features or labels of all samples.
    """

    training: float
    features: float | None
    reference: float | None
    precompute: float = 0.0

    @property
    def before(self) -> float:
        """Known seconds spent before training."""
        return (self.features or 0.0) + (self.reference or 0.0) + self.precompute

    @property
    def known(self) -> float:
        """All known seconds."""
        return self.training + self.before

    @property
    def total(self) -> float | None:
        """All seconds; None if a part is unknown."""
        return None if self.features is None or self.reference is None else self.known


def cost_of(run: Run) -> Cost:
    """Return the cost of a run, with its features and reference model charged in full."""
    features, reference = (_preparation_seconds(run, kind) for kind in _SHARED)
    precompute = run.record.precompute_seconds or 0.0
    return Cost(sum(run.seconds()), features, reference, precompute)


def _preparation_seconds(run: Run, kind: str) -> float | None:
    if kind not in run.record.needs:
        return 0.0
    record = _input(run, kind)
    return None if record is None else record.seconds


def amortized(group: RunGroup) -> dict[tuple[str, int], Cost]:
    """Return the cost of each run, with shared inputs charged in equal parts.

    Runs that use the same features or the same reference model divide its cost evenly.

    Parameters
    ----------
    group : RunGroup

    Returns
    -------
    dict
        Costs by method and seed.
    """
    runs = [run for method_runs in group.runs.values() for run in method_runs]
    n_sharing = Counter(_shared_input(run, kind) for run in runs for kind in _SHARED)
    costs = {}
    for run in runs:
        cost = cost_of(run)
        shares = {}
        for kind in _SHARED:
            seconds = getattr(cost, kind)
            shares[kind] = seconds and seconds / n_sharing[_shared_input(run, kind)]
        costs[run.method, run.seed] = replace(cost, **shares)
    return costs


def _shared_input(run: Run, kind: str) -> str | None:
    """Return a string that identifies a run's features or reference model, or None."""
    if kind not in run.record.needs:
        return None
    record = _input(run, kind)
    return kind + json.dumps(record and record.to_json(), sort_keys=True)


def _input(run: Run, kind: str) -> InputRecord | None:
    results = run.source.results
    return results.features if kind == "features" else results.reference
