"""Merge the results of a sweep's runs into one comparison."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spectral_select.integrations.commands.sweep_plan import Plan, Run
from spectral_select.integrations.records.json_records import JsonObject
from spectral_select.integrations.records.results import read_results, write_results
from spectral_select.integrations.records.run_records import InputRecord, Results, RunRecord
from spectral_select.integrations.runtime.provenance import describe_command

__all__ = ["merge"]


def merge(out: Path, plan: Plan, filter_ratio: float) -> tuple[Path, Results] | None:
    """Merge the runs for one filter ratio and write them to ``results-fRATIO.json``.

    Parameters
    ----------
    out : Path
        The sweep's folder.
    plan : Plan
        The sweep.
    filter_ratio : float
        One of the plan's filter ratios.

    Returns
    -------
    (Path, Results) or None
        The file and its content, or None if no run has results yet.

    Notes
    -----
    If a method has its own options, such as a learning rate, they are stored under ``"config"``
    in each of its runs. The top level contains the options that the methods share; if all
    methods have their own, it contains those of the first run.
    """
    finished: list[tuple[Run, Results]] = []
    wanted = [run for run in plan.runs if filter_ratio in run.ratios]
    for run in wanted:
        try:
            finished.append((run, read_results(out / run.folder)))
        except FileNotFoundError:
            continue
    if not finished:
        return None
    order = {method: place for place, method in enumerate(plan.methods)}
    finished.sort(key=lambda pair: (plan.seeds.index(pair[0].seed), order[pair[0].method]))
    contents = [results for _, results in finished]
    complete = len(contents) == len(wanted) and all(r.status == "complete" for r in contents)
    shared = [r for run, r in finished if run.method not in plan.with_own_options]
    config = (shared or contents)[0].config | {"filter_ratio": filter_ratio}
    started = [results.started for results in contents if results.started]
    ends = [results.finished for results in contents if results.finished]
    features = _best_known([results.features for results in contents])
    merged = replace(
        contents[0],
        command=describe_command(),
        config=config,
        status="complete" if complete else "interrupted",
        methods=list(plan.methods),
        seeds=list(plan.seeds),
        started=min(started, default=None),
        finished=max(ends) if len(ends) == len(contents) else None,
        features=features or contents[0].features,
        reference=_best_known([results.reference for results in contents]),
        runs=[
            _relocated(record, run, results.config, config)
            for run, results in finished
            for record in results.runs
        ],
    )
    path = out / f"results-f{filter_ratio:g}.json"
    write_results(merged, path)
    return path, merged


def _best_known(records: Sequence[InputRecord | None]) -> InputRecord | None:
    """Return the record with the fewest missing values."""
    known = [record for record in records if record is not None]
    count = lambda record: sum(v is not None for v in record.to_json().values())  # noqa: E731
    return max(known, key=count, default=None)


def _relocated(record: RunRecord, run: Run, config: JsonObject, common: JsonObject) -> RunRecord:
    """Return a run with its own options and with paths relative to the sweep's folder."""
    own = {
        key: value
        for key, value in config.items()
        if key != "filter_ratio" and common.get(key) != value
    }
    return replace(
        record,
        gallery=record.gallery and f"{run.folder}/{record.gallery}",
        last_layer=record.last_layer and f"{run.folder}/{record.last_layer}",
        config=own or record.config,
    )
