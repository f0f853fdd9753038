"""Command-line arguments that name a file of features, shared by several commands."""

import argparse
from typing import Any

__all__ = ["add_column_arguments", "add_feature_arguments", "column_names"]


def column_names(text: str) -> list[str]:
    """Return the names in a comma-separated list."""
    return text.split(",")


def add_feature_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file of features, and what to read from it."""
    parser.add_argument(
        "features",
        metavar="FEATURES",
        help="a .npy, .npz, .parquet or .csv file, or the folder of an embedding store",
    )
    _add_where(parser)


def add_column_arguments(parser: Any) -> None:
    """Declare what to read from a file of features, and its labels."""
    _add_where(parser)
    parser.add_argument(
        "--labels",
        metavar="NAME",
        help="array in the .npz file, column in the Parquet or CSV file, or a .npy file (default: "
        "the labels in the store)",
    )


def _add_where(parser: Any) -> None:
    parser.add_argument("--key", help="name of the array in an .npz file")
    parser.add_argument(
        "--columns",
        metavar="A,B,...",
        type=column_names,
        help="columns in a Parquet or CSV file: numeric columns, or one column of lists "
        "(default: the only column of lists, or all columns except the labels)",
    )
