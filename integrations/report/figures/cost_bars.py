"""Stacked bars of the costs by method and kind."""

from statistics import mean

from spectral_select.integrations.report.costs import cost_of
from spectral_select.integrations.report.figures.drawing import (
    Picture,
    drawn_name,
    new_figure,
    tidy,
    to_png,
)
from spectral_select.integrations.report.run_groups import Run, RunGroup

__all__ = ["draw_costs"]

# The colors differ in lightness, so that the bars are distinguishable in gray.
_KINDS = {
    "features": "#cc79a7",
    "reference model": "#e69f00",
    "before training": "#009e73",
    "selection wait": "#d55e00",
    "rest of training": "#56b4e9",
}


def draw_costs(group: RunGroup, prefix: str) -> Picture:
    """Draw each method's cost in seconds by kind.

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
    methods = list(group.runs)
    bars = [_mean_seconds(runs) for runs in group.runs.values()]
    figure = new_figure(5.4, 1.6 + 0.3 * len(methods))
    axis = figure.subplots()
    left = [0.0] * len(methods)
    for (kind, color), widths in zip(_KINDS.items(), zip(*bars, strict=True), strict=True):
        if any(widths):
            axis.barh(range(len(methods)), widths, left=left, color=color, label=kind, height=0.7)
            left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.set_yticks(range(len(methods)), list(map(drawn_name, methods)))
    axis.invert_yaxis()
    axis.set(xlabel="seconds, averaged over the seeds", xlim=(0, None))
    tidy([axis])
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    totals = "; ".join(f"{m} {s:.3g} s" for m, s in zip(methods, left, strict=True))
    unknown = [
        method
        for method, runs in group.runs.items()
        if any(cost_of(run).total is None for run in runs)
    ]
    missing = f" Some costs are unknown for {', '.join(unknown)}." if unknown else ""
    return Picture(
        f"{prefix}-costs.png",
        to_png(figure),
        f"Stacked bars of total cost in seconds by method: {totals}.{missing}",
        f"Total cost by kind, without amortization.{missing}",
    )


def _mean_seconds(runs: list[Run]) -> tuple[float, ...]:
    """Return the mean of the known seconds for each kind, in the order of ``_KINDS``."""
    costs = [cost_of(run) for run in runs]
    waiting = mean(sum(run.seconds("waiting")) for run in runs)
    return (
        mean(cost.features or 0.0 for cost in costs),
        mean(cost.reference or 0.0 for cost in costs),
        mean(cost.precompute for cost in costs),
        waiting,
        max(mean(cost.training for cost in costs) - waiting, 0.0),
    )
