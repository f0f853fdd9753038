"""Write JSON files atomically; read them, rejecting values that cannot be displayed."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectral_select._utils.atomic_files import write_atomically

__all__ = ["read_json_object", "write_json_atomically"]

# Far deeper than any file this project writes, but not deep enough to overflow Python's stack.
_MAX_DEPTH = 50


def write_json_atomically(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write `content` as JSON to `path`, atomically."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the JSON object in `path`.

    Raises
    ------
    ValueError
        If the file does not contain a JSON object, has more than 50 levels of nesting, or holds a
        number that is not finite or exceeds 64 bits. The message names the file and the key.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:  # ValueError also for a 5,000-digit integer
        raise ValueError(f"{path} is not JSON ({error}); it is damaged") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a JSON object")
    pending: list[tuple[str, int, Any]] = [("", 0, content)]
    while pending:
        where, depth, value = pending.pop()
        if isinstance(value, dict):
            pending += [(f"{where}.{k}" if where else k, depth + 1, v) for k, v in value.items()]
        elif isinstance(value, list):
            pending += [(f"{where}[{i}]", depth + 1, item) for i, item in enumerate(value)]
        _check(path, where, value, depth)
    return content


def _check(path: str | os.PathLike[str], where: str, value: Any, depth: int) -> None:
    """Raise if `value` could not be displayed, stored or traversed."""
    wrong = ""
    if depth > _MAX_DEPTH:
        wrong = f"more than {_MAX_DEPTH} levels of nesting"
    elif isinstance(value, float) and not math.isfinite(value):
        wrong = f"{value} for {where}; expected a finite number"
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        wrong = f"an integer beyond 64 bits for {where}"
    if wrong:
        raise ValueError(f"{path} has {wrong[:200]}; it is damaged")
