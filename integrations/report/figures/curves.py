"""Accuracy and loss by epoch and against wall-clock."""

import os
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import mean
from typing import Any

from spectral_select._utils.atomic_files import write_atomically
from spectral_select.integrations.report.costs import (
    cost_of,
    precompute_seconds,
    preparation_seconds,
)
from spectral_select.integrations.report.figures.drawing import (
    Picture,
    new_figure,
    style_of,
    tidy,
    to_png,
)
from spectral_select.integrations.report.sections import Run, Section

__all__ = ["draw_against_time", "draw_by_epoch", "draw_curves", "draw_method"]

_SIZE = (5.0, 3.1)  # small enough to be read on a phone
_TRAIN, _VAL = "#0072b2", "#d55e00"


def draw_curves(results: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw accuracy and loss by epoch, and test accuracy by wall-clock, as a PNG.

    Lines are means over the seeds, bands their range. Needs matplotlib.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.
    path : path
        Where the picture goes; written whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_curves(results, folder + "/curves.png")
    ...     Path(folder, "curves.png").read_bytes()[1:4]
    b'PNG'
    """
    runs: dict[str, list[Any]] = {}
    for run in results["runs"]:
        if run["history"]:
            runs.setdefault(run["method"], []).append(run)
    figure = new_figure(11, 7)
    axes = figure.subplots(2, 2)
    panels = [
        (axes[0, 0], "test", "accuracy", "Test accuracy (%)"),
        (axes[1, 0], "test", "loss", "Test loss"),
        (axes[1, 1], "batches", "loss", "Loss on the samples trained on"),
    ]
    for place, (method, own) in enumerate(runs.items()):
        style = style_of(place)
        for axis, part, what, _ in panels:
            curves = [_curve(run, part, what) for run in own]
            _line(axis, range(1, 1 + min(map(len, curves))), curves, style, method)
        start = mean(map(precompute_seconds, own))
        for kind in ("features", "reference"):
            start += preparation_seconds(results, own[0], kind) or 0.0
        _against_time(axes[0, 1], own, start, style, method)
    for axis, _, _, title in panels:
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].set(title="Test accuracy (%) against wall-clock", xlabel=_time_label(results))
    axes[0, 1].set_xlim(left=0)
    for axis in (axes[0, 0], axes[0, 1]):
        axis.set_ylim(0, 100)
    tidy(axes.flat)
    for axis in (axes[1, 0], axes[1, 1]):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    _legend_below(figure, axes[0, 0], columns=5)
    figure.suptitle(_title(results), x=0.01, ha="left", fontsize=11)
    png = to_png(figure, dpi=120)
    write_atomically(path, lambda file: file.write(png))


def draw_by_epoch(section: Section, prefix: str, what: str) -> Picture:
    """Draw the test accuracy or loss of all methods by epoch.

    Parameters
    ----------
    section : Section
        The runs.
    prefix : str
        Beginning of the file name.
    what : {"accuracy", "loss"}
        What is drawn.

    Returns
    -------
    Picture
    """
    figure = new_figure(5.4, 4.6)
    axis = figure.subplots()
    for place, (method, own) in enumerate(section.runs.items()):
        curves = [_curve(run.record, "test", what) for run in own]
        _line(axis, range(1, 1 + min(map(len, curves))), curves, style_of(place), method)
    unit = " (%)" if what == "accuracy" else ""
    axis.set(xlabel="epoch", ylabel=f"test {what}{unit}")
    if what == "loss":
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
    axis.xaxis.get_major_locator().set_params(integer=True)
    tidy([axis])
    _legend_below(figure, axis)
    return Picture(
        f"{prefix}-test-{what}.png",
        to_png(figure),
        f"Line chart of test {what} by epoch, one line a method. {_ends(section, what)}",
        f"All methods: test {what} by epoch, mean over the seeds, band from the lowest seed to "
        "the highest.",
    )


def draw_against_time(section: Section, prefix: str) -> Picture:
    """Draw the test accuracy of all methods against their charged wall-clock.

    Parameters
    ----------
    section : Section
        The runs.
    prefix : str
        Beginning of the file name.

    Returns
    -------
    Picture
    """
    figure = new_figure(5.4, 4.6)
    axis = figure.subplots()
    for place, (method, own) in enumerate(section.runs.items()):
        style = style_of(place)
        start = mean(cost_of(run).before for run in own)
        _against_time(axis, [run.record for run in own], start, style, method)
        ends = section.mean(method, lambda run: run.measured("test", "accuracy"))
        if ends is not None:
            when = start + mean(run.total("total") for run in own)
            half = None if ends.half_width is None else 100 * ends.half_width
            place_style = {"color": style["color"], "marker": style["marker"]}
            axis.errorbar(
                when, 100 * ends.mean, yerr=half, capsize=4, markersize=9, zorder=3, **place_style
            )
    axis.set(xlabel="seconds, features and reference model included", ylabel="test accuracy (%)")
    axis.set_xlim(left=0)
    ends_said = _ends(section, "accuracy", times=True)
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, 0), min(high, 101))  # an interval of two seeds leads far outside
    tidy([axis])
    _legend_below(figure, axis)
    return Picture(
        f"{prefix}-against-time.png",
        to_png(figure),
        f"Line chart of test accuracy against charged wall-clock. {ends_said}",
        "Test accuracy against wall-clock: the large mark is the end of training, "
        "with its 95% interval over the seeds.",
    )


def draw_method(
    section: Section, method: str, prefix: str, what: str, counterpart: str | None
) -> Picture:
    """Draw accuracy or loss of one method by epoch, in training and on validation images.

    Parameters
    ----------
    section : Section
        The runs.
    method : str
        Which of them.
    prefix : str
        Beginning of the file name.
    what : {"accuracy", "loss"}
        What is drawn.
    counterpart : str, optional
        The paper's figure of it, for the caption.

    Returns
    -------
    Picture
    """
    runs = [run.record for run in section.runs[method]]
    figure = new_figure(*_SIZE)
    axis = figure.subplots()
    parts = [("batches", "trained on", _TRAIN, "o"), ("val", "validation", _VAL, "s")]
    if not any(_known(run, "val") for run in runs):
        parts[1] = ("test", "test", _VAL, "s")
    ends = []
    for part, label, color, mark in parts:
        curves = [_curve(run, part, what) for run in runs]
        xs = range(1, 1 + min(map(len, curves)))
        style = {"color": color, "marker": mark, "markersize": 4, "linewidth": 1.6}
        _line(axis, xs, curves, style, label)
        last = [curve[-1] for curve in curves if isfinite(curve[-1])]
        ends += [f"{label} {mean(last):.3g}"] if last else []
    unit = " (%)" if what == "accuracy" else ""
    axis.set(xlabel="epoch", ylabel=what + unit)
    if what == "accuracy":
        axis.set_ylim(0, 101)
    else:
        axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
    axis.xaxis.get_major_locator().set_params(integer=True)
    tidy([axis])
    axis.legend(frameon=False)
    paper = f" (as the paper's {counterpart})" if counterpart else ""
    return Picture(
        f"{prefix}-{what}.png",
        to_png(figure),
        f"Line chart of the {what}{unit} of {method} by epoch; at the end: {', '.join(ends)}.",
        f"{method}: {what} by epoch{paper}.",
    )


def _known(run: Mapping[str, Any], part: str) -> bool:
    return any(epoch[part]["accuracy"] is not None for epoch in run["history"])


def _ends(section: Section, what: str, *, times: bool = False) -> str:
    """Return in words where the lines end."""
    ends = []
    for method, runs in section.runs.items():
        found = section.mean(method, lambda run: run.measured("test", what))
        if found is None:
            continue
        text = f"{found.format(1, scale=100)}%" if what == "accuracy" else found.format(3)
        after = f" after {mean(map(_charged, runs)):.3g} s" if times else ""
        ends.append(f"{method} {text}{after}")
    return f"At the end: {'; '.join(ends)}." if ends else ""


def _charged(run: Run) -> float:
    cost = cost_of(run)
    return cost.training + cost.before


def _legend_below(figure: Any, axis: Any, columns: int | None = None) -> None:
    """Name what an axis shows in so many columns at most; by default as many as fit."""
    handles, labels = axis.get_legend_handles_labels()
    if columns is None:
        columns = 2 if max(map(len, labels), default=0) > 16 else 3
    else:
        columns = min(columns, len(labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _title(results: Mapping[str, Any]) -> str:
    config, seeds = results["config"], results["seeds"]
    plural = f"{len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
    name = Path(results["data"]["name"]).name
    return (
        f"{config['model']} on {name} at {config['image_size']} px, {plural}; "
        f"{config['candidate_size']} candidates a step, {config['filter_ratio']:.0%} discarded"
    )


def _time_label(results: Mapping[str, Any]) -> str:
    needed = {need for run in results["runs"] for need in run["needs"]}
    unknown = [
        kind
        for kind in ("features", "reference")
        if kind in needed and (results.get(kind) or {}).get("seconds") is None
    ]
    if not needed & {"features", "reference"}:
        return "training time (s)"
    if unknown:
        return f"training time (s), unknown cost of {' and '.join(unknown)} not included"
    if "reference" in needed:
        return "training time (s), features and reference model included"
    return "training time (s), feature extraction included"


def _curve(run: Mapping[str, Any], part: str, what: str) -> list[float]:
    def value(epoch: Mapping[str, Any]) -> float:
        found = epoch[what] if part == "batches" else epoch[part][what]
        return float("nan") if found is None else found * (100 if what == "accuracy" else 1)

    return [value(epoch) for epoch in run["history"]]


def _line(
    axis: Any, xs: Sequence[float], curves: list[list[float]], style: Any, label: str
) -> None:
    together = list(zip(*curves, strict=False))
    marks = {"markevery": max(1, len(together) // 10)}
    axis.plot(xs, [mean(values) for values in together], label=label, **marks | style)
    if len(curves) > 1:
        low, high = [min(v) for v in together], [max(v) for v in together]
        axis.fill_between(xs, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _against_time(axis: Any, runs: list[Any], start: float, style: Any, label: str) -> None:
    times, curves = [], [_curve(run, "test", "accuracy") for run in runs]
    for run in runs:
        elapsed = [start]
        for epoch in run["history"]:
            elapsed.append(elapsed[-1] + epoch["seconds"]["total"])
        times.append(elapsed[1:])
    _line(axis, [mean(values) for values in zip(*times, strict=False)], curves, style, label)
