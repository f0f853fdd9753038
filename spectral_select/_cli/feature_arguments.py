"""Command-line arguments that name a file of features, the same for all commands."""

import argparse

__all__ = ["add_feature_arguments", "column_names"]


def column_names(text: str) -> list[str]:
    """Return the names in a list separated by commas."""
    return text.split(",")


def add_feature_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file of features, and what to read from it."""
    parser.add_argument(
        "features",
        metavar="FEATURES",
        help="a .npy, .npz or .parquet file, or the folder of an embedding store",
    )
    parser.add_argument("--key", help="name of the array in an .npz file")
    parser.add_argument(
        "--columns",
        metavar="A,B,...",
        type=column_names,
        help="columns in a Parquet file: numeric columns, or one column of lists",
    )
