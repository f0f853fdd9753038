"""Gains of two methods over a random subset, from the committed results."""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = Path.cwd().parents[1]
sys.path.append(str(ROOT / "benchmarks"))
from _accuracy_report import difference, sections  # noqa: E402

from spectral_select.integrations.report.figures.drawing import method_styles  # noqa: E402

METHODS = ("guided", "fiedler")
styles = method_styles(METHODS)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True, layout="constrained")
for axis, (name, file) in zip(
    axes,
    {"Caltech-101": "heads_caltech-101", "CIFAR-10": "heads_cifar-10"}.items(),
    strict=True,
):
    path = ROOT / "benchmarks" / "results" / f"{file}.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    found = {
        condition: cells
        for condition, share, budget, cells in sections(results)
        if (share, budget) == (0.2, "wall-clock")
    }
    for place, method in enumerate(METHODS):
        gains = [difference(cells[method], cells["random"]) for cells in found.values()]
        axis.errorbar(
            [gain.mean for gain in gains],
            [y + 0.16 * (2 * place - 1) for y in range(len(found))],
            xerr=[gain.half_width for gain in gains],
            **styles[method] | {"linestyle": "", "markersize": 7},
            label=method,
        )
    labels = [condition.replace("-wrong", ",\nwrong").replace("-", " ") for condition in found]
    axis.set_yticks(range(len(found)), labels)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set(title=name, xlabel="points gained over random")
axes[0].invert_yaxis()
axes[0].legend(frameon=False, loc="center")
