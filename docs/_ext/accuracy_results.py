"""Tables and figures for the results of ``benchmarks/accuracy_vs_budget.py``.

``.. accuracy-results:: NAME`` shows a file in ``benchmarks/results``: the paired difference
between each method and a random subset, by condition, for every kept share and budget.
``.. accuracy-results:: NAME METHOD`` shows differences from another method instead. The options
``:conditions:``, ``:shares:`` and ``:budgets:`` show a part of the results, and ``:without:``
leaves out methods. The whole results can be downloaded as CSV.
"""

import csv
import json
import sys
from collections.abc import Mapping
from io import StringIO
from typing import Any, ClassVar

from committed_results import BENCHMARKS, PICTURES, provenance, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from spectral_select.integrations.report.intervals import Interval, mean_interval

sys.path.append(str(BENCHMARKS.parent))  # the benchmarks are scripts, not a package
from _accuracy_report import difference, draw, sections

MOST_PANELS = 3  # in a figure, which has one for each condition

BUDGETS = {
    "samples": "equal number of gradient samples",
    "steps": "equal number of steps",
    "wall-clock": "equal cost, including forward passes for selection",
    "first-run": "equal cost, including forward passes for selection and preparation",
}


def marked(interval: Interval | None) -> str:
    """Return a difference with its interval, marked if the interval excludes 0."""
    if interval is None:
        return ""
    return interval.format(1, signed=True) + {1: " ▲", -1: " ▼", 0: ""}[interval.side]


def comparison(results: Mapping[str, Any], baseline: str) -> str:
    """Return a table of methods by conditions for every kept share and budget."""
    plan = results["plan"]
    cells_of = {(share, budget, name): cells for name, share, budget, cells in sections(results)}
    texts = []
    for share in plan["shares"]:
        for budget in plan["budgets"]:
            by_condition = {
                name: cells_of.get((share, budget, name), {}) for name in plan["conditions"]
            }
            rows = [
                [
                    f"``{baseline}``, accuracy in %",
                    *(accuracy(c, baseline) for c in by_condition.values()),
                ]
            ]
            for method in plan["methods"]:
                if method != baseline:
                    cells = [
                        marked(difference(c[method], c[baseline]))
                        if {method, baseline} <= set(c)
                        else ""
                        for c in by_condition.values()
                    ]
                    rows.append([f"``{method}``", *cells])
            caption = f"{share:.0%} kept, {BUDGETS[budget]}: points gained over ``{baseline}``"
            texts.append(table(["", *by_condition], rows, caption))
    return "\n".join(texts)


def accuracy(cells: Mapping[str, Any], method: str) -> str:
    """Return a method's mean accuracy with its interval."""
    if method not in cells:
        return ""
    interval = mean_interval(100 * value for value in cells[method]["accuracy"])
    return "" if interval is None else interval.format(1)


def setting(results: Mapping[str, Any]) -> str:
    """Describe data, configuration and provenance in one sentence."""
    data, plan, settings = results["data"], results["plan"], results["settings"]
    rates = ", ".join(f"{rate:g}" for rate in plan["rates"])
    other = data.get("choose_by")
    by = f" (selection on other features, of length {other['dim']})" if other else ""
    return (
        f"{data['name']}: {data['n_train']:,} training and {data['n_test']:,} test samples in "
        f"{data['n_classes']} classes, embeddings of length {data['dim']}{by}; "
        f"{settings['epochs']} epochs, {settings['candidate_size']} candidates per step, "
        f"{len(plan['seeds'])} seeds; the learning rate for each cell is chosen from {rates} on "
        f"held-out training data, with {len(plan['tuning_seeds'])} other seeds. "
        f"{provenance(results)}"
    )


class AccuracyResults(SphinxDirective):
    """The tables for one results file, with a figure if the baseline is ``random``."""

    required_arguments = 1
    optional_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = dict.fromkeys(
        ("conditions", "shares", "budgets", "without"), str.split
    )

    def run(self) -> list[nodes.Node]:
        """Return the tables and the figure."""
        name, baseline = self.arguments[0], (self.arguments[1:] or ["random"])[0]
        path = BENCHMARKS / f"{name}.json"
        self.env.note_dependency(str(path))
        results = json.loads(path.read_text(encoding="utf-8"))
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"{name}.csv").write_text(as_csv(results), encoding="utf-8")
        shown = self._part(results)
        text = f"{setting(results)} :download:`All numbers (CSV) </_build/curves/{name}.csv>`.\n\n"
        if baseline == "random" and len(shown["plan"]["conditions"]) <= MOST_PANELS:
            # Draw the last budget only, because a figure with all of them would be illegible.
            budget = max(shown["plan"]["budgets"], key=list(BUDGETS).index)
            drawn = shown | {"plan": shown["plan"] | {"budgets": [budget]}}
            picture = f"{name}-{'-'.join(shown['plan']['conditions'])}.png"
            (PICTURES / picture).write_bytes(draw(drawn))
            text += f".. figure:: /_build/curves/{picture}\n"
            text += "   :alt: Difference between each method and random, by condition\n\n"
        return self.parse_text_to_nodes(text + comparison(shown, baseline))

    def _part(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """Return the results that the options name."""
        plan = dict(results["plan"])
        for key in ("conditions", "shares", "budgets"):
            wanted = self.options.get(key)
            if wanted is not None:
                plan[key] = [value for value in plan[key] if str(value) in wanted]
            if not plan[key]:
                raise self.error(f"no {key} named {wanted} in {self.arguments[0]}")
        left_out = self.options.get("without", ())
        plan["methods"] = [name for name in plan["methods"] if name not in left_out]
        cells = [cell for cell in results["cells"] if cell["method"] in plan["methods"]]
        return {**results, "plan": plan, "cells": cells}


def as_csv(results: Mapping[str, Any]) -> str:
    """Return the accuracy of every run, one per line."""
    text = StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(["condition", "kept share", "method", "learning rate", "seed", "accuracy", "cost"])
    for cell in results["cells"]:
        for seed, accuracy, cost in zip(cell["seeds"], cell["accuracy"], cell["cost"], strict=True):
            about = [cell["condition"], cell["share"], cell["method"], cell["lr"]]
            write([*about, seed, accuracy, cost])
    return text.getvalue()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("accuracy-results", AccuracyResults)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
