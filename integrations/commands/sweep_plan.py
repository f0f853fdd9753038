"""Read the runs of a sweep from a TOML file: methods × seeds × filter ratios."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectral_select._selectors.ratio import check_filter_ratio
from spectral_select.integrations.methods import FEATURES, REFERENCE, check_methods, get_method

__all__ = ["Plan", "Run", "read_plan"]

Options = Mapping[str, Any]  # a table of the TOML file

_KEYS = ("dataset", "methods", "seeds", "filter_ratios")
# Options that the sweep sets itself.
_OWN = ("out", "methods", "seeds", "filter_ratio", "resume", "progress", "help", "debug")


@dataclass(frozen=True)
class Run:
    """One training run: a method, a seed, and a filter ratio if the method depends on it.

    Attributes
    ----------
    method : str
        The method with its options.
    seed : int
    ratios : tuple of float
        The filter ratios that this run covers: all ratios if the run does not depend on them.
    arguments : tuple of str
        Arguments for `spectral-select train`, without the output folder and shared inputs.
    folder : str
        Folder for its results, relative to the sweep's folder.
    needs : frozenset of str
        The inputs that the method needs, out of `FEATURES` and `REFERENCE`.
    """

    method: str
    seed: int
    ratios: tuple[float, ...]
    arguments: tuple[str, ...]
    folder: str
    needs: frozenset[str]


@dataclass(frozen=True)
class Plan:
    """The content of a sweep file.

    Attributes
    ----------
    filter_ratios : tuple of float
    seeds : tuple of int
    methods : tuple of str
    runs : tuple of Run
        In the order to start them: runs that need features or a reference model come first.
    with_own_options : frozenset of str
        The methods that have a table ``[method."NAME"]``.
    """

    filter_ratios: tuple[float, ...]
    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    runs: tuple[Run, ...]
    with_own_options: frozenset[str]


def read_plan(path: Path) -> Plan:
    """Read and check a sweep file.

    Parameters
    ----------
    path : Path
        A TOML file: a table ``[sweep]`` with ``dataset``, ``methods``, ``seeds`` and
        ``filter_ratios``, a table ``[train]`` with options of ``spectral-select train``,
        and tables ``[method."NAME"]`` with options for that method only.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is not TOML, or a key or value is missing, unknown or out of range.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    _only(content, ("sweep", "train", "method"), f"{path}: tables")
    sweep = _table(content, "sweep", path)
    _only(sweep, _KEYS, f"{path}: [sweep]")
    missing = [key for key in ("dataset", "methods") if key not in sweep]
    if missing:
        raise ValueError(f"{path}: [sweep] lacks {' and '.join(missing)}")
    if not isinstance(sweep["dataset"], str):
        raise ValueError(f"{path}: dataset must be a string; got {sweep['dataset']!r}")
    methods = tuple(m.spec for m in check_methods(_texts(sweep["methods"], "methods", path)))
    seeds = _seeds(sweep.get("seeds", [0]), path)
    ratios = _ratios(sweep.get("filter_ratios", [0.8]), path)
    train = _table(content, "train", path)
    own = _table(content, "method", path)
    common = _arguments(train, f"{path}: [train]")
    strange = [name for name in own if get_method(name).spec not in methods]
    if strange:
        raise ValueError(
            f"{path}: [method.{strange[0]!r}] is not one of the methods: {', '.join(methods)}"
        )
    extra = {
        get_method(name).spec: _arguments(_table(own, name, path), f"{path}: [method.{name!r}]")
        for name in own
    }
    runs = []
    for seed in seeds:
        for spec in methods:
            given = ("--methods", spec, "--seeds", str(seed), *common, *extra.get(spec, ()))
            for ratio in ratios if _depends(spec) else (None,):
                runs.append(_run(sweep["dataset"], given, spec, seed, ratio, ratios))
    runs.sort(key=lambda run: -len(run.needs))
    return Plan(ratios, seeds, methods, tuple(runs), frozenset(extra))


def _run(
    dataset: str,
    given: tuple[str, ...],
    spec: str,
    seed: int,
    ratio: float | None,
    ratios: tuple[float, ...],
) -> Run:
    name = re.sub(r"[^A-Za-z0-9.=_-]+", "-", spec)
    if ratio is not None:
        given, name, ratios = (*given, f"--filter-ratio={ratio!r}"), f"{name}-f{ratio:g}", (ratio,)
    needs = get_method(spec).needs & {FEATURES, REFERENCE}
    return Run(spec, seed, ratios, (dataset, *given), f"runs/{name}-seed{seed}", needs)


def _depends(spec: str) -> bool:
    """Return whether a method's training depends on the filter ratio."""
    method = get_method(spec)
    # Comparing two ratios shows the dependence, whatever the number of epochs.
    first, second = ((method.schedule(f, 4), method.step_fraction(1 - f)) for f in (0.25, 0.75))
    return first != second


def _arguments(options: Options, where: str) -> tuple[str, ...]:
    """Convert the options in a TOML table to command-line arguments."""
    arguments: list[str] = []
    for key, value in options.items():
        name = key.replace("-", "_")
        if name in _OWN:
            raise ValueError(f"{where}: {key} is set by the sweep; remove it")
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(flag if value else "--no-" + flag[2:])
        elif isinstance(value, int | float | str):
            arguments.append(f"{flag}={value}")
        else:
            raise ValueError(f"{where}: {key} must be a string, number or boolean; got {value!r}")
    return tuple(arguments)


def _only(table: Options, allowed: tuple[str, ...], what: str) -> None:
    strange = [key for key in table if key not in allowed]
    if strange:
        raise ValueError(f"{what} may contain {', '.join(allowed)}; got {strange[0]!r}")


def _table(content: Options, key: str, path: Path) -> Options:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{path}: {key} must be a table; got {table!r}")
    return table


def _texts(values: Any, name: str, path: Path) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{path}: {name} must be a list of strings; got {values!r}")
    return values


def _seeds(values: Any, path: Path) -> tuple[int, ...]:
    whole = isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)
    if not whole or not values or len(set(values)) != len(values):
        raise ValueError(
            f"{path}: seeds must be a list of distinct nonnegative integers; got {values!r}"
        )
    return tuple(values)


def _ratios(values: Any, path: Path) -> tuple[float, ...]:
    numbers = isinstance(values, list) and all(type(v) in (int, float) for v in values)
    if not numbers or not values or len(set(values)) != len(values):
        raise ValueError(
            f"{path}: filter_ratios must be a list of distinct numbers; got {values!r}"
        )
    return tuple(check_filter_ratio(value, "filter_ratios") for value in values)
