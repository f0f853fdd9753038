"""How pictures look: colors, marks, axes; and what a picture is."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

__all__ = ["Picture", "new_figure", "style_of", "tidy", "to_png"]

# Okabe and Ito's colors, which readers with any color vision tell apart.
_COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", ":")


@dataclass(frozen=True)
class Picture:
    """A picture with what is said of it.

    Attributes
    ----------
    name : str
        Name of its file.
    png : bytes
        The picture.
    alt : str
        What it shows, for those who do not see it.
    caption : str
        What stands below it.
    inline : bytes, optional
        A smaller JPEG of it, for the page.
    """

    name: str
    png: bytes
    alt: str
    caption: str
    inline: bytes | None = None


def style_of(place: int) -> dict[str, Any]:
    """Return color, mark and line of the method at `place`; 7 colors, then other lines."""
    turn = place // len(_COLOURS)
    return {
        "color": _COLOURS[place % len(_COLOURS)],
        "marker": _MARKS[(place + turn) % len(_MARKS)],
        "linestyle": _LINES[turn % len(_LINES)],
        "markersize": 4,
        "linewidth": 1.6,
    }


def new_figure(width: float, height: float) -> Any:
    """Return a figure of `width` × `height` inches; without pyplot: no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Sequence[Any]) -> None:
    """Give axes a light grid and take their frame away."""
    for axis in axes:
        axis.grid(visible=True, alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)


def to_png(figure: Any, *, dpi: int = 160) -> bytes:
    """Return a figure as PNG."""
    buffer = BytesIO()
    # Without the date and version that matplotlib adds, the same figure is the same file.
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
