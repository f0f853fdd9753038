"""Command-line arguments that select the dataset; this module does not import torch."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectral_select.integrations.data.labeled_dataset import LabeledDataset

__all__ = ["add_dataset_arguments", "load_from_arguments"]


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments for the dataset and its splits, shared by all commands."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="digits, cifar10, oxford-pet, flowers102, or a folder of images: "
        "FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg (val is optional, and is used for "
        "testing if there is no test; training, valid, dev and testing also work), or "
        "FOLDER/CLASS/*.jpg; or texts: a .jsonl, .csv or .parquet file with a column of texts, or "
        "a folder with such files called train and test",
    )
    group = parser.add_argument_group("the dataset and its splits")
    group.add_argument(
        "--root",
        metavar="FOLDER",
        help="folder where datasets known by name are read from and downloaded to (default: data)",
    )
    group.add_argument(
        "--no-download", action="store_true", help="fail instead of downloading a dataset"
    )
    group.add_argument(
        "--val-fraction",
        metavar="F",
        type=float,
        default=0.1,
        help="share of the training samples held out for validation, if the dataset has no "
        "validation split (default: %(default)s)",
    )
    group.add_argument(
        "--test-fraction",
        metavar="F",
        type=float,
        default=0.2,
        help="share of the samples held out for testing, if the dataset has no test split "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--train-size", metavar="N", type=int, help="use only N of the training samples"
    )
    group.add_argument(
        "--split-seed",
        metavar="S",
        type=int,
        default=0,
        help="seed for the splits (default: %(default)s)",
    )
    columns = parser.add_argument_group("the columns of a dataset of texts")
    columns.add_argument(
        "--text-column", metavar="NAME", help="column with the texts (default: text)"
    )
    columns.add_argument(
        "--label-column",
        metavar="NAME",
        help="column with the labels (default: label, if there is such a column)",
    )
    columns.add_argument(
        "--id-column",
        metavar="NAME",
        help="column with a name for each text, under which the other commands list it (default: "
        "FILE:LINE, or FILE[ROW] for .parquet)",
    )


def load_from_arguments(args: argparse.Namespace) -> "LabeledDataset":
    """Load the dataset that the arguments describe."""
    from spectral_select.integrations.data.datasets import load_dataset
    from spectral_select.integrations.data.labeled_dataset import SplitOptions
    from spectral_select.integrations.data.text_files import TextColumns
    from spectral_select.integrations.data.texts import holds_texts, load_texts

    splits: dict[str, Any] = {
        "val_fraction": args.val_fraction,
        "test_fraction": args.test_fraction,
        "train_size": args.train_size,
        "seed": args.split_seed,
    }
    columns = {"text": args.text_column, "label": args.label_column, "id": args.id_column}
    given = {key: name for key, name in columns.items() if name is not None}
    if holds_texts(args.dataset):
        return load_texts(args.dataset, TextColumns(**given), SplitOptions(**splits))
    for key, name in given.items():
        raise ValueError(
            f"--{key}-column is for texts in .jsonl, .csv and .parquet files; "
            f"got {args.dataset} and --{key}-column {name}"
        )
    return load_dataset(args.dataset, root=args.root, download=not args.no_download, **splits)
