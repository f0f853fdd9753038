"""Accuracy and loss by epoch and against time."""

import os
from collections.abc import Sequence
from itertools import accumulate
from math import isfinite, nan
from pathlib import Path, PurePath
from statistics import mean
from typing import Any

from spectral_select._utils.atomic_files import write_atomically
from spectral_select.integrations.records.run_records import Results
from spectral_select.integrations.report.costs import cost_of
from spectral_select.integrations.report.figures.drawing import (
    LineStyle,
    Picture,
    drawn_name,
    limits_around,
    method_styles,
    new_figure,
    tidy,
    to_png,
)
from spectral_select.integrations.report.run_groups import (
    ResultsFolder,
    Run,
    RunGroup,
    final_test_accuracy,
)

__all__ = ["draw_against_time", "draw_by_epoch", "draw_curves", "draw_method"]

_SIZE = (5.0, 3.1)  # inches; legible on a phone
_TRAIN, _VAL = "#0072b2", "#d55e00"


def draw_curves(results: Results, path: str | os.PathLike[str]) -> None:
    """Draw accuracy and loss by epoch, and test accuracy against time, to a PNG file.

    Lines are means over the seeds; bands extend from the lowest to the highest value over the
    seeds. Needs matplotlib.

    Parameters
    ----------
    results : Results
        The results of a comparison.
    path : path
        The file; written atomically.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> measured = {"accuracy": 0.3, "loss": 2.0}
    >>> epoch = measured | {
    ...     "steps": 4, "samples": 128, "val": measured, "test": measured,
    ...     "seconds": {"total": 2.0, "selection": 0.1, "waiting": 0.0, "loading": 0.2},
    ... }
    >>> run = {"method": "random", "seed": 0, "needs": [], "status": "running", "history": [epoch]}
    >>> config = {"model": "resnet18", "image_size": 32, "candidate_size": 160, "filter_ratio": 0.8}
    >>> results = Results.from_json({
    ...     "status": "running", "seeds": [0], "runs": [run], "config": config,
    ...     "data": {"name": "digits"}, "features": {"seconds": None},
    ... })
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_curves(results, folder + "/curves.png")
    ...     Path(folder, "curves.png").read_bytes()[1:4]
    b'PNG'
    """
    png = to_png(_overview(ResultsFolder(Path(), results)), dpi=120)
    write_atomically(path, lambda file: file.write(png))


def _overview(source: ResultsFolder) -> Any:
    """Return the four-panel figure of `draw_curves`."""
    figure = new_figure(11, 7)
    axes = figure.subplots(2, 2)
    panels = [
        (axes[0, 0], "test", "accuracy", "Test accuracy (%)"),
        (axes[1, 0], "test", "loss", "Test loss"),
        (axes[1, 1], "batches", "loss", "Loss on the training batches"),
    ]
    by_method = source.runs_by_method()
    styles = method_styles(list(by_method))
    for method, runs in by_method.items():
        style = styles[method]
        for axis, part, quantity, _ in panels:
            _plot_by_epoch(axis, runs, part, quantity, style, method)
        _plot_against_time(axes[0, 1], runs, style, method)
    for axis, _, _, title in panels:
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].set(title="Test accuracy (%) against time", xlabel=_time_label(source))
    axes[0, 1].set_xlim(left=0)
    for axis in axes[0]:
        axis.set_ylim(0, 100)
    tidy(axes.flat)
    for axis in axes[1]:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    _add_legend_below(figure, axes[0, 0], max_columns=5)
    figure.suptitle(_title(source.results), x=0.01, ha="left", fontsize=11)
    return figure


def draw_by_epoch(group: RunGroup, prefix: str, quantity: str) -> Picture:
    """Draw the test accuracy or loss of all methods by epoch.

    Parameters
    ----------
    group : RunGroup
        The runs.
    prefix : str
        Prefix for the file name.
    quantity : {"accuracy", "loss"}
        The quantity.

    Returns
    -------
    Picture
    """
    figure = new_figure(5.4, 4.6)
    axis = figure.subplots()
    styles = method_styles(list(group.runs))
    for method, runs in group.runs.items():
        _plot_by_epoch(axis, runs, "test", quantity, styles[method], method)
    axis.set(xlabel="epoch", ylabel=f"test {quantity}{_unit(quantity)}")
    if quantity == "loss":
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
    axis.xaxis.get_major_locator().set_params(integer=True)
    tidy([axis])
    _add_legend_below(figure, axis)
    return Picture(
        f"{prefix}-test-{quantity}.png",
        to_png(figure),
        f"Line chart of test {quantity} by epoch, one line per method. "
        f"{_final_values(group, quantity)}",
        f"All methods: test {quantity} by epoch, averaged over the seeds; bands extend from the "
        "lowest to the highest value over the seeds.",
    )


def draw_against_time(group: RunGroup, prefix: str) -> Picture:
    """Draw the test accuracy of all methods against their total cost in seconds.

    Parameters
    ----------
    group : RunGroup
        The runs.
    prefix : str
        Prefix for the file name.

    Returns
    -------
    Picture
    """
    figure = new_figure(5.4, 4.6)
    axis = figure.subplots()
    styles = method_styles(list(group.runs))
    for method, runs in group.runs.items():
        style = styles[method]
        _plot_against_time(axis, runs, style, method)
        interval = group.mean(method, final_test_accuracy)
        if interval is not None:
            axis.errorbar(
                mean(cost_of(run).known for run in runs),
                100 * interval.mean,
                yerr=None if interval.half_width is None else 100 * interval.half_width,
                color=style["color"],
                marker=style["marker"],
                capsize=4,
                markersize=9,
                zorder=3,
            )
    axis.set(xlabel="seconds, including features and reference model", ylabel="test accuracy (%)")
    axis.set_xlim(left=0)
    curves = [_scaled(run, "test", "accuracy") for runs in group.runs.values() for run in runs]
    values = [value for curve in curves for value in curve]
    axis.set_ylim(limits_around(values, axis.get_ylim()))
    tidy([axis])
    _add_legend_below(figure, axis)
    return Picture(
        f"{prefix}-against-time.png",
        to_png(figure),
        "Line chart of test accuracy against total cost. "
        + _final_values(group, "accuracy", with_cost=True),
        "Test accuracy against time. The large marker shows the end of training, with a 95% "
        "confidence interval, which may extend beyond the axis.",
    )


def draw_method(
    group: RunGroup, method: str, prefix: str, quantity: str, counterpart: int | None
) -> Picture:
    """Draw one method's accuracy or loss by epoch, on training batches and on held-out samples.

    The held-out samples are the validation split or, if it was not evaluated, the test split.

    Parameters
    ----------
    group : RunGroup
        The runs.
    method : str
        The method.
    prefix : str
        Prefix for the file name.
    quantity : {"accuracy", "loss"}
        The quantity.
    counterpart : int, optional
        Number of the paper's figure to compare with, for the caption.

    Returns
    -------
    Picture
    """
    runs = group.runs[method]
    figure = new_figure(*_SIZE)
    axis = figure.subplots()
    validated = any(isfinite(value) for run in runs for value in run.curve("val", "accuracy"))
    held_out = ("val", "validation") if validated else ("test", "test")
    endings = []
    for part, label, color, marker in (
        ("batches", "training batches", _TRAIN, "o"),
        (*held_out, _VAL, "s"),
    ):
        style: LineStyle = {"color": color, "marker": marker, "markersize": 4, "linewidth": 1.6}
        ending = _plot_by_epoch(axis, runs, part, quantity, style, label)
        endings += [f"{label} {ending:.3g}"] if isfinite(ending) else []
    unit = _unit(quantity)
    top = 101 if quantity == "accuracy" else 1.06 * axis.get_ylim()[1]
    axis.set(xlabel="epoch", ylabel=quantity + unit, ylim=(0, top))
    axis.xaxis.get_major_locator().set_params(integer=True)
    tidy([axis])
    axis.legend(frameon=False)
    paper = f" (compare the paper’s figure {counterpart})" if counterpart else ""
    return Picture(
        f"{prefix}-{quantity}.png",
        to_png(figure),
        f"Line chart of the {quantity}{unit} of {method} by epoch; last epoch: "
        f"{', '.join(endings) or 'not recorded'}.",
        f"{method}: {quantity} by epoch{paper}.",
    )


def _plot_by_epoch(
    axis: Any, runs: Sequence[Run], part: str, quantity: str, style: LineStyle, label: str
) -> float:
    """Plot a quantity by epoch; return the mean of its last values, or NaN if there are none."""
    curves = [_scaled(run, part, quantity) for run in runs]
    _plot_mean(axis, range(1, 1 + min(map(len, curves))), curves, style, label)
    last = [curve[-1] for curve in curves if isfinite(curve[-1])]
    return mean(last) if last else nan


def _plot_against_time(axis: Any, runs: Sequence[Run], style: LineStyle, label: str) -> None:
    start = mean(cost_of(run).before for run in runs)
    elapsed = [list(accumulate(run.seconds(), initial=start))[1:] for run in runs]
    times = [mean(values) for values in zip(*elapsed, strict=False)]
    _plot_mean(axis, times, [_scaled(run, "test", "accuracy") for run in runs], style, label)


def _scaled(run: Run, part: str, quantity: str) -> list[float]:
    """Return one of a run's curves, with accuracies in percent."""
    scale = 100 if quantity == "accuracy" else 1
    return [scale * value for value in run.curve(part, quantity)]


def _plot_mean(
    axis: Any, xs: Sequence[float], curves: list[list[float]], style: LineStyle, label: str
) -> None:
    """Plot the mean of the curves, up to the end of the shortest, and a band over their range.

    The line skips epochs without a value, for example those that were not evaluated.
    """
    points = [(x, *ys) for x, *ys in zip(xs, *curves, strict=False) if all(map(isfinite, ys))]
    xs, columns = [x for x, *_ in points], [ys for _, *ys in points]
    markers = {"markevery": max(1, len(columns) // 10)}
    axis.plot(xs, [mean(values) for values in columns], label=drawn_name(label), **markers | style)
    if len(curves) > 1:
        low, high = [min(values) for values in columns], [max(values) for values in columns]
        axis.fill_between(xs, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _add_legend_below(figure: Any, axis: Any, max_columns: int | None = None) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if max_columns is None:
        columns = 2 if max(map(len, labels), default=0) > 16 else 3
    else:
        columns = min(max_columns, len(labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _unit(quantity: str) -> str:
    return " (%)" if quantity == "accuracy" else ""


def _final_values(group: RunGroup, quantity: str, *, with_cost: bool = False) -> str:
    """Return the final test values of all methods as a sentence, for alt text."""
    texts = []
    for method, runs in group.runs.items():
        interval = group.mean(method, lambda run: run.final("test", quantity))
        if interval is None:
            continue
        percent = quantity == "accuracy"
        text = f"{interval.format(1, scale=100)}%" if percent else interval.format(3)
        cost = f" after {mean(cost_of(run).known for run in runs):.3g} s" if with_cost else ""
        texts.append(f"{method} {text}{cost}")
    return f"Final values: {'; '.join(texts)}." if texts else ""


def _title(results: Results) -> str:
    setting, seeds = results.setting, sorted({run.seed for run in results.runs})
    parts = [f"{setting.model or 'a network'} on {drawn_name(PurePath(results.data.name).name)}"]
    if setting.image_size is not None:
        parts[0] += f" at {setting.image_size} px"
    parts[0] += ", " + (f"{len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}")
    if setting.candidate_size is not None:
        parts.append(f"{setting.candidate_size} candidates per step")
        if setting.filter_ratio is not None:
            parts[1] += f", {setting.filter_ratio:.0%} discarded"
    return "; ".join(parts)


def _time_label(source: ResultsFolder) -> str:
    costs = [cost_of(run) for run in source.runs]
    named = {"features": "feature extraction", "reference": "reference model"}
    included = [text for kind, text in named.items() if any(getattr(c, kind) for c in costs)]
    unknown = [text for kind, text in named.items() if any(getattr(c, kind) is None for c in costs)]
    label = "training time (s)"
    label += f", including {' and '.join(included)}" if included else ""
    return label + (f", excluding {' and '.join(unknown)} (unknown)" if unknown else "")
