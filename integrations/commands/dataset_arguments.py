"""Command-line arguments that select the dataset; this module does not import torch."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spectral_select.integrations.data.labeled_dataset import LabeledDataset, SplitOptions

__all__ = ["add_dataset_arguments", "given_columns", "load_from_arguments", "split_options"]


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments for the dataset and its splits, for `extract` and `train`."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="digits, cifar10, oxford-pet, flowers102, or a folder of images: "
        "FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg (val is optional, and is used for "
        "testing if there is no test; training, valid, dev and testing also work), or "
        "FOLDER/CLASS/*.jpg; or texts: a .jsonl, .csv or .parquet file with a column of texts, or "
        "a folder with such files called train and test; or hf-dataset:FOLDER, written by "
        "save_to_disk, or hf-dataset:NAME[:CONFIGURATION] from the cache",
    )
    group = parser.add_argument_group("the dataset and its splits")
    group.add_argument(
        "--root",
        metavar="FOLDER",
        help="folder that datasets known by name are read from and downloaded to (default: data)",
    )
    group.add_argument(
        "--no-download",
        action="store_true",
        help="fail instead of downloading a dataset or an st: model",
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
    columns = parser.add_argument_group("the columns of texts and of Hugging Face datasets")
    columns.add_argument(
        "--image-column",
        metavar="NAME",
        help="column with the images (default: the only column of images)",
    )
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
        help="column with a name for each sample, which other commands show "
        "(default: FILE:LINE; for .parquet FILE[ROW], for Hugging Face datasets SPLIT[ROW])",
    )


def load_from_arguments(args: argparse.Namespace) -> "LabeledDataset":
    """Load the dataset that the arguments describe."""
    from spectral_select.integrations.data.datasets import load_dataset
    from spectral_select.integrations.data.hugging_face import (
        PREFIX,
        HubColumns,
        load_hugging_face,
    )
    from spectral_select.integrations.data.text_files import TextColumns
    from spectral_select.integrations.data.texts import holds_texts, load_texts

    given = given_columns(args)
    if args.dataset.startswith(PREFIX):
        name = args.dataset.removeprefix(PREFIX)
        return load_hugging_face(name, HubColumns(**given), split_options(args))
    if holds_texts(args.dataset) and "image" in given:
        raise ValueError("--image-column is for Hugging Face datasets")
    if holds_texts(args.dataset):
        return load_texts(args.dataset, TextColumns(**given), split_options(args))
    for key, name in given.items():
        raise ValueError(
            f"--{key}-column is for texts in .jsonl, .csv and .parquet files and for hf-dataset:; "
            f"got {args.dataset} and --{key}-column {name}"
        )
    return load_dataset(
        args.dataset,
        root=args.root,
        download=not args.no_download,
        val_fraction=args.val_fraction,
        test_fraction=args.test_fraction,
        train_size=args.train_size,
        seed=args.split_seed,
    )


def given_columns(args: argparse.Namespace) -> dict[str, str]:
    """Return the names of the columns given in the arguments, by kind."""
    kinds = ("image", "text", "label", "id")
    names = {kind: getattr(args, f"{kind}_column") for kind in kinds}
    return {kind: name for kind, name in names.items() if name is not None}


def split_options(args: argparse.Namespace) -> "SplitOptions":
    """Return the options for splitting a dataset that the arguments describe."""
    from spectral_select.integrations.data.labeled_dataset import SplitOptions

    return SplitOptions(
        val_fraction=args.val_fraction,
        test_fraction=args.test_fraction,
        train_size=args.train_size,
        seed=args.split_seed,
    )
