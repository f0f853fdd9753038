"""Reading results.json, and refusing what is none before anything is drawn from it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectral_select._utils.atomic_files import read_json_object

__all__ = ["FORMAT", "PARTS", "check_results", "read_results"]

FORMAT = "spectral_select training results 1"

#: The parts of a dataset that a network is measured on.
PARTS = ("train", "val", "test")

_EXPECTED = "expected the folder of a run, as spectral-select train writes it"
_NUMBER = (int, float)
_MAYBE = (int, float, type(None))
_MEASURED = {"accuracy": _MAYBE, "loss": _MAYBE}
_EPOCH = {
    "steps": _NUMBER,
    "samples": _NUMBER,
    "loss": _MAYBE,
    "accuracy": _MAYBE,
    "seconds": dict.fromkeys(("total", "selection", "waiting", "loading"), _NUMBER),
    "val": _MEASURED,
    "test": _MEASURED,
}
_RUN = {"method": str, "seed": int, "needs": [str], "status": str, "history": [_EPOCH]}
_RESULTS = {
    "status": str,
    "seeds": [int],
    "config": dict,
    "data": {"name": str},
    "features": {"seconds": _MAYBE},
    "runs": [_RUN],
}


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the results in a ``results.json`` or in the folder of a run.

    Parameters
    ----------
    path : path
        The file or the folder.

    Returns
    -------
    dict
        Its content, checked as far as tables and pictures read it.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is not what `spectral-select train` writes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "results.json").write_text('{"status": "complete"}')
    ...     read_results(folder)
    Traceback (most recent call last):
        ...
    ValueError: ...results.json ...
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no run {path}; {_EXPECTED}")
    if path.is_dir():
        path = _results_in(path)
    results = read_json_object(path)
    try:
        check_results(results)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    return results


def _results_in(folder: Path) -> Path:
    path = folder / "results.json"
    if not path.exists():
        runs = [os.fspath(found.parent) for found in sorted(folder.glob("*/results.json"))]
        hint = f"; did you mean {' or '.join(runs[:3])}?" if runs else ""
        raise FileNotFoundError(f"{folder} holds no results.json; {_EXPECTED}{hint}")
    return path


def check_results(results: Mapping[str, Any]) -> None:
    """Raise ValueError if `results` lack what tables and pictures are made of.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.

    Examples
    --------
    >>> check_results({"format": FORMAT, "status": "complete", "seeds": "all"})
    Traceback (most recent call last):
    ...
    ValueError: has 'all' for seeds; expected a list
    """
    if results.get("format") != FORMAT:
        raise ValueError(f"has format {results.get('format')!r}; expected {FORMAT!r}")
    _expect(results, _RESULTS, "")
    for place, run in enumerate(results["runs"]):
        where = f"runs[{place}]"
        if run.get("final") is not None:
            _expect(run["final"], {"val": _MEASURED, "test": _MEASURED}, f"{where}.final")
        if run.get("precompute_seconds") is not None:
            _check_type(run["precompute_seconds"], _NUMBER, f"{where}.precompute_seconds")
    if results.get("reference") is not None:
        _expect(results["reference"], {"seconds": _MAYBE}, "reference")


def _expect(value: Any, schema: Any, where: str) -> None:
    """Compare a value with nested dicts and lists of types; tell the first that is unlike."""
    if isinstance(schema, dict):
        _check_type(value, dict, where)
        for key, inner in schema.items():
            name = f"{where}.{key}" if where else key
            if key not in value:
                raise ValueError(f"lacks {name}")
            _expect(value[key], inner, name)
    elif isinstance(schema, list):
        _check_type(value, list, where)
        for place, item in enumerate(value):
            _expect(item, schema[0], f"{where}[{place}]")
    else:
        _check_type(value, schema, where)


_NAMES = {dict: "an object", list: "a list", str: "a text", int: "an integer"}


def _check_type(value: Any, kind: Any, where: str) -> None:
    # Beyond 1e100 no picture has axes; training that diverges ends at 1e38.
    drawable = not isinstance(value, int | float) or abs(value) < 1e100
    if isinstance(value, kind) and not isinstance(value, bool) and drawable:
        return
    expected = "a finite number or null" if kind == _MAYBE else _NAMES.get(kind, "a finite number")
    shown = repr(value) if len(repr(value)) <= 40 else f"a {type(value).__name__}"
    raise ValueError(f"has {shown} for {where}; expected {expected}")
