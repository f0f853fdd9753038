"""Where the time went, as stacked bars."""

from statistics import mean

from spectral_select.integrations.report.costs import cost_of
from spectral_select.integrations.report.figures.drawing import Picture, new_figure, tidy, to_png
from spectral_select.integrations.report.sections import Section

__all__ = ["draw_costs"]

# Of different lightness, so that they differ in grey too.
_KINDS = {
    "features": ("#cc79a7", "features"),
    "reference": ("#e69f00", "reference model"),
    "precompute": ("#009e73", "computed beforehand"),
    "waiting": ("#d55e00", "waiting for selection"),
    "rest": ("#56b4e9", "rest of training"),
}


def draw_costs(section: Section, prefix: str) -> Picture:
    """Draw the charged seconds of each method by kind.

    Parameters
    ----------
    section : Section
        The runs.
    prefix : str
        Beginning of the file name.

    Returns
    -------
    Picture
    """
    methods = list(section.runs)
    parts: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    unknown = []
    for method, runs in section.runs.items():
        costs = [cost_of(run) for run in runs]
        waiting = mean(run.total("waiting") for run in runs)
        parts["features"].append(mean(cost.features or 0.0 for cost in costs))
        parts["reference"].append(mean(cost.reference or 0.0 for cost in costs))
        parts["precompute"].append(mean(cost.precompute for cost in costs))
        parts["waiting"].append(waiting)
        parts["rest"].append(max(mean(cost.training for cost in costs) - waiting, 0.0))
        if any(cost.total is None for cost in costs):
            unknown.append(method)
    figure = new_figure(5.4, 1.6 + 0.3 * len(methods))
    axis = figure.subplots()
    left = [0.0] * len(methods)
    for kind, (color, label) in _KINDS.items():
        if any(parts[kind]):
            axis.barh(methods, parts[kind], left=left, color=color, label=label, height=0.7)
            left = [a + b for a, b in zip(left, parts[kind], strict=True)]
    axis.invert_yaxis()
    axis.set(xlabel="seconds, mean over the seeds")
    tidy([axis])
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    totals = "; ".join(f"{m} {s:.3g} s" for m, s in zip(methods, left, strict=True))
    missing = f" Not all costs are known of: {', '.join(unknown)}." if unknown else ""
    return Picture(
        f"{prefix}-costs.png",
        to_png(figure),
        f"Stacked bars of charged seconds by method: {totals}.{missing}",
        f"Charged seconds, nothing amortized.{missing}",
    )
