"""Command-line arguments that select the dataset; this module does not import torch."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spectral_select.integrations.data.datasets import ImageDataset

__all__ = ["add_dataset_arguments", "load_from_arguments"]


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments for the dataset and its splits, shared by all commands."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="digits, cifar10, oxford-pet, flowers102, or a folder of images: "
        "FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg (val is optional, and is used for "
        "testing if there is no test; training, valid, dev and testing also work), or "
        "FOLDER/CLASS/*.jpg",
    )
    group = parser.add_argument_group("the dataset and its splits")
    group.add_argument(
        "--root",
        metavar="FOLDER",
        help="folder that datasets known by name are read from and downloaded to (default: data)",
    )
    group.add_argument(
        "--no-download", action="store_true", help="fail instead of downloading a dataset"
    )
    group.add_argument(
        "--val-fraction",
        metavar="F",
        type=float,
        default=0.1,
        help="share of the training images held out for validation, if the dataset has no "
        "validation split (default: %(default)s)",
    )
    group.add_argument(
        "--test-fraction",
        metavar="F",
        type=float,
        default=0.2,
        help="share of the images held out for testing, if the dataset has no test split "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--train-size", metavar="N", type=int, help="use only N of the training images"
    )
    group.add_argument(
        "--split-seed",
        metavar="S",
        type=int,
        default=0,
        help="seed for the splits (default: %(default)s)",
    )


def load_from_arguments(args: argparse.Namespace) -> "ImageDataset":
    """Load the dataset that the arguments describe."""
    from spectral_select.integrations.data.datasets import load_dataset

    return load_dataset(
        args.dataset,
        root=args.root,
        download=not args.no_download,
        val_fraction=args.val_fraction,
        test_fraction=args.test_fraction,
        train_size=args.train_size,
        seed=args.split_seed,
    )
