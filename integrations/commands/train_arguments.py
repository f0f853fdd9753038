"""The arguments of the train command; this module does not import torch."""

import argparse
import textwrap

from spectral_select._cli.feature_arguments import add_column_arguments
from spectral_select.integrations.commands.dataset_arguments import add_dataset_arguments

__all__ = ["add_arguments"]

_LINE = 88  # characters in a line of the list of methods

_DESCRIPTION = """\
Train the same network with several selection methods, and compare the results. The methods
include full (all samples), random (a random subset of each candidate batch) and fiedler (the
subset selected by the Fiedler vector of the batch). All methods start from the same weights,
use the same candidate batches and take the same number of steps. The command prints a table
and writes results.json and curves.png.
"""

_EPILOG = """\
examples:
  spectral-select train digits                  # about a minute on two cores, no download
  spectral-select train photos --image-size 64 --epochs 5 --seeds 0 1 2
  spectral-select train photos --features photos.store --methods full fiedler
  spectral-select train photos.store --model head          # on the embeddings; takes seconds
  spectral-select train table.csv --labels kind --candidate-size 64
  spectral-select train photos --out runs/a --resume       # after any interruption
  torchrun --nproc-per-node=4 -m spectral_select train photos --out runs/b
  spectral-select train oxford-pet --weights default --lr 0.001 --lr-schedule constant \\
      --image-size 224                          # the SALN paper's setting
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select train``."""
    from spectral_select.integrations.methods import get_method, method_names

    parser.description = _DESCRIPTION
    width = max(map(len, method_names())) + 2
    listed = []
    for name in method_names():
        first, *rest = textwrap.wrap(get_method(name).summary, _LINE - width)
        listed += [f"  {name:<{width}}{first}", *(" " * (width + 2) + line for line in rest)]
    parser.epilog = "\n".join(["methods:", *listed, "", _EPILOG])
    add_dataset_arguments(parser)
    parser.add_argument(
        "--out",
        "-o",
        metavar="FOLDER",
        help="folder for the results (default: a new one under runs/); results already in it "
        "are kept as results.previous.json",
    )
    _add_output_options(parser)
    _add_comparison(parser)
    _add_network(parser)
    _add_table(parser)
    _add_inputs(parser)
    _add_speed(parser)


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_argument_group("the comparison")
    choice.add_argument(
        "--methods",
        metavar="M",
        nargs="+",
        default=["full", "random", "fiedler"],
        help="methods to compare, listed below; set a method's options with "
        "NAME:option=value,… (default: full random fiedler)",
    )
    choice.add_argument(
        "--filter-ratio",
        metavar="F",
        type=float,
        default=0.8,
        help="share of each candidate batch that is discarded (default: %(default)s)",
    )
    choice.add_argument(
        "--candidate-size",
        metavar="N",
        type=int,
        help="samples in a candidate batch (default: 128; digits and cifar10: 320)",
    )
    choice.add_argument(
        "--seeds", metavar="S", type=int, nargs="+", default=[0], help="(default: 0)"
    )


def _add_network(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("the network and its training")
    network.add_argument(
        "--model",
        metavar="NAME",
        help="for images: any torchvision classifier (default: resnet18); for a store or table: "
        "head, a linear classifier on the standardized features, or head-mlp, with a hidden layer "
        "of 256 units (default: head)",
    )
    network.add_argument(
        "--weights",
        metavar="W",
        default="random",
        help="'random' (used if omitted), 'default' for torchvision's pretrained weights, or a "
        "state dict (.safetensors, .pt, .pth)",
    )
    network.add_argument(
        "--small-input",
        action="store_true",
        help="for ResNets: use a 3 × 3 first convolution with stride 1, and no max-pooling",
    )
    network.add_argument(
        "--image-size", metavar="PX", type=int, help="(default: 112; digits and cifar10: 32)"
    )
    network.add_argument("--epochs", metavar="N", type=int, help="(default: 25; digits: 12)")
    network.add_argument(
        "--lr",
        type=float,
        default=0.02,
        help="learning rate (default: %(default)s, for training from scratch)",
    )
    network.add_argument(
        "--lr-schedule",
        choices=("constant", "cosine", "step"),
        default="cosine",
        help="(default: %(default)s)",
    )
    network.add_argument("--momentum", metavar="M", type=float, default=0.9)
    network.add_argument("--weight-decay", metavar="W", type=float, default=0.0)
    network.add_argument(
        "--clip-norm",
        metavar="N",
        type=float,
        help="maximum norm of the gradient (default: no limit); try 1 if a pretrained network "
        "without batch normalization does not learn",
    )
    network.add_argument(
        "--evaluate-every",
        metavar="N",
        type=int,
        default=1,
        help="evaluate after every N epochs and after the last (default: %(default)s)",
    )
    network.add_argument(
        "--no-augment", action="store_true", help="train on the images without augmentation"
    )


def _add_table(parser: argparse.ArgumentParser) -> None:
    table = parser.add_argument_group(
        "a dataset of features: DATASET is a store, or a .npy, .npz, .parquet or .csv file"
    )
    table.add_argument(
        "--test",
        metavar="FEATURES",
        help="features to test on (default: --test-fraction of the rows of DATASET)",
    )
    add_column_arguments(table)
    table.add_argument(
        "--test-labels", metavar="NAME", help="labels of --test, if named differently"
    )


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    features = parser.add_argument_group("the features used for selection")
    features.add_argument(
        "--features",
        metavar="STORE",
        help="folder written by extract from the training split of the same dataset (default: "
        "the pixels for digits; otherwise features are first extracted into FOLDER/features)",
    )
    features.add_argument(
        "--backbone",
        metavar="NAME",
        default="resnet50",
        help="like --backbone of extract (default: %(default)s)",
    )
    features.add_argument(
        "--backbone-weights", metavar="W", default="default", help="like --weights of extract"
    )
    features.add_argument(
        "--backbone-size", metavar="PX", type=int, help="like --image-size of extract"
    )
    reference = parser.add_argument_group(
        "the reference model, for methods that need one (cross-fitted on two halves of the data)"
    )
    reference.add_argument(
        "--reference",
        metavar="DIR",
        help="folder with a model trained on the same data, with any configuration (default: "
        "a model is first trained in FOLDER/reference, with the comparison's configuration)",
    )
    reference.add_argument(
        "--reference-epochs", metavar="N", type=int, help="(default: the value of --epochs)"
    )


def _add_speed(parser: argparse.ArgumentParser) -> None:
    speed = parser.add_argument_group("speed")
    speed.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    speed.add_argument("--amp", action="store_true", help="use mixed precision")
    speed.add_argument(
        "--channels-last",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="use the channels-last memory layout (default: on CUDA, unless --compile is given)",
    )
    speed.add_argument(
        "--compile", action="store_true", help="compile training steps with torch.compile"
    )
    speed.add_argument(
        "--prefetch",
        metavar="N",
        type=int,
        help="batches that a background thread loads in advance (default: 2 on CUDA, otherwise 0)",
    )
    speed.add_argument(
        "--cache-mb",
        metavar="MB",
        type=int,
        default=4096,
        help="memory for decoded images, per method; they are kept on the GPU if they fit "
        "(default: %(default)s)",
    )
    speed.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a progress bar (default: on a terminal)",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output and resuming")
    group.add_argument(
        "--resume",
        metavar="FOLDER",
        nargs="?",
        const="",
        help="resume the unfinished run in FOLDER (default: the --out folder); the other "
        "arguments must be given again; completed runs are kept",
    )
    group.add_argument(
        "--checkpoint-every",
        metavar="N",
        type=int,
        help="save a method's checkpoint every N steps (default: after each epoch)",
    )
    group.add_argument(
        "--keep-checkpoints",
        action="store_true",
        help="keep FOLDER/checkpoints when all runs are complete",
    )
    group.add_argument(
        "--save-models",
        action="store_true",
        help="save final weights to FOLDER/models/METHOD-seedS.safetensors",
    )
    group.add_argument(
        "--tensorboard", action="store_true", help="log each epoch to FOLDER/tensorboard"
    )
