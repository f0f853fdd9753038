"""Tables and figures for fine-tuned networks, from sweeps in ``docs/results``.

``.. fine-tuning-gains:: PATTERN`` shows, for each dataset, the accuracy of a random subset and the
gains of ``guided`` and ``turns``. ``.. fine-tuning-leads:: PATTERN`` shows how far ``guided`` is
above each other method. Files with the same configuration share a row.
``.. fine-tuning-time:: PATTERN`` treats the matching files as runs of different lengths on the
same data. It shows the time that each method needs to come within a point of the longest runs on
all samples.
"""

from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean
from typing import Any

from accuracy_results import NARROW_SPACE, marked
from committed_results import PICTURES, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from training_results import RESULTS, wrapped

from spectral_select.integrations.report import read_results
from spectral_select.integrations.report.costs import cost_of
from spectral_select.integrations.report.figures.drawing import (
    method_styles,
    new_figure,
    tidy,
    to_png,
)
from spectral_select.integrations.report.intervals import Interval
from spectral_select.integrations.report.run_groups import (
    ResultsFolder,
    Run,
    RunGroup,
    final_test_accuracy,
    group_runs,
)

OURS, TURNS, BASELINE, FULL = "guided", "turns", "random", "full"
POINTS = 1.0  # allowed loss of accuracy compared with full


def groups_in(paths: list[Path]) -> list[RunGroup]:
    """Return the runs in files of results, grouped by configuration and dataset."""
    return group_runs([ResultsFolder(path, read_results(path)) for path in paths])


def percent(run: Run) -> float | None:
    """Return the final test accuracy of a run, in percent."""
    value = final_test_accuracy(run)
    return None if value is None else 100 * value


def gains(paths: list[Path]) -> str:
    """Return the table of gains over a random subset, with links to the files."""
    rows = []
    groups = groups_in(paths)
    for group in groups:
        name = group.sources[0].folder.stem
        accuracy = group.mean(BASELINE, percent)
        rows.append(
            [
                f":download:`{name.removeprefix('finetune-')} </results/{name}.json>`",
                str(len(group.runs[BASELINE])),
                "" if accuracy is None else accuracy.format(1),
                *(_difference(group, method, BASELINE) for method in (OURS, TURNS)),
            ]
        )
    head = ["data", "seeds", f"``{BASELINE}``, accuracy in %", f"``{OURS}``", f"``{TURNS}``"]
    lines = [table(head, rows), ""]
    lines += [".. dropdown:: Commands", "", "   .. code-block:: text", ""]
    for source in (source for group in groups for source in group.sources):
        lines += [f"      {line}" for line in wrapped(source.results.command)]
    return "\n".join([*lines, ""])


def leads(paths: list[Path]) -> str:
    """Return the table of the differences between ``guided`` and every other method."""
    groups = [group for group in groups_in(paths) if len(group.runs) > 2]
    methods = list(dict.fromkeys(name for group in groups for name in group.runs))
    rows = [
        [f"``{name}``", *(_difference(group, OURS, name) for group in groups)]
        for name in methods
        if name not in (OURS, BASELINE)
    ]
    names = [group.sources[0].folder.stem.removeprefix("finetune-") for group in groups]
    return table(["method", *names], rows)


def _difference(group: RunGroup, method: str, baseline: str) -> str:
    present = method in group.runs and baseline in group.runs
    return marked(group.difference(method, baseline, percent)) if present else ""


def time_to_accuracy(paths: list[Path]) -> str:
    """Return the table of costs, and a figure of accuracy against time."""
    points: dict[str, list[tuple[int, float, Interval]]] = defaultdict(list)
    for group in groups_in(paths):
        for method, runs in group.runs.items():
            accuracy = group.mean(method, percent)
            costs = [cost_of(run).known for run in runs]
            if accuracy is not None:
                points[method].append((runs[0].n_epochs, mean(costs), accuracy))
    longest = max(points[FULL])
    target = longest[2].mean - POINTS
    reached = {
        method: min((one for one in found if one[2].mean >= target), key=lambda one: one[1])
        for method, found in points.items()
        if any(one[2].mean >= target for one in found)
    }
    rows = []
    for method, found in points.items():
        epochs, cost, accuracy = reached.get(method, max(found))
        met = method in reached
        rows.append(
            [
                f"``{method}``",
                str(epochs),
                accuracy.format(1),
                f"{cost:,.0f}{NARROW_SPACE}s",
                f"{cost / longest[1]:.2f}" if met else "not reached",
            ]
        )
    head = ["method", "epochs", "accuracy in %", "time", "relative to ``full``"]
    caption = f"Time to {target:.1f}%"
    return "\n".join([table(head, rows, caption), *_figure(paths[0].stem, points, target)])


def _figure(name: str, points: dict[str, list[tuple[int, float, Interval]]], target: float) -> Any:
    figure = new_figure(5.4, 4.2)
    axis = figure.subplots()
    styles = method_styles(list(points))
    for method, found in points.items():
        _, costs, accuracies = zip(*sorted(found, key=lambda one: one[1]), strict=True)
        axis.errorbar(
            costs,
            [accuracy.mean for accuracy in accuracies],
            yerr=[accuracy.half_width or 0 for accuracy in accuracies],
            capsize=3,
            label=method,
            **styles[method],
        )
    axis.axhline(target, color="black", linewidth=0.8, linestyle=":")
    axis.set(xlabel="seconds, everything charged", ylabel="test accuracy (%)", xscale="log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}")
    tidy([axis])
    axis.legend(frameon=False)
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{name}-time.png").write_bytes(to_png(figure))
    return [
        f".. figure:: /_build/curves/{name}-time.png",
        f"   :alt: Test accuracy against seconds, by method: {', '.join(points)}.",
        "   :width: 520px",
        "",
        "   Final accuracy of runs of different lengths, with 95% intervals. Dotted: the target.",
        "",
    ]


class _Directive(SphinxDirective):
    required_arguments = 1
    optional_arguments = 20
    make = staticmethod(gains)

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        paths = [
            path
            for pattern in self.arguments
            for path in sorted(RESULTS.glob("*.json"), key=lambda path: path.stem)
            if fnmatch(path.stem, pattern)
        ]
        for path in paths:
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(self.make(paths))


class FineTuningGains(_Directive):
    """The gains over a random subset."""


class FineTuningLeads(_Directive):
    """The differences between ``guided`` and the other methods."""

    make = staticmethod(leads)


class FineTuningTime(_Directive):
    """The time that each method needs to come close to training on all samples."""

    make = staticmethod(time_to_accuracy)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("fine-tuning-gains", FineTuningGains)
    app.add_directive("fine-tuning-leads", FineTuningLeads)
    app.add_directive("fine-tuning-time", FineTuningTime)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
