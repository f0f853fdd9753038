"""The tables of the page, before they are HTML."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

from spectral_select.integrations.report.costs import amortized, cost_of
from spectral_select.integrations.report.intervals import Interval, mean_interval
from spectral_select.integrations.report.paper import BLOCKS, Block, PaperData, printed_method
from spectral_select.integrations.report.sections import Run, Section

__all__ = ["Cell", "Table", "cost_table", "facts", "paper_tables", "relative_time", "summary_table"]

_NONE = "–"


@dataclass(frozen=True)
class Cell:
    """A cell: its text, and what kind it is: ``paper``, ``above``, ``below`` or nothing."""

    text: str
    kind: str = ""


@dataclass
class Table:
    """A table with its caption.

    Attributes
    ----------
    caption : str
        What it shows.
    head : list of str
        Names of the columns, the first that of the rows.
    groups : list of tuple of (str, int)
        Names above the columns with the number of columns each; empty for none.
    rows : list of tuple of (str, str, list of Cell)
        Name, a remark below the name, cells.
    wide : bool
        Whether it needs more than a phone's width.
    """

    caption: str
    head: list[str]
    groups: list[tuple[str, int]] = field(default_factory=list)
    rows: list[tuple[str, str, list[Cell]]] = field(default_factory=list)
    wide: bool = False


def _test_accuracy(run: Run) -> float | None:
    """Return the accuracy on the test images after the last epoch."""
    return run.measured("test", "accuracy")


def summary_table(section: Section) -> Table:
    """Return what the methods came to, in one table."""
    baselines = [name for name in ("random", "full") if name in section.runs]
    several = len(section.seeds) > 1
    pairs = " (mean and 95% interval over shared seeds)" if several else ""
    table = Table(
        "Test accuracy after the last epoch, what it was trained on and what it cost"
        + (f"; differences in points{pairs}" if baselines else ""),
        [
            "method",
            "test accuracy (%)",
            *(f"minus {name}" for name in baselines),
            "samples trained on",
            "steps",
            "training (s)",
            "all charged (s)",
        ],
        wide=True,
    )
    for method in section.runs:
        accuracy = section.mean(method, _test_accuracy)
        cells = [_interval(accuracy, 2, scale=100)]
        cells += [_difference(section, method, baseline) for baseline in baselines]
        cells += [_interval(section.mean(method, lambda run: run.total("samples")), 0)]
        cells += [_interval(section.mean(method, lambda run: run.total("steps")), 0)]
        cells += [_interval(section.mean(method, lambda run: run.total("total")), 1)]
        cells += [_costs(section.runs[method], lambda run: cost_of(run).total)]
        table.rows.append((method, _remark(section, method), cells))
    return table


def paper_tables(section: Section, paper: PaperData) -> list[Table]:
    """Return the quantities of the paper's tables, ours beside what the paper prints."""
    return [_paper_table(section, paper, block) for block in BLOCKS]


def _paper_table(section: Section, paper: PaperData, block: Block) -> Table:
    standard, jest = paper.tables[block.quantity]
    columns = list(block.columns)
    table = Table(
        f"{block.title}: the paper's tables {standard} and {jest}",
        ["method", *columns, *columns],
        [
            ("", 1),
            (f"ours, {section.data_name}", len(columns)),
            (f"paper, {paper.name}", len(columns)),
        ],
    )
    printed = paper.printed[block.quantity]
    none = [Cell(_NONE)] * len(columns)
    for method in section.runs:
        name = printed_method(method)
        own = [
            _interval(section.mean(method, value), block.digits, scale=scale)
            for value, scale in _VALUES[block.quantity]
        ]
        theirs = [Cell(text, "paper") for text in printed[name]] if name else none
        table.rows.append((method, f"{name} in the paper" if name else "", own + theirs))
    run_here = {printed_method(method) for method in section.runs}
    for name, texts in printed.items():
        if name not in run_here:
            table.rows.append((name, "not run here", none + [Cell(t, "paper") for t in texts]))
    return table


_Value = tuple[Callable[[Run], float | None], float]
_VALUES: Mapping[str, list[_Value]] = {
    "accuracy": [
        (lambda run: run.measured("train", "accuracy"), 100),
        (lambda run: run.measured("val", "accuracy"), 100),
    ],
    "loss": [
        (lambda run: run.measured("train", "loss"), 1),
        (lambda run: run.measured("val", "loss"), 1),
    ],
    "test": [(_test_accuracy, 100)],
    "time": [(lambda run: run.total("total"), 1 / 60)],
}


def cost_table(section: Section) -> Table:
    """Return what the methods cost, by kind of work, whole and amortized."""
    shares = amortized(section)
    table = Table(
        "Seconds by kind of work: means over the seeds",
        [
            *("method", "training", "epoch / full", "selection, share", "selection, work"),
            *("loading", "computed beforehand", "features", "reference model"),
            *("all charged", "all charged, amortized"),
        ],
        wide=True,
    )
    for method, runs in section.runs.items():
        ratios = relative_time(section, method)
        training = mean(run.total("total") for run in runs)
        waiting = mean(run.total("waiting") for run in runs)
        cells = [
            _plain(training),
            Cell(f"{median(ratios):.2f}" if ratios else _NONE),
            Cell(f"{waiting / training:.1%}" if training else _NONE),
            _plain(mean(run.total("selection") for run in runs)),
            _plain(mean(run.total("loading") for run in runs)),
            _costs(runs, lambda run: cost_of(run).precompute, spread=False),
            _costs(runs, lambda run: cost_of(run).features, spread=False),
            _costs(runs, lambda run: cost_of(run).reference, spread=False),
            _costs(runs, lambda run: cost_of(run).total, spread=False),
            _costs(runs, lambda run: shares[run.method, run.seed].total, spread=False),
        ]
        table.rows.append((method, "", cells))
    return table


def relative_time(section: Section, method: str) -> list[float]:
    """Return the time of each epoch over that of the same epoch of ``full`` and seed."""
    full = {run.seed: run for run in section.runs.get("full", [])}
    return [
        own["seconds"]["total"] / other["seconds"]["total"]
        for run in section.runs[method]
        if run.seed in full
        for own, other in zip(run.history, full[run.seed].history, strict=False)
        if other["seconds"]["total"] > 0
    ]


def _remark(section: Section, method: str) -> str:
    runs = section.runs[method]
    remarks = []
    if not all(run.complete for run in runs):
        remarks.append(f"cut short after {min(len(run.history) for run in runs)} epochs")
    if len(runs) != len(section.seeds):
        remarks.append(f"{len(runs)} of {len(section.seeds)} seeds")
    return ", ".join(remarks)


def _interval(
    interval: Interval | None, digits: int, *, scale: float = 1.0, signed: bool = False
) -> Cell:
    if interval is None:
        return Cell(_NONE)
    if interval.half_width == 0 and digits == 0:  # counts are the same for every seed
        interval = Interval(interval.mean, None, interval.n)
    return Cell(interval.format(digits, scale=scale, signed=signed))


def _difference(section: Section, method: str, baseline: str) -> Cell:
    if method == baseline:
        return Cell(_NONE)
    found = section.difference(method, baseline, _test_accuracy)
    kind = "" if found is None else ("", "above", "below")[found.side]
    return Cell(_interval(found, 2, scale=100, signed=True).text, kind)


def _costs(runs: list[Run], value: Callable[[Run], float | None], *, spread: bool = True) -> Cell:
    """Return a mean of seconds; a question mark where one of them is not known."""
    values = [value(run) for run in runs]
    if any(v is None for v in values):
        return Cell("?")
    found = mean_interval(values)
    if found is None:
        return Cell(_NONE)
    return _interval(found, 1) if spread else _plain(found.mean)


def _plain(seconds: float) -> Cell:
    if not seconds:
        return Cell(_NONE)
    return Cell(f"{seconds:,.{0 if seconds >= 1000 else 1 if seconds >= 10 else 2}f}")


def facts(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return configuration, data, versions and hardware of a run, by name."""
    found = [("command", str(results.get("command", "not recorded")))]
    found += [("status", str(results["status"]))]
    found += [(key, str(results[key])) for key in ("started", "finished") if results.get(key)]
    for key in ("config", "data", "features", "reference", "hardware", "versions"):
        value = results.get(key)
        found.append((key, _flat(value) if value else "not recorded" if value is None else "none"))
    return found


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_flat_inner(inner)}" for key, inner in value.items())
    return str(value)


def _flat_inner(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {_flat_inner(inner)}" for key, inner in value.items()) + ")"
    return "none" if value is None else str(value)
