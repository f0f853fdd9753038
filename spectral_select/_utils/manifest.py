"""Record what a stored result depends on, and describe how two records differ."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Manifest"]

_LONGEST = 40
_MISSING = object()


@dataclass(frozen=True)
class Manifest:
    """What a stored result depends on.

    The result may be resumed or reused only if its manifest matches the current one.

    Parameters
    ----------
    content : mapping
        Any JSON-serializable mapping. It is converted to JSON and back, so tuples, for example,
        become lists.
    names : mapping of str to str, optional
        Human-readable names for keys, used in messages.

    Examples
    --------
    >>> saved = Manifest({"config": {"lr": 0.1, "epochs": 3}})
    >>> saved.diff(Manifest({"config": {"lr": 0.2, "epochs": 3}}))
    ['config.lr was 0.1, is now 0.2']
    """

    content: Mapping[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", json.loads(json.dumps(self.content)))

    def diff(self, wanted: "Manifest", *, shared_only: bool = False) -> list[str]:
        """Describe the differences from `wanted`, one string per differing entry.

        Parameters
        ----------
        wanted : Manifest
            The manifest of the current call.
        shared_only : bool, default=False
            Whether to ignore top-level keys that appear in only one of the two manifests.
        """
        first, second = dict(_flat(self.content)), dict(_flat(wanted.content))
        keys = [key for key in first | second if first.get(key) != second.get(key)]
        if shared_only:
            shared = self.content.keys() & wanted.content.keys()
            keys = [key for key in keys if key.partition(".")[0] in shared]
        return [
            f"{self.names.get(key, key)} was {_short(first.get(key, _MISSING))}, "
            f"is now {_short(second.get(key, _MISSING))}"
            for key in keys
        ]


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(value: Any) -> str:
    if value is _MISSING:
        return "missing"
    if isinstance(value, list):
        return " ".join(map(_short, value)) or "empty"
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > _LONGEST else str(value)
