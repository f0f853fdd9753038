"""The sweep command: run methods × seeds × filter ratios from one file."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spectral_select.integrations.commands.sweep_plan import Plan

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Train with every combination of the methods, seeds and filter ratios listed in a TOML file,
with a separate process and folder for each run. Run the command again to resume: complete
runs are kept, and other runs resume from their checkpoints. You can add methods, seeds and
ratios to the file later.
"""

_EPILOG = """\
a sweep file:
  [sweep]
  dataset = "digits"                        # as for spectral-select train
  methods = ["full", "random", "fiedler", "jest:n_chunks=8"]
  seeds = [0, 1, 2]
  filter_ratios = [0.5, 0.8]

  [train]                                   # options of spectral-select train
  epochs = 12
  lr = 0.02

  [method.full]                             # options for this method only
  epochs = 4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select sweep``."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("file", metavar="FILE", help="the sweep file (TOML)")
    parser.add_argument(
        "--out",
        "-o",
        metavar="FOLDER",
        help="folder for the runs and their results (default: runs/NAME, named after FILE)",
    )
    parser.add_argument(
        "--jobs",
        "-j",
        metavar="N",
        type=int,
        default=1,
        help="maximum number of parallel runs, if memory allows; parallel runs slow each "
        "other down, which distorts wall-clock times (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the runs that are left, without running them"
    )


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select sweep``."""
    from spectral_select._utils.validation import check_int
    from spectral_select.integrations.commands.sweep_plan import Run, read_plan
    from spectral_select.integrations.commands.sweep_run import is_done, run_all

    jobs = check_int(args.jobs, "--jobs", 1)
    path = Path(args.file)
    plan = read_plan(path)
    out = Path(args.out) if args.out is not None else Path("runs") / path.stem
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder for the runs")
    for each in plan.runs:
        _check(each.arguments, path)
    left = [each for each in plan.runs if not is_done(out, each)]
    print(f"{len(plan.runs)} runs, {len(plan.runs) - len(left)} of them complete", flush=True)
    if args.dry_run:
        for each in left:
            print(f"{out / each.folder}: train {' '.join(each.arguments)}")
        return 0
    begin, done = time.monotonic(), 0

    def on_end(ended: Run, status: int, seconds: float) -> None:
        nonlocal done
        done += 1
        rest = (time.monotonic() - begin) / done * (len(left) - done)
        outcome = (
            _outcome(out / ended.folder) if status == 0 else _failure(out / ended.folder, status)
        )
        ratio = f", filter ratio {ended.ratios[0]:g}" if len(ended.ratios) == 1 else ""
        name = f"{ended.method}{ratio}, seed {ended.seed}"
        more = f"; about {_span(rest)} left" if done < len(left) else ""
        print(f"{done}/{len(left)} {name}: {outcome} ({_span(seconds)}){more}", flush=True)

    interrupted = False
    try:
        failed = run_all(out, left, jobs=jobs, on_end=on_end)
    except KeyboardInterrupt:
        failed, interrupted = [], True
    _report(out, plan)
    if interrupted:
        print("interrupted; run the same command again to resume")
        return 130
    if failed:
        print(f"{len(failed)} of {len(left)} runs failed; run the same command again to retry")
    return 1 if failed else 0


def _check(arguments: tuple[str, ...], path: Path) -> None:
    """Parse the arguments of a run, so that mistakes are reported before any run starts."""
    from spectral_select._cli.main import UsageError, parse

    try:
        parse(["train", *arguments])
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _report(out: Path, plan: "Plan") -> None:
    from spectral_select.integrations.commands.sweep_results import merge
    from spectral_select.integrations.report import format_table

    written = []
    for ratio in plan.filter_ratios:
        merged = merge(out, plan, ratio)
        if merged is not None:
            path, results = merged
            written.append(str(path))
            print(f"\nfilter ratio {ratio:g}\n{format_table(results)}")
    if written:
        print(f"\nto write a full report: spectral-select report {' '.join(written)}")


def _outcome(folder: Path) -> str:
    from spectral_select.integrations.records.results import read_results

    final = read_results(folder).runs[0].final
    parts = [] if final is None else [("test", final.test), ("val", final.val)]
    for part, measured in parts:
        if measured.accuracy is not None:
            return f"{part} accuracy {100 * measured.accuracy:.1f}%"
    return "complete"


def _failure(folder: Path, status: int) -> str:
    log = folder / "log.txt"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"failed with status {status}: {lines[-1] if lines else 'no output'} (see {log})"


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
