"""What a comparison came to: a table for the terminal and a picture, from results.json."""

import os
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from spectral_select._files import read_json_object, write_atomically

__all__ = ["FORMAT", "draw_curves", "format_table", "read_results", "summarise"]

FORMAT = "spectral_select training results 1"

_PARTS = ("train", "val", "test")
# Okabe and Ito's colours, which readers with any colour vision tell apart.
_COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the results in a ``results.json`` or in the folder of a run.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is not what `spectral-select train` writes.
    """
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    results = read_json_object(path)
    if results.get("format") != FORMAT:
        raise ValueError(f"{path} has format {results.get('format')!r}; expected {FORMAT!r}")
    return results


def summarise(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each method, its numbers as lists over the seeds.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.

    Returns
    -------
    list of dict
        ``method``, ``seeds``, and lists: ``samples``, ``steps``, ``total`` (seconds of
        training, everything in it), ``selection``, ``waiting``, ``loading`` (seconds of
        it), ``extraction`` (a single number, before it, or None if unknown), ``relative``
        (time of each epoch over that of the same epoch of ``full``; empty without), and for
        each of train, val and test a pair of lists ``(accuracy, loss)``. A run cut short
        counts as far as it went.
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
        row["relative"] = [ratio for run in own for ratio in _relative(run, runs)]
        needs = own[0]["needs"]
        row["extraction"] = results["features"]["seconds"] if "features" in needs else 0.0
        for part in _PARTS:
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
    """
    rows = summarise(results)
    if not rows:
        return "no epoch was finished: nothing to report"
    head = [
        [
            "",
            "samples",
            "",
            "wall-",
            "epoch",
            "selec-",
            "extrac-",
            "train",
            "",
            "val",
            "",
            "test",
            "",
        ],
        ["method", "trained on", "steps", "clock", "/ full", "tion", "tion"]
        + ["acc %", "loss"] * len(_PARTS),
    ]
    body = []
    for row in rows:
        cells = [row["method"], f"{mean(row['samples']):,.0f}", f"{mean(row['steps']):,.0f}"]
        cells += [_seconds(mean(row["total"]))]
        cells += [f"{median(row['relative']):.2f}" if row["relative"] else "-"]
        cells += [_seconds(mean(row["selection"])) if row["method"] != "full" else "-"]
        extraction = row["extraction"]
        cells += ["?" if extraction is None else _seconds(extraction) if extraction else "-"]
        for part in _PARTS:
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
        "selection: work done beside or in that loop; extraction: features, once, before it.",
    ]
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


def draw_curves(results: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw accuracy and loss by epoch, and test accuracy by wall-clock, as a PNG.

    Lines are means over the seeds, bands their range. Needs matplotlib.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.
    path : path
        Where the picture goes; written whole or not at all.
    """
    # Figure and not pyplot: no global state, no window.
    from matplotlib.figure import Figure

    runs: dict[str, list[Any]] = {}
    for run in results["runs"]:
        if run["history"]:
            runs.setdefault(run["method"], []).append(run)
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 2)
    panels = [
        (axes[0, 0], "accuracy", "Test accuracy (%)"),
        (axes[1, 0], "loss", "Test loss"),
        (axes[1, 1], "batches", "Loss on the samples trained on"),
    ]
    for place, (method, own) in enumerate(runs.items()):
        style = {
            "color": _COLOURS[place % len(_COLOURS)],
            "marker": _MARKS[place % len(_MARKS)],
            "markersize": 4,
            "linewidth": 1.6,
        }
        for axis, what, _ in panels:
            curves = [_curve(run, what) for run in own]
            epochs = range(1, 1 + min(map(len, curves)))
            _line(axis, epochs, curves, style, method)
        extraction = results["features"]["seconds"] if "features" in own[0]["needs"] else 0.0
        _against_time(axes[0, 1], own, extraction or 0.0, style, method)
    for axis, _, title in panels:
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].set(title="Test accuracy (%) against wall-clock", xlabel=_time_label(results))
    axes[0, 1].set_xlim(left=0)
    for axis in (axes[0, 0], axes[0, 1]):
        axis.set_ylim(0, 100)
    for axis in axes.flat:
        axis.grid(visible=True, alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in (axes[1, 0], axes[1, 1]):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False)
    figure.suptitle(_title(results), x=0.01, ha="left", fontsize=11)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))


def _title(results: Mapping[str, Any]) -> str:
    config, seeds = results["config"], results["seeds"]
    plural = f"{len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
    name = Path(results["data"]["name"]).name
    return (
        f"{config['model']} on {name} at {config['image_size']} px, {plural}; "
        f"{config['candidate_size']} candidates a step, {config['filter_ratio']:.0%} discarded"
    )


def _time_label(results: Mapping[str, Any]) -> str:
    if not any("features" in run["needs"] for run in results["runs"]):
        return "training time (s)"
    known = results["features"]["seconds"] is not None
    return f"training time (s), feature extraction {'' if known else 'not '}included"


def _curve(run: Mapping[str, Any], what: str) -> list[float]:
    def value(epoch: Mapping[str, Any]) -> float:
        found = epoch["loss"] if what == "batches" else epoch["test"][what]
        return float("nan") if found is None else found * (100 if what == "accuracy" else 1)

    return [value(epoch) for epoch in run["history"]]


def _line(
    axis: Any, xs: Sequence[float], curves: list[list[float]], style: Any, label: str
) -> None:
    together = list(zip(*curves, strict=False))
    axis.plot(xs, [mean(values) for values in together], label=label, **style)
    if len(curves) > 1:
        low, high = [min(v) for v in together], [max(v) for v in together]
        axis.fill_between(xs, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _against_time(axis: Any, runs: list[Any], start: float, style: Any, label: str) -> None:
    times, curves = [], [_curve(run, "accuracy") for run in runs]
    for run in runs:
        elapsed = [start]
        for epoch in run["history"]:
            elapsed.append(elapsed[-1] + epoch["seconds"]["total"])
        times.append(elapsed[1:])
    _line(axis, [mean(values) for values in zip(*times, strict=False)], curves, style, label)
