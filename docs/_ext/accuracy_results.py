"""Tables and figures for the results of ``benchmarks/accuracy_vs_budget.py``.

``.. accuracy-results:: NAME [METHOD]`` shows a file in ``benchmarks/results``: the paired
difference between each method and a random subset, or METHOD. Options choose what is shown; the
link below the table leads to all numbers.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from committed_results import BENCHMARKS, PICTURES, download, provenance, table
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from spectral_select.integrations.report.intervals import Interval, mean_interval

sys.path.append(str(BENCHMARKS.parent))  # the benchmarks are scripts, not a package
from _accuracy_report import difference, draw, sections

BUDGETS = {
    "samples": "equal number of gradient samples",
    "steps": "equal number of steps",
    "wall-clock": "equal cost, including forward passes for selection",
    "first-run": "equal cost, including forward passes for selection and preparation",
}
MAX_PANELS = 3
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"  # a number and its interval stay on one line

Results = Mapping[str, Any]


def marked(interval: Interval | None) -> str:
    """Return a difference with its interval, marked if the interval excludes 0."""
    if interval is None:
        return ""
    text = interval.format(1, signed=True) + {1: " ▲", -1: " ▼", 0: ""}[interval.side]
    return text.replace(" ", NARROW_SPACE)


def narrowed(results: Results, options: Mapping[str, Sequence[str]]) -> Results:
    """Return the results with only the conditions, shares, budgets and methods in the options."""
    plan = dict(results["plan"])
    for key, wanted in options.items():
        if unknown := {*wanted} - {str(value) for value in plan[key]}:
            raise ExtensionError(f"{results['data']['name']} has no {key} {sorted(unknown)}")
        plan[key] = [value for value in plan[key] if str(value) in wanted]
    return {**results, "plan": plan}


def comparison(results: Results, baseline: str) -> str:
    """Return a table for every budget: methods by conditions and kept shares."""
    plan = results["plan"]
    cells_of = {(budget, name, share): cells for name, share, budget, cells in sections(results)}
    several = len(plan["shares"]) > 1
    columns = [(name, share) for name in plan["conditions"] for share in plan["shares"]]
    head = [
        f"{name.replace('-', ' ')}, {share:.0%} kept" if several else name.replace("-", " ")
        for name, share in columns
    ]
    texts = []
    for budget in plan["budgets"]:
        found = [cells_of.get((budget, *column), {}) for column in columns]
        rows = [[f"``{baseline}``, accuracy in %", *(accuracy(c, baseline) for c in found)]]
        for method in plan["methods"]:
            if method != baseline:
                cells = [
                    marked(difference(c[method], c[baseline]))
                    if {method, baseline} <= set(c)
                    else ""
                    for c in found
                ]
                rows.append([f"``{method}``", *cells])
        kept = "" if several else f"{plan['shares'][0]:.0%} kept, "
        name = results["data"]["name"]
        caption = f"{name}: {kept}{BUDGETS[budget]}: points gained over ``{baseline}``"
        texts.append(table(["", *head], rows, caption))
    return "\n".join(texts)


def accuracy(cells: Mapping[str, Any], method: str) -> str:
    """Return a method's mean accuracy with its interval."""
    if method not in cells:
        return ""
    interval = mean_interval(100 * value for value in cells[method]["accuracy"])
    return "" if interval is None else interval.format(1).replace(" ", NARROW_SPACE)


def all_numbers(name: str, results: Results) -> str:
    """Return the link to a table with every condition, share, budget and method."""
    head = ["condition", "share kept", "budget", "method", "seeds", "accuracy", "half-width"]
    head += ["gain over random", "half-width of the gain", "learning rate", "steps", "cost"]
    rows = []
    for condition, share, budget, cells in sections(results):
        for method, cell in cells.items():
            values = mean_interval(100 * value for value in cell["accuracy"])
            gain = difference(cell, cells["random"]) if "random" in cells else None
            row = [condition, share, budget, method, len(cell["seeds"])]
            for interval in (values, gain):
                row += ["", ""] if interval is None else [interval.mean, interval.half_width]
            costs = [sum(cell[key]) / len(cell[key]) for key in ("steps", "cost")]
            rows.append([*row, cell["lr"], *costs])
    return f"All numbers: {download(name, head, rows)}.\n"


def setting(results: Results) -> str:
    """Describe data and configuration in one sentence."""
    data, plan, settings = results["data"], results["plan"], results["settings"]
    rates = ", ".join(f"{rate:g}" for rate in plan["rates"])
    other = data.get("choose_by")
    by = f" (selection on other features, of length {other['dim']})" if other else ""
    return (
        f"{data['name']}: {data['n_train']:,} training and {data['n_test']:,} test samples in "
        f"{data['n_classes']} classes, embeddings of length {data['dim']}{by}; "
        f"{settings['epochs']} epochs, {settings['candidate_size']} candidates per step, "
        f"{len(plan['seeds'])} seeds; the learning rate for each cell is chosen from {rates} on "
        f"held-out training data, with {len(plan['tuning_seeds'])} other seeds."
    )


def figure(name: str, results: Results) -> str:
    """Draw the differences from ``random`` at the last budget; return the figure."""
    conditions = results["plan"]["conditions"]
    if len(conditions) > MAX_PANELS:
        raise ExtensionError(f"{name}: {len(conditions)} panels, at most {MAX_PANELS} are legible")
    budget = max(results["plan"]["budgets"], key=list(BUDGETS).index)
    PICTURES.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{'-'.join(conditions)}"
    (PICTURES / f"{stem}.png").write_bytes(
        draw({**results, "plan": results["plan"] | {"budgets": [budget]}})
    )
    shown = ", ".join(condition.replace("-", " ") for condition in conditions)
    lines = [f".. figure:: /_build/curves/{stem}.png"]
    lines += [f"   :alt: Points that each method gains over random: {shown}", ""]
    return "\n".join(lines)


class AccuracyResults(SphinxDirective):
    """The table for one results file, with a figure if ``:figure:`` is given."""

    required_arguments = 1
    optional_arguments = 1
    option_spec = {  # noqa: RUF012
        "conditions": str.split,
        "shares": str.split,
        "budgets": str.split,
        "methods": str.split,
        "figure": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Return the table, the figure and the link."""
        name, baseline = self.arguments[0], (self.arguments[1:] or ["random"])[0]
        path = BENCHMARKS / f"{name}.json"
        self.env.note_dependency(str(path))
        results = json.loads(path.read_text(encoding="utf-8"))
        chosen = {key: value for key, value in self.options.items() if value is not None}
        shown = narrowed(results, chosen)
        texts = [comparison(shown, baseline)]
        if "figure" in self.options:
            texts.append(figure(name, shown))
        texts.append(all_numbers(name, results))
        return self.parse_text_to_nodes("\n".join(texts))


class AccuracySettings(SphinxDirective):
    """A list of the settings of results files, with the commands that created them."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        lines = []
        for name in self.arguments[0].split():
            path = BENCHMARKS / f"{name}.json"
            self.env.note_dependency(str(path))
            results = json.loads(path.read_text(encoding="utf-8"))
            lines.append(f"- {setting(results)} {provenance(results)}")
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("accuracy-results", AccuracyResults)
    app.add_directive("accuracy-settings", AccuracySettings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
