"""The results of a sweep's runs put together, as if one command had made them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spectral_select._utils.atomic_files import write_json_atomically
from spectral_select.integrations.commands.sweep_plan import Plan, Run
from spectral_select.integrations.report import read_results
from spectral_select.integrations.runtime.provenance import describe_command

__all__ = ["merge"]


def merge(out: Path, plan: Plan, filter_ratio: float) -> tuple[Path, dict[str, Any]] | None:
    """Put the runs of one filter ratio together and write them to ``results-fRATIO.json``.

    Parameters
    ----------
    out : Path
        The sweep's folder.
    plan : Plan
    filter_ratio : float
        One of the plan's.

    Returns
    -------
    (Path, dict) or None
        The file and its content; None if no run has got anywhere yet.

    Notes
    -----
    Where a method has options of its own (a learning rate, say), its runs carry them
    under ``"config"``; the top level has those of the first run.
    """
    found: list[tuple[Run, dict[str, Any]]] = []
    wanted = [run for run in plan.runs if filter_ratio in run.ratios]
    for run in wanted:
        try:
            found.append((run, read_results(out / run.folder)))
        except FileNotFoundError:
            continue
    if not found:
        return None
    order = {method: place for place, method in enumerate(plan.methods)}
    found.sort(key=lambda pair: (plan.seeds.index(pair[0].seed), order[pair[0].method]))
    merged = dict(found[0][1])
    merged["command"] = describe_command()
    merged["config"] = merged["config"] | {"filter_ratio": filter_ratio}
    complete = len(found) == len(wanted) and all(r["status"] == "complete" for _, r in found)
    merged["status"] = "complete" if complete else "interrupted"
    merged["methods"], merged["seeds"] = list(plan.methods), list(plan.seeds)
    merged["started"] = min(results["started"] for _, results in found)
    ends = [results["finished"] for _, results in found]
    merged["finished"] = max(ends) if all(ends) else None
    for part in ("features", "reference"):
        merged[part] = _made([results.get(part) for _, results in found])
    merged["runs"] = [
        _placed(entry, run, results["config"], merged["config"])
        for run, results in found
        for entry in results["runs"]
    ]
    path = out / f"results-f{filter_ratio:g}.json"
    write_json_atomically(path, merged)
    return path, merged


def _made(origins: Sequence[Any]) -> Any:
    """Return what is known of the features or the reference where it is known best."""
    return max(origins, key=lambda origin: sum(v is not None for v in (origin or {}).values()))


def _placed(
    entry: dict[str, Any], run: Run, config: dict[str, Any], common: dict[str, Any]
) -> dict[str, Any]:
    """Return a run with its files' paths from the sweep's folder, and its own options."""
    files = {
        key: f"{run.folder}/{entry[key]}" for key in ("gallery", "last_layer") if entry.get(key)
    }
    own = {
        key: value
        for key, value in config.items()
        if key != "filter_ratio" and common.get(key) != value
    }
    return entry | files | ({"config": own} if own else {})
