"""Format the results of a comparison as an aligned table for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median

from spectral_select.integrations.records.results import PARTS
from spectral_select.integrations.records.run_records import Results
from spectral_select.integrations.report.costs import cost_of
from spectral_select.integrations.report.intervals import mean_interval
from spectral_select.integrations.report.run_groups import (
    ResultsFolder,
    Run,
    relative_seconds,
    sampling_error,
)

__all__ = ["format_table"]

# Optional columns with seconds spent before training; each header has two lines.
_PREPARATION = {"features": ("extrac-", "tion"), "reference": ("refer-", "ence")}


def format_table(results: Results) -> str:
    """Return a comparison as an aligned text table with a legend.

    Parameters
    ----------
    results : Results
        The results of a comparison.

    Returns
    -------
    str
        The table, followed by the legend.

    Examples
    --------
    >>> content = {"status": "failed", "seeds": [0], "runs": [], "config": {}}
    >>> content |= {"data": {"name": "digits"}, "features": {"seconds": None}}
    >>> format_table(Results.from_json(content))
    'no epoch is complete: nothing to report'
    """
    by_method = ResultsFolder(Path(), results).runs_by_method()
    if not by_method:
        return "no epoch is complete: nothing to report"
    kinds = [kind for kind in _PREPARATION if kind == "features" or kind in results.needs]
    head = [
        ["", "samples", "", "wall-", "epoch", "selec-", *(_PREPARATION[k][0] for k in kinds)],
        ["method", "trained on", "steps", "clock", "/ full", "tion"]
        + [_PREPARATION[kind][1] for kind in kinds],
    ]
    for part in PARTS:
        head[0] += [part, ""]
        head[1] += ["acc %", "loss"]
    body = [
        _row(method, runs, by_method.get("full", []), kinds) for method, runs in by_method.items()
    ]
    return "\n".join([*_align(head, body), *_legend(results, by_method)])


def _row(method: str, runs: list[Run], full: list[Run], kinds: Sequence[str]) -> list[str]:
    ratios = relative_seconds(runs, full)
    selection = mean(sum(run.seconds("selection")) + cost_of(run).precompute for run in runs)
    cells = [
        method,
        f"{mean(run.n_samples for run in runs):,.0f}",
        f"{mean(run.n_steps for run in runs):,.0f}",
        _seconds(mean(sum(run.seconds()) for run in runs)),
        f"{median(ratios):.2f}" if ratios else "-",
        _seconds(selection) if method != "full" else "-",
    ]
    for kind in kinds:
        seconds = getattr(cost_of(runs[0]), kind)
        cells.append("?" if seconds is None else _seconds(seconds) if seconds else "-")
    for part in PARTS:
        accuracy = mean_interval(run.final(part, "accuracy") for run in runs)
        loss = mean_interval(run.final(part, "loss") for run in runs)
        cells.append(accuracy.format(1, scale=100) if accuracy else "-")
        cells.append(f"{loss.mean:.3f}" if loss else "-")
    return cells


def _legend(results: Results, by_method: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = []
    seeds = {run.seed for runs in by_method.values() for run in runs}
    if len(seeds) > 1:
        lines.append(f"Means over {len(seeds)} seeds, ± half the 95% confidence interval.")
    error = sampling_error(run for runs in by_method.values() for run in runs)
    lines += [error] if error else []
    lines += [
        "wall-clock: training loop, including waits for selection and data, but not evaluation.",
        "epoch / full: epoch time relative to the same epoch of full (median).",
        "selection: work before or during training; extraction: features, once, before training.",
    ]
    if "reference" in results.needs:
        lines.append("reference: training the reference model, once, before all runs.")
    if "features" in results.needs and results.features.source:
        lines.append(f"features: {results.features.source}.")
    if results.status != "complete":
        n_epochs = max(run.n_epochs for runs in by_method.values() for run in runs)
        lines.append(f"This comparison is {results.status}; its first {n_epochs} epochs are shown.")
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
