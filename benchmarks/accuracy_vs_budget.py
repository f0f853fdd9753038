"""Does selection pay off? Compare all methods at equal budgets, with small classifiers.

    python benchmarks/accuracy_vs_budget.py digits --out runs/digits.json
    python benchmarks/accuracy_vs_budget.py TRAIN_STORE TEST_STORE --out runs/photos.json
    python benchmarks/accuracy_vs_budget.py --out runs/photos.json --table --plot photos.png

Every method trains network heads on stored embeddings (written by ``spectral-select extract``).
The training data are used unchanged and in conditions that are common in real data
(``_conditions.py``), under four budgets (``_budgets.py``). Learning rates are tuned for every
method, condition, kept share and budget, on a held-out fifth of the training data, with
separate seeds. The reported accuracy is measured after the last step, on test data that are not
used otherwise, for heads trained on all training data. Differences are paired by seed. The seed
determines the changes to the data, the order, the initial weights and all draws.

Each completed run is stored in a file next to the results. To resume, run the same command
again; methods, conditions, shares, rates or seeds may be added. The third form of the command
creates tables and a figure from existing results.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from _accuracy_report import draw, tables
from _accuracy_runs import VALIDATION, Run, RunLog, Workers, config_of, load_data
from _budgets import BUDGETS, canonical
from _conditions import CONDITIONS
from _harness import environment

from spectral_select._utils.atomic_files import write_atomically
from spectral_select._utils.json_files import read_json_object
from spectral_select._utils.progress_bar import progress_bar
from spectral_select.integrations.methods import Method, check_methods, method_names
from spectral_select.integrations.report.intervals import mean_interval

FIRST_TUNING_SEED = 1000
SECONDS_BETWEEN_LINES = 60.0

Key = tuple[str, float, str, str]  # condition, kept share, method, budget


def main(argv: Sequence[str] | None = None) -> int:
    """Execute missing runs, write the results, and show them."""
    parser = _parser()
    options = parser.parse_args(argv)
    for key in ("conditions", "shares", "budgets", "rates"):
        setattr(options, key, list(dict.fromkeys(getattr(options, key))))
    try:
        if options.data:
            return _run(options)
        if not (options.table or options.plot):
            parser.error("data is required (digits, or two embedding stores), or --table or --plot")
        _show(options, read_json_object(options.out))
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> int:
    if options.choose_by and len(options.data) != 2:
        raise ValueError("--choose-by requires two embedding stores, for training and test")
    source = [*options.data, *([options.choose_by] if options.choose_by else [])]
    data = load_data(source, options.name)
    methods = check_methods(options.methods or method_names())
    n_tuning = len(data.labels) - round(VALIDATION * len(data.labels))
    if options.candidate_size > n_tuning:
        raise ValueError(
            f"--candidate-size must be at most {n_tuning}, the number of samples trained on when "
            f"tuning learning rates; got {options.candidate_size}"
        )
    settings = {"epochs": options.epochs, "candidate_size": options.candidate_size}
    cells = _cells(options, methods, settings)
    about = data.describe()
    log = RunLog(options.out.with_suffix(".runs.jsonl"), settings | {"data": about})
    redo = [method.spec for method in check_methods(options.redo)] if options.redo else []
    if redo:
        print(f"removed {log.forget(redo)} runs of {', '.join(redo)} to run them again")
    n_cells = len(cells)
    n_tuned = n_cells * options.tuning_seeds * len(options.rates) * (len(options.rates) > 1)
    n_reported = n_cells * options.seeds
    print(f"{n_tuned} tuning runs and {n_reported} reported runs, in {log.path}", flush=True)
    try:
        with Workers(source, settings, options.jobs) as workers:
            if n_tuned:
                _go_on("tuning", _tuning_runs(cells, options), log, workers)
            best = {key: _best_rate(key, options, log) for key in cells}
            rates = {key: lr for key, lr in best.items() if lr is not None}
            _go_on("reported", _reported_runs(rates, options), log, workers)
        status = "complete"
    except KeyboardInterrupt:
        status = "interrupted"
    results = {
        **environment(),
        "status": status,
        "data": about,
        "settings": settings,
        "plan": {
            "methods": [method.spec for method in methods],
            **{key: getattr(options, key) for key in ("conditions", "shares", "budgets", "rates")},
            "seeds": list(range(options.seeds)),
            "tuning_seeds": _tuning_seeds(options),
        },
        "left_out": _left_out(cells, options, log),
        "cells": _summaries(cells, options, log),
    }
    write_atomically(options.out, lambda file: file.write(_to_json(results).encode()))
    print(f"wrote {options.out}")
    _show(options, results)
    if status == "interrupted":
        print("interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    return 0


def _show(options: argparse.Namespace, results: dict[str, Any]) -> None:
    if options.table:
        print(tables(results))
    if options.plot:
        png = draw(results)
        write_atomically(options.plot, lambda file: file.write(png))
        print(f"wrote {options.plot}")


def _cells(
    options: argparse.Namespace, methods: Iterable[Method], settings: dict[str, Any]
) -> dict[Key, list[str]]:
    """Return the distinct cells to train, with the budgets that each cell covers."""
    cells: dict[Key, list[str]] = {}
    for share in options.shares:
        config = config_of(share, settings)
        for method in methods:
            for budget in options.budgets:
                trained = canonical(method, budget, config)
                for condition in options.conditions:
                    cells.setdefault((condition, share, method.spec, trained), []).append(budget)
    return cells


def _tuning_seeds(options: argparse.Namespace) -> list[int]:
    return list(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + options.tuning_seeds))


def _tuning_runs(cells: Iterable[Key], options: argparse.Namespace) -> list[Run]:
    return [
        Run("validation", condition, seed, share, method, budget, lr)
        for condition, share, method, budget in cells
        for lr in options.rates
        for seed in _tuning_seeds(options)
    ]


def _reported_runs(rates: dict[Key, float], options: argparse.Namespace) -> list[Run]:
    return [
        Run("test", condition, seed, share, method, budget, lr)
        for (condition, share, method, budget), lr in rates.items()
        for seed in range(options.seeds)
    ]


def _tuned(key: Key, options: argparse.Namespace, log: RunLog) -> dict[float, float]:
    """Return the mean validation accuracy by learning rate, if all seeds are complete."""
    found = {}
    for lr in options.rates:
        runs = [run for run in _tuning_runs([key], options) if run.lr == lr]
        values = [log.results.get(run, {}).get("accuracy") for run in runs]
        known = None if None in values else mean_interval(values)
        if known is not None:
            found[lr] = known.mean
    return found


def _best_rate(key: Key, options: argparse.Namespace, log: RunLog) -> float | None:
    """Return the rate with the best validation accuracy, or None if some rates are missing."""
    if len(options.rates) == 1:
        return float(options.rates[0])
    tuned = _tuned(key, options, log)
    return None if len(tuned) < len(options.rates) else max(tuned, key=lambda lr: tuned[lr])


def _go_on(what: str, runs: Sequence[Run], log: RunLog, workers: Workers) -> None:
    """Execute the runs that are not in the log yet."""
    missing = [run for run in runs if run not in log.results]
    begin = last_print = monotonic()
    n_done = 0
    with progress_bar(len(runs), desc=what, unit="runs", initial=len(runs) - len(missing)) as bar:

        def on_end(run: Run, result: dict[str, Any]) -> None:
            nonlocal last_print, n_done
            log.add(run, result)
            bar.update()
            n_done += 1
            if monotonic() - last_print > SECONDS_BETWEEN_LINES and not sys.stderr.isatty():
                last_print = monotonic()
                left = (len(missing) - n_done) * (last_print - begin) / n_done
                print(f"{what}: {n_done} of {len(missing)}, {left / 60:.0f} min left", flush=True)

        workers.run_all(missing, on_end)


def _summaries(
    cells: dict[Key, list[str]], options: argparse.Namespace, log: RunLog
) -> list[dict[str, Any]]:
    """Return the results of each cell, with the values of its runs as lists ordered by seed."""
    found = []
    low, high = min(options.rates), max(options.rates)
    for key, budgets in cells.items():
        lr = _best_rate(key, options, log)
        runs = [] if lr is None else _reported_runs({key: lr}, options)
        done = {run.seed: log.results[run] for run in runs if run in log.results}
        done = {seed: result for seed, result in done.items() if "left_out" not in result}
        if not done:
            continue
        names = list(next(iter(done.values())))
        found.append(
            {
                **dict(zip(("condition", "share", "method"), key, strict=False)),
                "budgets": budgets,
                "lr": lr,
                "lr_at_edge": low < high and lr in (low, high),
                "validation_accuracy": {f"{r:g}": v for r, v in _tuned(key, options, log).items()},
                "seeds": list(done),
                **{name: [result[name] for result in done.values()] for name in names},
            }
        )
    return found


def _left_out(
    cells: dict[Key, list[str]], options: argparse.Namespace, log: RunLog
) -> list[dict[str, Any]]:
    """Return the cells in which some run could not be trained, with the reason."""
    reasons: dict[tuple[str, float, str, str], str] = {}
    for run, result in log.results.items():
        key = (run.condition, run.share, run.method, run.budget)
        if key in cells and "left_out" in result:
            reasons[key] = result["left_out"]
    return [
        {
            **dict(zip(("condition", "share", "method"), key, strict=False)),
            "budgets": cells[key],
            "reason": reason,
        }
        for key, reason in reasons.items()
    ]


def _to_json(results: dict[str, Any]) -> str:
    """Return JSON with one cell per line, so that diffs of committed results are readable."""
    cells = ",\n".join(f"  {json.dumps(cell)}" for cell in results["cells"])
    text = json.dumps(results | {"cells": []}, indent=1, allow_nan=False)
    return text.replace('"cells": []', f'"cells": [\n{cells}\n ]') + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        usage="%(prog)s [options] (digits | TRAIN_STORE TEST_STORE)",
        epilog="\n".join(__doc__.splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", nargs="*", help="digits, or the embedding stores for training and test")
    add("--name", help="name of the data in the results")
    add(
        "--choose-by",
        metavar="STORE",
        help="other embeddings of the training images, used by methods",
    )
    add(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="methods, with optional settings (default: all)",
    )
    add("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS), metavar="NAME")
    add("--shares", nargs="+", type=_share, default=[0.2, 0.5], help="share of each batch to keep")
    add("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS), metavar="NAME")
    add("--rates", nargs="+", type=_rate, default=[3e-4, 1e-3, 3e-3, 1e-2], help="learning rates")
    add("--seeds", type=_count, default=5, help="number of reported seeds: 0, 1, …")
    add("--tuning-seeds", type=_count, default=2, help=f"number of seeds: {FIRST_TUNING_SEED}, …")
    add("--epochs", type=_count, default=12, help="passes over the pool")
    add("--candidate-size", type=_count, default=128)
    add("--jobs", type=_count, default=1, help="number of single-threaded processes")
    add("--redo", nargs="+", metavar="METHOD", help="run these again, even if complete")
    add("--out", type=Path, default=Path("runs/accuracy_vs_budget.json"))
    add("--table", action="store_true", help="print tables of the results")
    add("--plot", type=Path, metavar="PNG", help="draw differences from random")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a positive integer; got {text}")
    return int(text)


def _share(text: str) -> float:
    return _number(text, 1.0, "a number above 0 and below 1")


def _rate(text: str) -> float:
    return _number(text, float("inf"), "a number above 0")


def _number(text: str, below: float, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 < number < below:
        raise argparse.ArgumentTypeError(f"must be {expected}; got {text}")
    return number


if __name__ == "__main__":
    sys.exit(main())
