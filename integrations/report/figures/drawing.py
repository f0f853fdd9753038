"""Colors, markers and axes shared by all figures, and the record of a drawn figure."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from typing import Any, TypeAlias

__all__ = [
    "LineStyle",
    "Picture",
    "drawn_name",
    "limits_around",
    "method_styles",
    "new_figure",
    "tidy",
    "to_png",
]

# Okabe and Ito's palette, whose colors are distinguishable with any color vision. Gray and wine
# replace its yellow, which is too light for lines.
_COLORS = (
    *("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#7f7f7f"),
    *("#56b4e9", "#882255"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "d", "p")
_LINE_STYLES = ("-", "--", ":")
# These methods look the same in every figure. The others take the remaining styles.
_FIXED = (
    *("full", "guided", "fiedler", "stratified", "jest", "infobatch", "random"),
    *("turns", "label-free"),
)
_LONGEST = 40  # characters of a name; the text next to a figure has the full name


#: Keyword arguments of matplotlib's ``plot``.
LineStyle: TypeAlias = dict[str, str | float]


@dataclass(frozen=True)
class Picture:
    """A drawn figure with its alt text and caption.

    Attributes
    ----------
    name : str
        File name.
    png : bytes
        The figure.
    alt : str
        Alt text.
    caption : str
        Caption.
    inline : bytes, optional
        A smaller JPEG for the page.
    """

    name: str
    png: bytes
    alt: str
    caption: str
    inline: bytes | None = None

    @property
    def data_uri(self) -> str:
        """The figure as a data URI for an ``img`` element."""
        kind, data = ("png", self.png) if self.inline is None else ("jpeg", self.inline)
        return f"data:image/{kind};base64,{b64encode(data).decode()}"


def method_styles(methods: Sequence[str]) -> dict[str, LineStyle]:
    """Return the color, marker and line style of each method.

    The methods that most figures compare have fixed styles. All others are assigned styles with
    broken lines, in the order given.

    Examples
    --------
    >>> styles = method_styles(["mine", "guided", "random"])
    >>> styles["guided"] == method_styles(["guided"])["guided"]
    True
    >>> styles["mine"]["linestyle"]
    '--'
    """
    places = {name: place for place, name in enumerate(_FIXED)}
    for name in methods:
        places.setdefault(name, len(places))
    return {name: _style(places[name]) for name in methods}


def _style(place: int) -> LineStyle:
    turn = place // len(_COLORS)
    return {
        "color": _COLORS[place % len(_COLORS)],
        "marker": _MARKERS[(place + turn) % len(_MARKERS)],
        "linestyle": _LINE_STYLES[turn % len(_LINE_STYLES)],
        "markersize": 4,
        "linewidth": 1.6,
    }


def new_figure(width: float, height: float) -> Any:
    """Return a figure of `width` × `height` inches, without the global state of pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def drawn_name(name: str) -> str:
    """Shorten a name for a figure, and replace control characters.

    Examples
    --------
    >>> drawn_name("x" * 50)
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'
    """
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def tidy(axes: Sequence[Any]) -> None:
    """Add a light grid and remove the top and right spines."""
    for axis in axes:
        axis.grid(visible=True, alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)


def limits_around(values: Sequence[float], limits: tuple[float, float]) -> tuple[float, float]:
    """Return accuracy limits (%) that may cut off confidence intervals, but not values.

    The interval for two seeds can be many times as wide as the range of the values.
    """
    known = [value for value in values if isfinite(value)]
    if not known:
        return limits
    margin = max(2.0, 0.6 * (max(known) - min(known)))
    return max(limits[0], min(known) - margin, -1), min(limits[1], max(known) + margin, 101)


def to_png(figure: Any, *, dpi: int = 160) -> bytes:
    """Return a figure as PNG."""
    from matplotlib.text import Text

    # Parse only tick labels of log axes as formulas, because names may contain dollar signs.
    powers = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if axis.get_scale() == "log"
        for label in axis.get_ticklabels(which="both")
    }
    for text in set(figure.findobj(Text)) - powers:
        text.set_parse_math(False)
    buffer = BytesIO()
    # Omit matplotlib's version, so that equal figures produce equal files.
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
