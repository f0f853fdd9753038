"""Suggestions for names that do not exist, in error messages."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return a question that suggests the known names closest to `name`, or `otherwise`.

    Examples
    --------
    >>> did_you_mean("resnet5", ["resnet50", "resnet18", "vgg16"])
    'did you mean resnet50 or resnet18?'
    >>> did_you_mean("clip", ["vgg16"], "see the documentation")
    'see the documentation'
    """
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else otherwise
