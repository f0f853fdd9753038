"""Runs that belong together: the same configuration and data, pooled over their seeds."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from spectral_select.integrations.report.intervals import (
    Interval,
    mean_interval,
    paired_difference,
)

__all__ = ["Run", "Section", "Source", "pool"]


@dataclass(frozen=True)
class Source:
    """One folder of results.

    Attributes
    ----------
    folder : Path
        The folder.
    results : dict
        The content of its ``results.json``.
    """

    folder: Path
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One method trained from one seed.

    Attributes
    ----------
    source : Source
        Where it was found.
    record : dict
        Its entry in ``results.json``.
    """

    source: Source
    record: Mapping[str, Any]

    @property
    def method(self) -> str:
        """The method, with its options."""
        return str(self.record["method"])

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.record["seed"])

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """One entry for each finished epoch."""
        history: Sequence[Mapping[str, Any]] = self.record["history"]
        return history

    @property
    def complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.record["status"] == "complete" and bool(self.record.get("final"))

    def measured(self, part: str, what: str) -> float | None:
        """Return accuracy or loss on a part of the data after the last epoch, if known."""
        last = self.record.get("final") or (self.history[-1] if self.history else {})
        found = (last.get(part) or {}).get(what)
        return None if found is None else float(found)

    def total(self, key: str) -> float:
        """Return steps or samples, or the seconds of one kind, over all epochs."""
        if key in ("steps", "samples"):
            return float(sum(epoch[key] for epoch in self.history))
        return float(sum(epoch["seconds"][key] for epoch in self.history))


@dataclass
class Section:
    """Runs of one configuration on one dataset.

    Attributes
    ----------
    sources : list of Source
        Where they come from, in the order given.
    runs : dict of str to list of Run
        The runs that count, by method: those trained to the end, or where a method has
        none, those cut short. A run without a finished epoch is left out.
    notes : list of str
        What a reader has to know of runs left out or cut short.
    """

    sources: list[Source]
    runs: dict[str, list[Run]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def results(self) -> Mapping[str, Any]:
        """The results of the first source, for what all sources share."""
        return self.sources[0].results

    @property
    def data_name(self) -> str:
        """Name of the dataset, without the folders around it."""
        return PurePath(self.results["data"]["name"]).name

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs that count."""
        return sorted({run.seed for runs in self.runs.values() for run in runs})

    @property
    def title(self) -> str:
        """Network and dataset."""
        return f"{self.results['config'].get('model', 'a network')} on {self.data_name}"

    def mean(self, method: str, value: Callable[[Run], float | None]) -> Interval | None:
        """Return the mean of a value over the seeds of a method."""
        return mean_interval(value(run) for run in self.runs[method])

    def difference(
        self, method: str, baseline: str, value: Callable[[Run], float | None]
    ) -> Interval | None:
        """Return a method's paired difference to another, over runs trained to the end."""
        ours, theirs = (
            {run.seed: value(run) for run in self.runs.get(name, []) if run.complete}
            for name in (method, baseline)
        )
        return paired_difference(ours, theirs)


def pool(sources: Sequence[Source]) -> list[Section]:
    """Return the runs of all sources in sections whose configuration and data agree.

    Sources that were given different features are kept apart too; one in which no
    method used features goes with any.

    Parameters
    ----------
    sources : sequence of Source

    Returns
    -------
    list of Section
    """
    grouped: dict[str, list[list[Source]]] = {}
    for source in sources:
        groups = grouped.setdefault(_configuration(source.results), [])
        own = _given(source.results)
        for group in groups:
            if all(_agree(own, _given(other.results)) for other in group):
                group.append(source)
                break
        else:
            groups.append([source])
    return [_section(group) for groups in grouped.values() for group in groups]


def _configuration(results: Mapping[str, Any]) -> str:
    data = results["data"]
    same = data.get("fingerprint") or data
    return json.dumps([results["config"], same], sort_keys=True)


# Of features and of a reference model: what they came to, not what they are.
_OUTCOMES = frozenset({"seconds", "accuracy", "loss", "hash"})


def _given(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what features and reference model were, without what they cost."""
    needed = {need for run in results["runs"] for need in run["needs"]}
    return {
        kind: {k: v for k, v in results[kind].items() if k not in _OUTCOMES}
        for kind in ("features", "reference")
        if kind in needed and results.get(kind)
    }


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[kind] == other[kind] for kind in one.keys() & other.keys())


def _section(sources: list[Source]) -> Section:
    section = Section(sources)
    found: dict[str, dict[int, Run]] = {}
    repeated: dict[str, list[int]] = {}
    unstarted: dict[str, list[int]] = {}
    for source in sources:
        for record in source.results["runs"]:
            run = Run(source, record)
            if not run.history:
                unstarted.setdefault(run.method, []).append(run.seed)
                continue
            own = found.setdefault(run.method, {})
            earlier = own.get(run.seed)
            if earlier is not None:
                repeated.setdefault(run.method, []).append(run.seed)
            if earlier is None or (run.complete and not earlier.complete):
                own[run.seed] = run
    left_out: list[str] = []
    as_far: list[str] = []
    for method, by_seed in found.items():
        runs = [by_seed[seed] for seed in sorted(by_seed)]
        complete = [run for run in runs if run.complete]
        section.runs[method] = complete or runs
        short = [
            f"{method} (seed {run.seed} after {len(run.history)} epochs)"
            for run in runs
            if not run.complete
        ]
        (left_out if complete else as_far).extend(short)
    section.notes += _state(sources)
    if as_far:
        section.notes.append(f"Cut short, and counted as far as it went: {', '.join(as_far)}.")
    if left_out:
        section.notes.append(
            "Cut short, and left out because other seeds of the method were trained to the "
            f"end: {', '.join(left_out)}."
        )
    if unstarted:
        section.notes.append(f"No epoch was finished, so left out: {_listed(unstarted)}.")
    if repeated:
        section.notes.append(f"Found more than once and counted once: {_listed(repeated)}.")
    section.notes += _mixed(sources)
    return section


def _listed(seeds: Mapping[str, list[int]]) -> str:
    """Return methods with their seeds in words."""
    return "; ".join(
        f"{method} (seed {', '.join(map(str, sorted(set(own))))})" for method, own in seeds.items()
    )


def _state(sources: Sequence[Source]) -> list[str]:
    return [
        f"The run in {source.folder} is not complete: it says “{source.results['status']}”."
        for source in sources
        if source.results["status"] != "complete"
    ]


def _mixed(sources: Sequence[Source]) -> list[str]:
    notes = []
    for key, words in (("hardware", "hardware, so compare no times"), ("versions", "versions")):
        known = {json.dumps(s.results.get(key), sort_keys=True) for s in sources}
        if len(known) > 1:
            notes.append(f"The run folders pooled here differ in {words}.")
    return notes
