"""Final test accuracy by method, as dots with confidence intervals."""

from spectral_select.integrations.report.figures.drawing import (
    Picture,
    drawn_name,
    limits_around,
    method_styles,
    new_figure,
    tidy,
    to_png,
)
from spectral_select.integrations.report.run_groups import RunGroup, final_test_accuracy

__all__ = ["draw_final_accuracy"]


def draw_final_accuracy(group: RunGroup, prefix: str) -> Picture:
    """Draw the final test accuracy of each method with its 95% confidence interval.

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
    figure = new_figure(5.4, max(1.4 + 0.3 * len(group.runs), 2.4))
    axis = figure.subplots()
    texts, values = [], []
    styles = method_styles(list(group.runs))
    for place, (method, runs) in enumerate(group.runs.items()):
        interval = group.mean(method, final_test_accuracy)
        if interval is None:
            continue
        style = styles[method]
        by_seed = [100 * value for value in map(final_test_accuracy, runs) if value is not None]
        values += by_seed
        if len(by_seed) > 1:
            rings = {"markerfacecolor": "none", "markersize": 4, "alpha": 0.7}
            axis.plot(by_seed, [place + 0.3] * len(by_seed), "o", color=style["color"], **rings)
        axis.errorbar(
            100 * interval.mean,
            place,
            xerr=None if interval.half_width is None else 100 * interval.half_width,
            color=style["color"],
            marker=style["marker"],
            markersize=7,
            capsize=4,
        )
        texts.append(f"{method} {interval.format(1, scale=100)}%")
    axis.set_yticks(range(len(group.runs)), list(map(drawn_name, group.runs)))
    axis.invert_yaxis()
    axis.set(xlabel="test accuracy (%)")
    axis.set_xlim(limits_around(values, axis.get_xlim()))
    tidy([axis])
    return Picture(
        f"{prefix}-final-accuracy.png",
        to_png(figure),
        f"Dot plot of final test accuracy by method: {'; '.join(texts)}.",
        "Final test accuracy: mean with 95% confidence interval, and a small ring for each seed. "
        "The table lists intervals that extend beyond the axis.",
    )
