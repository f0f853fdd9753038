"""Tables and pictures of what ``benchmarks/accuracy_vs_budget.py`` wrote.

``.. accuracy-results:: NAME`` shows the file of that name in ``benchmarks/results``: for
every kept share and budget, each method's paired difference to a random subset by condition.
``.. accuracy-results:: NAME METHOD`` shows differences to another method.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from committed_results import BENCHMARKS, PICTURES, provenance, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from spectral_select.integrations.report.intervals import Interval, mean_interval

sys.path.append(str(BENCHMARKS.parent))  # scripts that import each other by name
from _accuracy_report import difference, draw, sections

BUDGETS = {
    "samples": "equal number of gradient samples",
    "steps": "equal number of steps",
    "wall-clock": "equal cost, fresh forward passes charged",
    "first-run": "equal cost, what comes once before training charged too",
}


def marked(found: Interval | None) -> str:
    """Return a difference with its interval, and a mark if that is all on one side of 0."""
    if found is None:
        return ""
    return found.format(1, signed=True) + {1: " ▲", -1: " ▼", 0: ""}[found.side]


def comparison(results: Mapping[str, Any], baseline: str) -> str:
    """Return a table for every kept share and budget: methods by conditions."""
    plan = results["plan"]
    found = {(share, budget, condition): c for condition, share, budget, c in sections(results)}
    texts = []
    for share in plan["shares"]:
        for budget in plan["budgets"]:
            of = {name: found.get((share, budget, name), {}) for name in plan["conditions"]}
            rows = [
                [f"``{baseline}``, accuracy in %", *(accuracy(c, baseline) for c in of.values())]
            ]
            for method in plan["methods"]:
                if method != baseline:
                    cells = [
                        marked(difference(c[method], c[baseline]))
                        if {method, baseline} <= set(c)
                        else ""
                        for c in of.values()
                    ]
                    rows.append([f"``{method}``", *cells])
            caption = f"{share:.0%} kept, {BUDGETS[budget]}: points above ``{baseline}``"
            texts.append(table(["", *of], rows, caption))
    return "\n".join(texts)


def accuracy(cells: Mapping[str, Any], method: str) -> str:
    """Return the mean accuracy of a method, with its interval."""
    known = mean_interval(100 * v for v in cells[method]["accuracy"]) if method in cells else None
    return "" if known is None else known.format(1)


def setting(results: Mapping[str, Any]) -> str:
    """Return what was trained on what, and how often."""
    data, plan, settings = results["data"], results["plan"], results["settings"]
    rates = ", ".join(f"{rate:g}" for rate in plan["rates"])
    other = data.get("choose_by")
    by = f" (chosen by other features, of length {other['dim']})" if other else ""
    return (
        f"{data['name']}: {data['n_train']:,} training and {data['n_test']:,} test samples of "
        f"{data['n_classes']} classes, embeddings of length {data['dim']}{by}; "
        f"{settings['epochs']} epochs, {settings['candidate_size']} candidates a step, "
        f"{len(plan['seeds'])} seeds; learning rate of each cell from {rates}, by "
        f"{len(plan['tuning_seeds'])} other seeds on training data held out. "
        f"{provenance(results)}"
    )


class AccuracyResults(SphinxDirective):
    """The tables of one file and, of a comparison with ``random``, the picture."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return them."""
        name, baseline = self.arguments[0], (self.arguments[1:] or ["random"])[0]
        path = BENCHMARKS / f"{name}.json"
        self.env.note_dependency(str(path))
        results = json.loads(path.read_text(encoding="utf-8"))
        text = f"{setting(results)}\n\n"
        if baseline == "random":
            PICTURES.mkdir(parents=True, exist_ok=True)
            # One row of it: a picture of all budgets is too small to be read on a page.
            budget = max(results["plan"]["budgets"], key=list(BUDGETS).index)
            shown = results | {"plan": results["plan"] | {"budgets": [budget]}}
            (PICTURES / f"{name}.png").write_bytes(draw(shown))
            text += f".. figure:: /_build/curves/{name}.png\n"
            text += "   :alt: Difference of each method to random, by condition and budget\n\n"
        return self.parse_text_to_nodes(text + comparison(results, baseline))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("accuracy-results", AccuracyResults)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
