"""Draw the gain over a random fifth, for README and the start page.

python docs/figures/gains.py    # writes docs/results/gains.png
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from _accuracy_report import difference, sections  # noqa: E402

from spectral_select.integrations.report.figures.drawing import (  # noqa: E402
    method_styles,
    new_figure,
    tidy,
    to_png,
)

METHODS = ("guided", "turns", "infobatch", "full")
DATA = {"Caltech-101": "heads_caltech-101", "CIFAR-10": "heads_cifar-10"}
CONDITIONS = {
    "as-is": "as is",
    "long-tailed": "long tail",
    "redundant": "near-copies",
    "instance-wrong-labels": "wrong labels,\nsimilar classes",
    "wrong-labels": "wrong labels,\nat random",
}


def main() -> None:
    """Draw the picture from the committed results."""
    figure = new_figure(10, 2.6)
    axes = figure.subplots(1, 2)
    styles = method_styles(METHODS)
    for axis, (title, file) in zip(axes, DATA.items(), strict=True):
        results = json.loads((ROOT / f"benchmarks/results/{file}.json").read_text(encoding="utf-8"))
        found = {name: cells for name, share, _, cells in sections(results) if share == 0.2}
        for number, method in enumerate(METHODS):
            style = styles[method] | {"linestyle": "", "markersize": 6}
            gains = [difference(found[name][method], found[name]["random"]) for name in CONDITIONS]
            axis.errorbar(
                [place + 0.16 * (number - 1.5) for place in range(len(gains))],
                [gain.mean for gain in gains],
                yerr=[gain.half_width for gain in gains],
                capsize=2,
                label=f"{method}, five times the cost" if method == "full" else method,
                **style,
            )
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(range(len(CONDITIONS)), CONDITIONS.values(), fontsize=8)
        axis.set_title(title)
    axes[0].set_ylabel("points over a random fifth")
    tidy(list(axes))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(METHODS), frameon=False)
    (ROOT / "docs/results/gains.png").write_bytes(to_png(figure, dpi=110))


if __name__ == "__main__":
    main()
