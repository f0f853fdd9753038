"""Tables and a figure of a comparison, created only from its results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from _harness import table

from spectral_select.integrations.report.figures.drawing import (
    method_styles,
    new_figure,
    tidy,
    to_png,
)
from spectral_select.integrations.report.intervals import (
    Interval,
    mean_interval,
    paired_difference,
)

__all__ = ["BASELINES", "difference", "draw", "sections", "tables"]

BASELINES = ("random", "full", "jest", "infobatch")
_FARTHEST = 12.0  # in points; larger differences are drawn at this distance, with an arrowhead

Cell = Mapping[str, Any]


def sections(results: Mapping[str, Any]) -> Iterator[tuple[str, float, str, dict[str, Cell]]]:
    """Yield each combination of condition, kept share and budget, with its cells by method.

    If a method trains in the same way under several budgets, its cell is part of the section of
    each of these budgets.
    """
    settings = results["plan"]
    for condition in settings["conditions"]:
        for share in settings["shares"]:
            for budget in settings["budgets"]:
                found = {
                    cell["method"]: cell
                    for cell in results["cells"]
                    if (cell["condition"], cell["share"]) == (condition, share)
                    and budget in cell["budgets"]
                }
                if found:
                    yield condition, share, budget, found


def difference(ours: Cell, theirs: Cell, what: str = "accuracy") -> Interval | None:
    """Return the mean difference in percentage points over shared seeds, and its 95% interval."""
    a, b = (
        {seed: 100 * value for seed, value in zip(cell["seeds"], cell[what], strict=True)}
        for cell in (ours, theirs)
    )
    return paired_difference(a, b)


def tables(results: Mapping[str, Any], baselines: Sequence[str] = BASELINES) -> str:
    """Return a table for every condition, kept share and budget, as text."""
    texts = [_heading(results)]
    for condition, share, budget, cells in sections(results):
        shown = [name for name in baselines if name in cells]
        unit = _mean(cells["random"], "samples") if "random" in cells else None
        rows = [
            [
                "method",
                "accuracy, %",
                *(f"- {name}" for name in shown),
                "balanced, %",
                "worst class, %",
                "seen, %",
                "steps",
                "samples",
                "cost" + (" / random's" if unit else ""),
                "once" + (" / random's" if unit else ""),
                "selection, ms/step",
                "before, s",
                "lr",
            ]
        ]
        for method, cell in cells.items():
            costs = [_mean(cell, key) / (unit or 1) for key in ("cost", "one_off")]
            chosen = 1e3 * _mean(cell, "selection_seconds") / _mean(cell, "steps")
            rows.append(
                [
                    method,
                    _interval(mean_interval(100 * value for value in cell["accuracy"])),
                    *(
                        _interval(difference(cell, cells[name]), signed=True)
                        if name != method
                        else ""
                        for name in shown
                    ),
                    *(f"{100 * _mean(cell, key):.1f}" for key in ("balanced", "worst", "seen")),
                    *(f"{_mean(cell, key):,.0f}" for key in ("steps", "samples")),
                    *(f"{cost:.2f}" for cost in costs),
                    f"{chosen:.2f}",
                    f"{_mean(cell, 'precompute_seconds'):.2f}",
                    f"{cell['lr']:g}" + ("*" if cell["lr_at_edge"] else ""),
                ]
            )
        texts.append(f"{condition}, {share:.0%} kept, equal {budget}\n\n{table(rows)}")
    texts += [
        f"{cell['method']} is missing for {cell['condition']}, {cell['share']:.0%} kept, equal "
        f"{', '.join(cell['budgets'])}: {cell['reason']}."
        for cell in results["left_out"]
    ]
    texts.append(
        "Means over seeds, ± the half-width of the 95% t-interval. Differences are paired by\n"
        "seed, in points. Cost and one-off cost are computed by the cost model. Selection times,\n"
        "per step (without forward passes) and before the first step, are measured. A star marks\n"
        "a best learning rate at the edge of the grid."
    )
    return "\n\n".join(texts)


def draw(results: Mapping[str, Any], baseline: str = "random") -> bytes:
    """Return a PNG of each method's paired difference from a baseline, by condition and budget."""
    plan = results["plan"]
    conditions, budgets, shares = plan["conditions"], plan["budgets"], plan["shares"]
    methods = [name for name in plan["methods"] if name != baseline]
    figure = new_figure(
        2.2 + 2.5 * len(conditions), 1.2 + len(budgets) * (0.6 + 0.2 * len(methods))
    )
    axes = figure.subplots(len(budgets), len(conditions), sharex=True, sharey=True, squeeze=False)
    lowest = highest = 0.0
    styles = method_styles(plan["methods"])
    for condition, share, budget, cells in sections(results):
        if baseline not in cells:
            continue
        axis = axes[budgets.index(budget), conditions.index(condition)]
        place = shares.index(share)
        for method, cell in cells.items():
            found = None if method == baseline else difference(cell, cells[baseline])
            if found is None:
                continue
            style = styles[method] | {"linestyle": ""} | _share_style(place)
            y = methods.index(method) + 0.5 * ((place + 0.5) / len(shares) - 0.5)
            if abs(found.mean) > _FARTHEST:
                edge = -_FARTHEST if found.mean < 0 else _FARTHEST
                axis.plot(edge, y, **style | {"marker": "<" if edge < 0 else ">"})
                found = Interval(edge, None, 1)
            else:
                axis.errorbar(found.mean, y, xerr=found.half_width, capsize=2, **style)
            lowest = min(lowest, found.mean - (found.half_width or 0.0))
            highest = max(highest, found.mean + (found.half_width or 0.0))
    for row, budget in zip(axes, budgets, strict=True):
        row[0].set_ylabel(f"equal {budget}")
    for axis, condition in zip(axes[0], conditions, strict=True):
        axis.set_title(condition.replace("-wrong", ",\nwrong"), fontsize=10)
    for axis in axes.flat:
        axis.axvline(0, color="black", linewidth=0.8)
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    axes[0, 0].set_xlim(max(lowest, -_FARTHEST) - 0.5, min(highest, _FARTHEST) + 0.5)
    axes[0, 0].locator_params(axis="x", nbins=5)
    tidy(list(axes.flat))
    for axis in axes[-1]:
        axis.set_xlabel(f"points gained over {baseline}")
    for place, share in enumerate(shares):
        style = {"color": "black", "marker": "o", "linestyle": ""} | _share_style(place)
        axes[0, 0].plot([], [], **style, label=f"{share:.0%} kept")
    figure.legend(loc="outside lower center", ncols=len(shares), frameon=False)
    heading = _heading(results).replace("; ", ";\n")
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10)
    return to_png(figure, dpi=110)


def _share_style(place: int) -> dict[str, Any]:
    """Return the marker of a kept share; the color shows the method."""
    return {} if place == 0 else {"markerfacecolor": "white", "alpha": 1 / place**0.5}


def _heading(results: Mapping[str, Any]) -> str:
    data, settings = results["data"], results["settings"]
    text = (
        f"{data['name']}: {data['n_train']:,} training samples, {data['n_test']:,} test, "
        f"{data['n_classes']} classes; heads on {data['dim']}-d features, "
        f"{settings['epochs']} epochs, {settings['candidate_size']} candidates"
    )
    return text + (" (incomplete)" if results["status"] != "complete" else "")


def _mean(cell: Cell, key: str) -> float:
    found = mean_interval(cell[key])
    return float("nan") if found is None else found.mean


def _interval(found: Interval | None, *, signed: bool = False) -> str:
    return "" if found is None else found.format(2, signed=signed)
