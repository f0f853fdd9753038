"""Command-line arguments for datasets in many Parquet files, the same for all commands."""

import argparse
import sys
from pathlib import Path

__all__ = ["add_parquet_arguments", "check_parquet_arguments", "report_skipped", "show_progress"]


def add_parquet_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the columns of Parquet files; ``--id`` asks for a file of scores for each file."""
    group = parser.add_argument_group(
        "many Parquet files",
        "With --id, FEATURES is a folder of Parquet files or a quoted pattern. They are\n"
        "read block by block, and --out is a folder that receives a file of ids and\n"
        "scores for each. An interrupted command resumes when it is repeated.",
    )
    group.add_argument("--id", metavar="COLUMN", help="column of distinct ids")
    group.add_argument("--embedding", metavar="COLUMN", help="column of lists of numbers")
    group.add_argument(
        "--skip-corrupt", action="store_true", help="leave out files that cannot be read"
    )


def check_parquet_arguments(args: argparse.Namespace, unsupported: tuple[str, ...]) -> None:
    """Raise if the arguments do not fit together; `unsupported` are refused with ``--id``."""
    if args.id is None:
        if args.embedding is not None or args.skip_corrupt:
            raise ValueError("--embedding and --skip-corrupt need --id")
        return
    if args.embedding is None:
        raise ValueError("--id needs --embedding, the column of embeddings")
    if args.out in (None, "-"):
        raise ValueError("--id needs --out, a folder for the scores")
    for name in unsupported:
        if getattr(args, name):
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} cannot be used with --id")
    if Path(args.out).is_file():
        raise ValueError(f"--out must be a folder; {args.out} is a file")


def show_progress(message: str) -> None:
    """Print a line of progress."""
    print(message, file=sys.stderr, flush=True)


def report_skipped(skipped: list[str]) -> None:
    """Name the files that were left out."""
    for message in skipped:
        print(f"skipped: {message}", file=sys.stderr)
