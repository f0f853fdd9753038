"""Command-line arguments for datasets in many Parquet files, shared by select and inspect."""

import argparse
import sys
from pathlib import Path
from typing import Any

from spectral_select._utils.validation import check_positive_int

__all__ = [
    "add_parquet_arguments",
    "check_parquet_arguments",
    "engine_arguments",
    "report_skipped",
    "show_progress",
]

# Arguments that need --id, and their defaults.
_OF_FILES = {
    "embedding": None,
    "skip_corrupt": False,
    "workers": None,
    "engine": "local",
    "address": None,
}


def add_parquet_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments for many Parquet files, all of which need ``--id``."""
    group = parser.add_argument_group(
        "many Parquet files",
        "With --id, FEATURES is a folder of Parquet files or a quoted pattern. The files\n"
        "are read block by block. For each one, a file of ids and scores is written to the\n"
        "folder --out. An interrupted command resumes when it is repeated.",
    )
    group.add_argument("--id", metavar="COLUMN", help="column of distinct ids")
    group.add_argument("--embedding", metavar="COLUMN", help="column of lists of numbers")
    group.add_argument(
        "--skip-corrupt", action="store_true", help="leave out files that cannot be read"
    )
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="number of processes (default: one per core from 100,000 rows on, otherwise one)",
    )
    group.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where to run (default: local)"
    )
    group.add_argument(
        "--address",
        help="address of a Ray cluster, whose machines must see the files under the same paths "
        "(default: a cluster started on this machine)",
    )


def check_parquet_arguments(args: argparse.Namespace, unsupported: tuple[str, ...]) -> None:
    """Raise if arguments conflict; those in `unsupported` cannot be used with ``--id``."""
    if args.id is None:
        for name, default in _OF_FILES.items():
            if getattr(args, name) != default:
                raise ValueError(f"--{name.replace('_', '-')} needs --id")
        return
    if args.embedding is None:
        raise ValueError("--id needs --embedding, the column of embeddings")
    if args.out in (None, "-"):
        raise ValueError("--id needs --out, a folder for the scores")
    for name in unsupported:
        if getattr(args, name):
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} cannot be used with --id")
    if args.workers is not None:
        check_positive_int(args.workers, "--workers")
        if args.engine == "ray":
            raise ValueError("--workers is for --engine local; Ray uses its whole cluster")
    if args.address is not None and args.engine != "ray":
        raise ValueError("--address needs --engine ray")
    if Path(args.out).is_file():
        raise ValueError(f"--out must be a folder; {args.out} is a file")


def engine_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `inspect_files` and `select_files` that set where they run."""
    if args.engine == "local":
        return {"workers": args.workers}
    from spectral_select._parquet.ray_tasks import ray_tasks

    return {"engine": ray_tasks(args.address)}


def show_progress(message: str) -> None:
    """Print a line of progress."""
    print(message, file=sys.stderr, flush=True)


def report_skipped(skipped: list[str]) -> None:
    """Print the messages about skipped files."""
    for message in skipped:
        print(f"skipped: {message}", file=sys.stderr)
