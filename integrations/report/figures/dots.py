"""Where the methods ended, one under the other, with intervals."""

from spectral_select.integrations.report.figures.drawing import (
    Picture,
    new_figure,
    style_of,
    tidy,
    to_png,
)
from spectral_select.integrations.report.sections import Section

__all__ = ["draw_ends"]


def draw_ends(section: Section, prefix: str) -> Picture:
    """Draw each method's test accuracy after training with its 95% interval.

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
    figure = new_figure(5.4, max(1.4 + 0.3 * len(section.runs), 2.4))
    axis = figure.subplots()
    said, ends = [], []
    for place, method in enumerate(section.runs):
        own = [run.measured("test", "accuracy") for run in section.runs[method]]
        found = section.mean(method, lambda run: run.measured("test", "accuracy"))
        style = style_of(place)
        if found is None:
            continue
        seeds = [100 * value for value in own if value is not None]
        ends += seeds
        if len(seeds) > 1:
            hollow = {"markerfacecolor": "none", "markersize": 4, "alpha": 0.7}
            axis.plot(seeds, [place + 0.3] * len(seeds), "o", color=style["color"], **hollow)
        half = None if found.half_width is None else 100 * found.half_width
        axis.errorbar(
            100 * found.mean,
            place,
            xerr=half,
            color=style["color"],
            marker=style["marker"],
            markersize=7,
            capsize=4,
        )
        said.append(f"{method} {found.format(1, scale=100)}%")
    axis.set_yticks(range(len(section.runs)), list(section.runs))
    axis.invert_yaxis()
    axis.set(xlabel="test accuracy (%)")
    if ends:  # an interval of two seeds leads far outside
        margin = max(2.0, 0.6 * (max(ends) - min(ends)))
        low, high = axis.get_xlim()
        axis.set_xlim(max(low, min(ends) - margin, -1), min(high, max(ends) + margin, 101))
    tidy([axis])
    return Picture(
        f"{prefix}-ends.png",
        to_png(figure),
        f"Dot plot of test accuracy after training by method: {'; '.join(said)}.",
        "Test accuracy after training: mean with its 95% interval, a small ring for every seed. "
        "Intervals that leave the picture are in the table.",
    )
