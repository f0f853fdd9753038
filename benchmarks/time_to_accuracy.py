"""Cost at which each method is within one point of the accuracy of training on all samples.

    python benchmarks/time_to_accuracy.py digits --out runs/time_digits.json
    python benchmarks/time_to_accuracy.py TRAIN_STORE TEST_STORE --out runs/time_mine.json

This script runs ``accuracy_vs_budget.py`` with several numbers of epochs. For each number, the
learning rate is tuned and falls to 0 at the end. The target is the mean accuracy of the longest
runs on all samples, minus one point. For each method, the script finds the shortest runs whose
mean accuracy reaches the target, and reports their cost (``_budgets.py``) and time relative to
the shortest runs on all samples that reach the target. Arguments that ``--help`` does not list
are passed to ``accuracy_vs_budget.py``. To resume an interrupted comparison, run the same command
again.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import accuracy_vs_budget
from _harness import environment, table

from spectral_select._utils.atomic_files import write_atomically

FULL = "full"


def main(argv: Sequence[str] | None = None) -> int:
    """Execute runs of all lengths, write the results, and show them."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="\n".join(__doc__.splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lengths", nargs="+", type=int, default=[1, 2, 3, 4, 6, 8, 12])
    parser.add_argument("--methods", nargs="+", default=[FULL, "random", "guided"])
    parser.add_argument(
        "--points",
        type=float,
        default=1.0,
        help="allowed loss in points, compared with full (default: 1)",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/time_to_accuracy.json"))
    options, others = parser.parse_known_args(argv)
    methods = list(dict.fromkeys([FULL, *options.methods]))
    parts = {}
    for length in sorted(set(options.lengths)):
        out = options.out.with_suffix(f".{length}.json")
        arguments = [*others, "--methods", *methods, "--budgets", "steps"]
        status = accuracy_vs_budget.main([*arguments, "--epochs", str(length), "--out", str(out)])
        if status:
            return status
        parts[length] = json.loads(out.read_text(encoding="utf-8"))
    last = parts[max(parts)]
    results = {
        **environment(),
        "data": last["data"],
        "plan": last["plan"] | {"lengths": list(parts), "points": options.points},
        "reached": [
            reached(parts, condition, share, methods, options.points)
            for condition in last["plan"]["conditions"]
            for share in last["plan"]["shares"]
        ],
    }
    text = json.dumps(results, indent=1) + "\n"
    write_atomically(options.out, lambda file: file.write(text.encode()))
    print(show(results))
    print(f"wrote {options.out}")
    return 0


def reached(
    parts: Mapping[int, Mapping[str, Any]],
    condition: str,
    share: float,
    methods: Sequence[str],
    points: float,
) -> dict[str, Any]:
    """Return the target, and for each method the shortest run that reaches it, or None."""
    curves: dict[str, dict[int, dict[str, float]]] = {method: {} for method in methods}
    for length, results in parts.items():
        for cell in results["cells"]:
            if (cell["condition"], cell["share"]) == (condition, share):
                curves[cell["method"]][length] = {
                    key: mean(cell[key]) for key in ("accuracy", "cost", "seconds")
                }
    aim = curves[FULL][max(curves[FULL])]["accuracy"] - points / 100
    shortest = {
        method: next((n for n, found in curve.items() if found["accuracy"] >= aim), None)
        for method, curve in curves.items()
    }
    spent = curves[FULL][shortest[FULL]]  # exists, because the longest run reaches the target
    found = []
    for method, length in shortest.items():
        at = None if length is None else curves[method][length]
        shares = {
            f"{key}_share": None if at is None else at[key] / spent[key]
            for key in ("cost", "seconds")
        }
        found.append({"method": method, "epochs": length, **shares, "curve": curves[method]})
    return {"condition": condition, "share": share, "aim": aim, "methods": found}


def show(results: Mapping[str, Any]) -> str:
    """Return a table of the results."""
    head = ["condition", "kept", "target, %", "method", "epochs", "cost / full", "seconds / full"]
    rows = [head]
    for part in results["reached"]:
        about = [part["condition"], f"{part['share']:.0%}", f"{100 * part['aim']:.1f}"]
        for found in part["methods"]:
            shares = [found["cost_share"], found["seconds_share"]]
            texts = ["not reached" if value is None else f"{value:.2f}" for value in shares]
            rows.append([*about, found["method"], str(found["epochs"] or "–"), *texts])
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
