"""What a run cost, everything that it needs charged to it."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spectral_select.integrations.report.sections import Run, Section

__all__ = ["Cost", "amortized", "cost_of", "precompute_seconds", "preparation_seconds"]

_KINDS = ("features", "reference")


@dataclass(frozen=True)
class Cost:
    """Seconds of a run.

    Attributes
    ----------
    training : float
        The training loop, with its waits for selection and images, without evaluation.
    features, reference : float or None
        What it needed before that: extraction of the features, training of the reference
        model. 0 if it needs none, None if nobody recorded it.
    precompute : float
        What the method computed beforehand, from the features or labels of all samples.
    """

    training: float
    features: float | None
    reference: float | None
    precompute: float = 0.0

    @property
    def before(self) -> float:
        """What is known of what it took before training."""
        return (self.features or 0.0) + (self.reference or 0.0) + self.precompute

    @property
    def total(self) -> float | None:
        """All of it; None if a part is not known."""
        if self.features is None or self.reference is None:
            return None
        return self.training + self.before


def preparation_seconds(
    results: Mapping[str, Any], record: Mapping[str, Any], kind: str
) -> float | None:
    """Return what the features or the reference model of a run cost, None if unknown.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.
    record : mapping
        One of its runs.
    kind : {"features", "reference"}
        Which.

    Examples
    --------
    >>> results = {"features": {"seconds": 3.0}, "reference": None}
    >>> preparation_seconds(results, {"needs": ["features"]}, "features")
    3.0
    >>> preparation_seconds(results, {"needs": []}, "features")
    0.0
    """
    if kind not in record["needs"]:
        return 0.0
    seconds = (results.get(kind) or {}).get("seconds")
    return None if seconds is None else float(seconds)


def precompute_seconds(record: Mapping[str, Any]) -> float:
    """Return what the method of a run computed beforehand, in seconds.

    Parameters
    ----------
    record : mapping
        A run of ``results.json``.

    Examples
    --------
    >>> precompute_seconds({"precompute_seconds": 0.5}), precompute_seconds({})
    (0.5, 0.0)
    """
    return float(record.get("precompute_seconds") or 0.0)


def cost_of(run: Run) -> Cost:
    """Return what a run cost, its features and reference model charged in full."""
    features, reference = (
        preparation_seconds(run.source.results, run.record, kind) for kind in _KINDS
    )
    return Cost(run.total("total"), features, reference, precompute_seconds(run.record))


def amortized(section: Section) -> dict[tuple[str, int], Cost]:
    """Return what each run cost if those that share features or a reference split the bill.

    Parameters
    ----------
    section : Section

    Returns
    -------
    dict
        By method and seed.
    """
    runs = [run for own in section.runs.values() for run in own]
    sharing = Counter(_bill(run, kind) for run in runs for kind in _KINDS)
    costs = {}
    for run in runs:
        whole = cost_of(run)
        shares = {}
        for kind in _KINDS:
            seconds = getattr(whole, kind)
            shares[kind] = seconds and seconds / sharing[_bill(run, kind)]
        costs[run.method, run.seed] = replace(whole, **shares)
    return costs


def _bill(run: Run, kind: str) -> str | None:
    """Return what tells one extraction or reference model from another, None without need."""
    if kind not in run.record["needs"]:
        return None
    return kind + json.dumps(run.source.results.get(kind), sort_keys=True)
