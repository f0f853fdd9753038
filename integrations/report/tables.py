"""The tables on the page, independent of how they are displayed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import NamedTuple

from spectral_select.integrations.records.run_records import Results
from spectral_select.integrations.report.costs import amortized, cost_of
from spectral_select.integrations.report.intervals import Interval, mean_interval
from spectral_select.integrations.report.run_groups import (
    Run,
    RunGroup,
    final_test_accuracy,
    relative_seconds,
    sampling_error,
)
from spectral_select.integrations.report.saln_paper import (
    QUANTITIES,
    PaperData,
    Quantity,
    printed_method,
)

__all__ = ["Cell", "Row", "Table", "cost_table", "facts", "paper_tables", "summary_table"]

_MISSING = "–"


class Cell(NamedTuple):
    """The text of a cell and its kind: ``"paper"``, ``"above"``, ``"below"`` or ``""``."""

    text: str
    kind: str = ""


class Row(NamedTuple):
    """A row of a table: its name, a remark shown below the name, and its cells."""

    name: str
    remark: str
    cells: list[Cell]


@dataclass
class Table:
    """A table with its caption.

    Attributes
    ----------
    caption : str
        Title of the table.
    head : list of str
        Column names, including the name of the column that contains the row names.
    groups : list of tuple of (str, int)
        Names of column groups, with the number of columns in each; may be empty.
    rows : list of Row
        Rows of the table.
    wide : bool
        Whether the table is wider than a phone screen.
    """

    caption: str
    head: list[str]
    groups: list[tuple[str, int]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    wide: bool = False


def summary_table(group: RunGroup) -> Table:
    """Return test accuracy, differences from the baselines, samples and time by method."""
    baselines = [name for name in ("random", "full") if name in group.runs]
    columns = ["method", "test accuracy (%)", *(f"minus {name}" for name in baselines)]
    columns += ["samples trained on", "steps", "training (s)", "total cost (s)"]
    error = sampling_error(run for runs in group.runs.values() for run in runs)
    table = Table(f"Test accuracy, samples and time. {error}".strip(), columns, wide=True)
    for method, runs in group.runs.items():
        cells = [
            _interval(group.mean(method, final_test_accuracy), 2, scale=100),
            *(_difference(group, method, baseline) for baseline in baselines),
            _interval(group.mean(method, lambda run: run.n_samples), 0),
            _interval(group.mean(method, lambda run: run.n_steps), 0),
            _interval(group.mean(method, lambda run: sum(run.seconds())), 1),
            _cost(runs, lambda run: cost_of(run).total, with_interval=True),
        ]
        table.rows.append(Row(method, _remark(group, method), cells))
    return table


def paper_tables(group: RunGroup, paper: PaperData) -> list[Table]:
    """Return one table for each quantity in the paper: our results next to the paper's."""
    return [_paper_table(group, paper, quantity) for quantity in QUANTITIES]


def _paper_table(group: RunGroup, paper: PaperData, quantity: Quantity) -> Table:
    standard, jest = paper.tables[quantity.key]
    columns = list(quantity.columns)
    groups = [
        ("", 1),
        (f"ours, {group.data_name}", len(columns)),
        (f"paper, {paper.name}", len(columns)),
    ]
    table = Table(
        f"{quantity.title}, the paper’s tables {standard} and {jest}",
        ["method", *columns, *columns],
        groups,
    )
    printed = paper.printed[quantity.key]
    missing = [Cell(_MISSING)] * len(columns)
    for method in group.runs:
        name = printed_method(method)
        ours = [
            _interval(group.mean(method, value), quantity.digits, scale=scale)
            for value, scale in _VALUES[quantity.key]
        ]
        theirs = [Cell(text, "paper") for text in printed[name]] if name else missing
        table.rows.append(Row(method, f"{name} in the paper" if name else "", ours + theirs))
    present = {printed_method(method) for method in group.runs}
    for name, texts in printed.items():
        if name not in present:
            cells = missing + [Cell(text, "paper") for text in texts]
            table.rows.append(Row(name, "not run here", cells))
    return table


# For each quantity in the paper, functions that return a run's values, each with the factor that
# converts the value to the unit shown.
_Value = tuple[Callable[[Run], float | None], float]
_VALUES: dict[str, list[_Value]] = {
    "accuracy": [
        (lambda run: run.final("train", "accuracy"), 100),
        (lambda run: run.final("val", "accuracy"), 100),
    ],
    "loss": [
        (lambda run: run.final("train", "loss"), 1),
        (lambda run: run.final("val", "loss"), 1),
    ],
    "test": [(final_test_accuracy, 100)],
    "time": [(lambda run: sum(run.seconds()), 1 / 60)],
}


def cost_table(group: RunGroup) -> Table:
    """Return each method's costs by kind, with the total and the amortized total."""
    shares = amortized(group)
    columns = ["method", "training", "epoch / full", "selection wait", "selection work"]
    columns += ["loading", "before training", "features", "reference model"]
    columns += ["total", "total, amortized"]
    table = Table("Seconds by kind, averaged over the seeds", columns, wide=True)
    for method, runs in group.runs.items():
        ratios = relative_seconds(runs, group.runs.get("full", []))
        training, waiting, selection, loading = (
            mean(sum(run.seconds(kind)) for run in runs)
            for kind in ("total", "waiting", "selection", "loading")
        )
        cells = [
            _seconds(training),
            Cell(f"{median(ratios):.2f}" if ratios else _MISSING),
            Cell(f"{waiting / training:.1%}" if training else _MISSING),
            _seconds(selection),
            _seconds(loading),
            _cost(runs, lambda run: cost_of(run).precompute),
            _cost(runs, lambda run: cost_of(run).features),
            _cost(runs, lambda run: cost_of(run).reference),
            _cost(runs, lambda run: cost_of(run).total),
            _cost(runs, lambda run: shares[run.method, run.seed].total),
        ]
        table.rows.append(Row(method, "", cells))
    return table


def _remark(group: RunGroup, method: str) -> str:
    runs = group.runs[method]
    remarks = []
    if not all(run.complete for run in runs):
        remarks.append(f"interrupted after {min(run.n_epochs for run in runs)} epochs")
    if len(runs) != len(group.seeds):
        remarks.append(f"{len(runs)} of {len(group.seeds)} seeds")
    return ", ".join(remarks)


def _interval(
    interval: Interval | None, digits: int, *, scale: float = 1.0, signed: bool = False
) -> Cell:
    if interval is None:
        return Cell(_MISSING)
    if interval.half_width == 0 and digits == 0:  # the count is the same for every seed
        interval = Interval(interval.mean, None, interval.n)
    return Cell(interval.format(digits, scale=scale, signed=signed))


def _difference(group: RunGroup, method: str, baseline: str) -> Cell:
    if method == baseline:
        return Cell(_MISSING)
    difference = group.difference(method, baseline, final_test_accuracy)
    kind = "" if difference is None else ("", "above", "below")[difference.side]
    return Cell(_interval(difference, 2, scale=100, signed=True).text, kind)


def _cost(
    runs: Sequence[Run], value: Callable[[Run], float | None], *, with_interval: bool = False
) -> Cell:
    """Return the mean of the seconds, or a question mark if a value is unknown."""
    values = [value(run) for run in runs]
    if None in values:
        return Cell("?")
    interval = mean_interval(values)
    if interval is None:
        return Cell(_MISSING)
    return _interval(interval, 1) if with_interval else _seconds(interval.mean)


def _seconds(seconds: float) -> Cell:
    if not seconds:
        return Cell(_MISSING)
    return Cell(f"{seconds:,.{0 if seconds >= 1000 else 1 if seconds >= 10 else 2}f}")


def facts(results: Results) -> list[tuple[str, str]]:
    """Return a run's command, configuration, data, versions and hardware as (name, text) pairs."""
    lines = [("command", results.command or "not recorded"), ("status", results.status)]
    lines += [("started", results.started)] if results.started else []
    lines += [("finished", results.finished)] if results.finished else []
    content = results.to_json()
    for key in ("config", "data", "features", "reference", "hardware", "versions"):
        value = content[key]
        lines.append((key, _flat(value) if value else "not recorded" if value is None else "none"))
    return lines


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_flat_inner(inner)}" for key, inner in value.items())
    return str(value)


def _flat_inner(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_flat_inner(inner)}" for key, inner in value.items()) + ")"
    return "none" if value is None else str(value)
