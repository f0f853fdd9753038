"""Group runs that have the same configuration and data, and pool them over their seeds."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path, PurePath

from spectral_select.integrations.records.run_records import (
    InputRecord,
    Measurement,
    Results,
    RunRecord,
)
from spectral_select.integrations.report.intervals import (
    Interval,
    mean_interval,
    paired_difference,
)

__all__ = [
    "ResultsFolder",
    "Run",
    "RunGroup",
    "final_test_accuracy",
    "group_runs",
    "relative_seconds",
    "sampling_error",
]


@dataclass(frozen=True)
class ResultsFolder:
    """A folder with results.

    Attributes
    ----------
    folder : Path
        The folder.
    results : Results
        The content of its ``results.json``.
    """

    folder: Path
    results: Results

    @property
    def runs(self) -> list["Run"]:
        """All runs."""
        return [Run(self, record) for record in self.results.runs]

    def runs_by_method(self) -> dict[str, list["Run"]]:
        """Return the runs with at least one complete epoch, by method."""
        runs: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.n_epochs:
                runs.setdefault(run.method, []).append(run)
        return runs


@dataclass(frozen=True)
class Run:
    """One method trained with one seed.

    Attributes
    ----------
    source : ResultsFolder
        The folder that contains the run.
    record : RunRecord
        Its entry in ``results.json``.
    """

    source: ResultsFolder
    record: RunRecord

    @property
    def method(self) -> str:
        """The method, with its options."""
        return self.record.method

    @property
    def seed(self) -> int:
        """The seed."""
        return self.record.seed

    @property
    def n_epochs(self) -> int:
        """The number of complete epochs."""
        return len(self.record.history)

    @property
    def complete(self) -> bool:
        """Whether training was completed."""
        return self.record.complete

    def final(self, part: str, quantity: str) -> float | None:
        """Return the accuracy or loss on a split after the last epoch, if known."""
        last = self.record.final or self.record.history[-1]
        measured: Measurement | None = getattr(last, part, None)
        value: float | None = getattr(measured, quantity, None)
        return value

    def curve(self, part: str, quantity: str) -> list[float]:
        """Return the accuracy or loss on a split by epoch, with NaN for unknown values.

        If `part` is ``"batches"``, the curve is the running mean over the training batches.
        """
        epochs = self.record.history
        values = [
            getattr(epoch if part == "batches" else getattr(epoch, part), quantity)
            for epoch in epochs
        ]
        return [float("nan") if value is None else float(value) for value in values]

    def seconds(self, kind: str = "total") -> list[float]:
        """Return the seconds of one kind for each epoch."""
        return [getattr(epoch.seconds, kind) for epoch in self.record.history]

    @property
    def n_steps(self) -> int:
        """The number of training steps."""
        return sum(epoch.steps for epoch in self.record.history)

    @property
    def n_samples(self) -> int:
        """The number of samples trained on, counting repetitions."""
        return sum(epoch.samples for epoch in self.record.history)


def final_test_accuracy(run: Run) -> float | None:
    """Return the test accuracy after the last epoch, if known."""
    return run.final("test", "accuracy")


def sampling_error(runs: Iterable[Run]) -> str:
    """Return a sentence on the uncertainty due to the finite test set; empty if it is unknown.

    The number of correct predictions is binomial, so an accuracy p on n images has the standard
    error √(p·(1 − p)/n). All methods share the test set, so the difference between two methods
    varies less than with separate test sets.

    Examples
    --------
    >>> sampling_error([])
    ''
    """
    known = [
        (accuracy, count)
        for run in runs
        if (accuracy := run.final("test", "accuracy")) is not None
        and (count := run.final("test", "count")) is not None
        and 0 <= accuracy <= 1
        and count > 0
    ]
    if not known:
        return ""
    error = max(sqrt(p * (1 - p) / n) for p, n in known)
    return (
        f"With {known[0][1]:,.0f} test samples, an accuracy has a standard error of up to "
        f"{100 * error:.1f} points, most of it shared by all methods."
    )


def relative_seconds(runs: Sequence[Run], full: Sequence[Run]) -> list[float]:
    """Return each epoch's time relative to the same epoch of ``full`` with the same seed.

    Examples
    --------
    >>> relative_seconds([], [])
    []
    """
    by_seed = {run.seed: run for run in full}
    return [
        ours / theirs
        for run in runs
        if run.seed in by_seed
        for ours, theirs in zip(run.seconds(), by_seed[run.seed].seconds(), strict=False)
        if theirs > 0
    ]


@dataclass
class RunGroup:
    """Runs with the same configuration on the same dataset.

    Attributes
    ----------
    sources : list of ResultsFolder
        The folders of the runs, in the order given.
    runs : dict of str to list of Run
        The runs included, by method: the complete runs or, if a method has no complete run, its
        interrupted runs. Runs without a complete epoch are left out.
    notes : list of str
        Warnings about runs that were left out or interrupted.
    """

    sources: list[ResultsFolder]
    runs: dict[str, list[Run]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def results(self) -> Results:
        """The results in the first folder, for values that all folders share."""
        return self.sources[0].results

    @property
    def data_name(self) -> str:
        """The name of the dataset, without its folder."""
        return PurePath(self.results.data.name).name

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs included."""
        return sorted({run.seed for runs in self.runs.values() for run in runs})

    @property
    def title(self) -> str:
        """The network and dataset."""
        return f"{self.results.setting.model or 'a network'} on {self.data_name}"

    def mean(self, method: str, value: Callable[[Run], float | None]) -> Interval | None:
        """Return the mean of a value over a method's seeds."""
        return mean_interval(value(run) for run in self.runs[method])

    def difference(
        self, method: str, baseline: str, value: Callable[[Run], float | None]
    ) -> Interval | None:
        """Return the paired difference between two methods, over complete runs."""
        ours, theirs = (
            {run.seed: value(run) for run in self.runs.get(name, []) if run.complete}
            for name in (method, baseline)
        )
        return paired_difference(ours, theirs)


def group_runs(sources: Sequence[ResultsFolder]) -> list[RunGroup]:
    """Return the runs in all folders, grouped by configuration and data.

    Folders with different features or reference models are in separate groups. If no method in a
    folder uses features or a reference model, the folder joins the first group with the same
    configuration.

    Parameters
    ----------
    sources : sequence of ResultsFolder

    Returns
    -------
    list of RunGroup
    """
    by_configuration: dict[str, list[list[ResultsFolder]]] = {}
    for source in sources:
        groups = by_configuration.setdefault(_configuration(source.results), [])
        inputs = _inputs(source.results)
        for group in groups:
            if all(_compatible(inputs, _inputs(other.results)) for other in group):
                group.append(source)
                break
        else:
            groups.append([source])
    return [_pooled(group) for groups in by_configuration.values() for group in groups]


def _configuration(results: Results) -> str:
    data = results.data.fingerprint or results.data.to_json()
    return json.dumps([results.config, data], sort_keys=True)


# Measured properties of features or a reference model; these may differ between folders.
_MEASURED = frozenset({"accuracy", "loss", "hash"})


def _inputs(results: Results) -> dict[str, InputRecord]:
    """Return the features and reference model that the runs use, without measured values."""
    given = {"features": results.features, "reference": results.reference}
    return {
        kind: InputRecord(
            source=record.source,
            seconds=None,
            extra={key: value for key, value in record.extra.items() if key not in _MEASURED},
        )
        for kind, record in given.items()
        if kind in results.needs and record is not None
    }


def _compatible(one: Mapping[str, InputRecord], other: Mapping[str, InputRecord]) -> bool:
    return all(one[kind] == other[kind] for kind in one.keys() & other.keys())


def _pooled(sources: list[ResultsFolder]) -> RunGroup:
    """Return the runs in the folders as a group, with one run per method and seed."""
    group = RunGroup(sources, notes=_status_notes(sources))
    by_method: dict[str, dict[int, Run]] = {}
    repeated: dict[str, list[int]] = {}
    unstarted: dict[str, list[int]] = {}
    for run in (run for source in sources for run in source.runs):
        if not run.n_epochs:
            unstarted.setdefault(run.method, []).append(run.seed)
            continue
        by_seed = by_method.setdefault(run.method, {})
        earlier = by_seed.setdefault(run.seed, run)
        if earlier is not run:
            repeated.setdefault(run.method, []).append(run.seed)
            if run.complete and not earlier.complete:
                by_seed[run.seed] = run
    left_out: list[Run] = []
    included: list[Run] = []
    for method, by_seed in by_method.items():
        runs = [by_seed[seed] for seed in sorted(by_seed)]
        complete = [run for run in runs if run.complete]
        group.runs[method] = complete or runs
        (left_out if complete else included).extend(run for run in runs if not run.complete)
    for text, listed in (
        ("Interrupted; the complete epochs are included: ", _epochs(included)),
        ("Interrupted; left out because runs with other seeds are complete: ", _epochs(left_out)),
        ("Left out because no epoch is complete: ", _seeds(unstarted)),
        ("Present more than once, counted once: ", _seeds(repeated)),
    ):
        group.notes += [f"{text}{listed}."] if listed else []
    group.notes += _mixed_notes(sources)
    return group


def _epochs(runs: Sequence[Run]) -> str:
    return ", ".join(f"{run.method} (seed {run.seed}, {run.n_epochs} epochs)" for run in runs)


def _seeds(seeds: Mapping[str, list[int]]) -> str:
    return "; ".join(
        f"{method} (seed {', '.join(map(str, sorted(set(numbers))))})"
        for method, numbers in seeds.items()
    )


def _status_notes(sources: Sequence[ResultsFolder]) -> list[str]:
    return [
        f"The results in {source.folder} are incomplete; their status is “{source.results.status}”."
        for source in sources
        if source.results.status != "complete"
    ]


def _mixed_notes(sources: Sequence[ResultsFolder]) -> list[str]:
    notes = []
    if any(source.results.hardware != sources[0].results.hardware for source in sources):
        notes.append("These folders differ in hardware, so their times cannot be compared.")
    if any(source.results.versions != sources[0].results.versions for source in sources):
        notes.append("These folders differ in package versions.")
    return notes
