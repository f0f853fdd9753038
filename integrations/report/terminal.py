"""What a comparison came to, as an aligned table for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, median, stdev
from typing import Any

from spectral_select.integrations.records.results import PARTS
from spectral_select.integrations.report.costs import precompute_seconds, preparation_seconds

__all__ = ["format_table", "summarize"]


def summarize(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each method, its numbers as lists over the seeds.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.

    Returns
    -------
    list of dict
        ``method``, ``seeds``, and lists: ``samples``, ``steps``, ``total`` (seconds of
        training, everything in it), ``selection`` (work, with what was computed before it),
        ``waiting``, ``loading`` (seconds of it), ``extraction`` and ``reference`` (single
        numbers, before it: of features and of a reference model; None if unknown),
        ``relative`` (time of each epoch over that of the same epoch of ``full``; empty
        without), and for each of train, val and test a pair of lists ``(accuracy, loss)``.
        A run cut short counts as far as it went.

    Examples
    --------
    >>> epoch = {
    ...     "steps": 4, "samples": 128, "loss": 2.1, "accuracy": 0.2,
    ...     "seconds": {"total": 2.0, "selection": 0.1, "waiting": 0.0, "loading": 0.2},
    ...     "val": {"accuracy": 0.3, "loss": 2.0}, "test": {"accuracy": 0.25, "loss": 2.0},
    ... }
    >>> run = {
    ...     "method": "random", "seed": 0, "needs": [], "status": "running",
    ...     "history": [epoch], "final": None,
    ... }
    >>> results = {
    ...     "status": "running", "seeds": [0], "runs": [run],
    ...     "config": {
    ...         "model": "resnet18", "image_size": 32, "candidate_size": 160, "filter_ratio": 0.8
    ...     },
    ...     "data": {"name": "digits"}, "features": {"seconds": None},
    ... }
    >>> [row] = summarize(results)
    >>> row["method"], row["samples"], row["test"]
    ('random', [128], ([0.25], [2.0]))
    """
    runs = [run for run in results["runs"] if run["history"]]
    rows = []
    for method in dict.fromkeys(run["method"] for run in runs):
        own = [run for run in runs if run["method"] == method]
        row: dict[str, Any] = {"method": method, "seeds": [run["seed"] for run in own]}
        for key in ("samples", "steps"):
            row[key] = [sum(epoch[key] for epoch in run["history"]) for run in own]
        row["epochs"] = [len(run["history"]) for run in own]
        for key in ("total", "selection", "waiting", "loading"):
            row[key] = [sum(e["seconds"][key] for e in run["history"]) for run in own]
        before = map(precompute_seconds, own)
        row["selection"] = [sum(pair) for pair in zip(row["selection"], before, strict=True)]
        row["relative"] = [ratio for run in own for ratio in _relative(run, runs)]
        row["extraction"] = preparation_seconds(results, own[0], "features")
        row["reference"] = preparation_seconds(results, own[0], "reference")
        for part in PARTS:
            measured = [(run["final"] or run["history"][-1]).get(part) for run in own]
            measured = [m for m in measured if m and m["accuracy"] is not None]
            row[part] = (
                [m["accuracy"] for m in measured],
                [float("nan") if m["loss"] is None else m["loss"] for m in measured],
            )
        rows.append(row)
    return rows


def _relative(run: Mapping[str, Any], runs: Iterable[Mapping[str, Any]]) -> list[float]:
    """Return the time of each epoch over that of the same epoch of ``full``, if there is one."""
    full = [r for r in runs if r["method"] == "full" and r["seed"] == run["seed"]]
    return [
        own["seconds"]["total"] / other["seconds"]["total"]
        for reference in full
        for own, other in zip(run["history"], reference["history"], strict=False)
    ]


def format_table(results: Mapping[str, Any]) -> str:
    """Return the comparison as an aligned text table with its legend.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.

    Returns
    -------
    str
        Lines for a terminal of any width, the legend below the table.

    Examples
    --------
    >>> format_table({"runs": []})
    'no epoch was finished: nothing to report'
    """
    rows = summarize(results)
    if not rows:
        return "no epoch was finished: nothing to report"
    kinds = ["extraction"]
    kinds += ["reference"] if any("reference" in run["needs"] for run in results["runs"]) else []
    split = {"extraction": ("extrac-", "tion"), "reference": ("refer-", "ence")}
    head = [
        ["", "samples", "", "wall-", "epoch", "selec-", *(split[kind][0] for kind in kinds)],
        ["method", "trained on", "steps", "clock", "/ full", "tion"]
        + [split[kind][1] for kind in kinds],
    ]
    for part in PARTS:
        head[0] += [part, ""]
        head[1] += ["acc %", "loss"]
    body = []
    for row in rows:
        cells = [row["method"], f"{mean(row['samples']):,.0f}", f"{mean(row['steps']):,.0f}"]
        cells += [_seconds(mean(row["total"]))]
        cells += [f"{median(row['relative']):.2f}" if row["relative"] else "-"]
        cells += [_seconds(mean(row["selection"])) if row["method"] != "full" else "-"]
        for kind in kinds:
            spent = row[kind]
            cells += ["?" if spent is None else _seconds(spent) if spent else "-"]
        for part in PARTS:
            accuracy, loss = row[part]
            cells += [_spread([100 * a for a in accuracy]), f"{mean(loss):.3f}" if loss else "-"]
        body.append(cells)
    lines = _align(head, body)
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    if len(seeds) > 1:
        lines.append(f"Means over {len(seeds)} seeds; ± is the standard deviation.")
    lines += _legend(results, rows)
    return "\n".join(lines)


def _legend(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "wall-clock: the training loop with its waits for selection and images, without "
        "evaluation;",
        "epoch / full: time of an epoch over that of the same epoch of full, median.",
        "selection: work before, beside or in that loop; extraction: features, once, before it.",
    ]
    if any("reference" in run["needs"] for run in results["runs"]):
        lines.append("reference: a model trained beforehand, once, whose losses are compared with.")
    source = results["features"].get("source")
    if any("features" in run["needs"] for run in results["runs"]) and source:
        lines.append(f"features: {source}.")
    if results["status"] != "complete":
        epochs = max(max(row["epochs"]) for row in rows)
        lines.append(f"This run is {results['status']}: {epochs} epochs of it are counted.")
    return lines


def _align(head: Sequence[Sequence[str]], body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in (*head, *body)) for i in range(len(head[0]))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([first, *rest]).rstrip()

    rule = "-" * len("  ".join("-" * width for width in widths))
    return [*(line(row) for row in head), rule, *(line(row) for row in body), rule]


def _seconds(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 1 else 2
    return f"{value:,.{digits}f} s"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}"
