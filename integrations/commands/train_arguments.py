"""The arguments of the command train; importing this imports no torch."""

import argparse

from spectral_select.integrations.commands.dataset_arguments import add_dataset_arguments

__all__ = ["add_arguments"]

_DESCRIPTION = """\
Train one network by several ways of choosing samples and compare them: on every sample
(full), on a random subset of each candidate batch (random), on the subset that its
Fiedler vector singles out (fiedler), and others. All start from the same weights, see
the same candidate batches and take the same number of steps. Ends with a table,
results.json and curves.png.
"""

_EPILOG = """\
examples:
  spectral-select train digits                  # a minute on two cores, needs no download
  spectral-select train photos --image-size 64 --epochs 5 --seeds 0 1 2
  spectral-select train photos --features photos.store --methods full fiedler
  spectral-select train photos --out runs/a --resume       # after a stop, however it came
  torchrun --nproc-per-node=4 -m spectral_select train photos --out runs/b
  spectral-select train oxford-pet --weights default --lr 0.001 --lr-schedule constant \\
      --image-size 224                          # the SALN paper's setting
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select train``."""
    from spectral_select.integrations.methods import get_method, method_names

    parser.description = _DESCRIPTION
    width = max(map(len, method_names())) + 2
    listed = [f"  {name:<{width}}{get_method(name).summary}" for name in method_names()]
    parser.epilog = "\n".join(["methods:", *listed, "", _EPILOG])
    add_dataset_arguments(parser)
    parser.add_argument(
        "--out",
        "-o",
        metavar="FOLDER",
        help="folder for the results (default: a new one under runs/); results that are in it "
        "already are kept as results.previous.json",
    )
    _add_output_options(parser)
    _add_comparison(parser)
    _add_network(parser)
    _add_inputs(parser)
    _add_speed(parser)


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_argument_group("what is compared")
    choice.add_argument(
        "--methods",
        metavar="M",
        nargs="+",
        default=["full", "random", "fiedler"],
        help="see below; options of a method as NAME:option=value,… (default: full random fiedler)",
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
        default="resnet18",
        help="any torchvision classifier (default: %(default)s)",
    )
    network.add_argument(
        "--weights",
        metavar="W",
        default="random",
        help="random (default); default: torchvision's pretrained ones; or a state dict "
        "(.safetensors, .pt, .pth)",
    )
    network.add_argument(
        "--small-input",
        action="store_true",
        help="ResNets: first convolution 3 × 3 of stride 1, no max-pooling",
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
        "--no-augment", action="store_true", help="train on the images as they are"
    )


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    features = parser.add_argument_group("the features that methods select by")
    features.add_argument(
        "--features",
        metavar="STORE",
        help="folder written by extract from the same dataset, split train (default: for "
        "digits the pixels; else extracted into FOLDER/features first)",
    )
    features.add_argument(
        "--backbone", metavar="NAME", default="resnet50", help="for extracting them; or pixels"
    )
    features.add_argument(
        "--backbone-weights", metavar="W", default="default", help="as --weights of extract"
    )
    features.add_argument(
        "--backbone-size", metavar="PX", type=int, help="as --image-size of extract"
    )
    reference = parser.add_argument_group(
        "the reference model of methods that need one, trained by cross-fitting on two halves"
    )
    reference.add_argument(
        "--reference",
        metavar="DIR",
        help="folder of a model trained on the same images, with any configuration (default: "
        "trained into FOLDER/reference first, with the configuration of the comparison)",
    )
    reference.add_argument(
        "--reference-epochs", metavar="N", type=int, help="(default: those of --epochs)"
    )


def _add_speed(parser: argparse.ArgumentParser) -> None:
    speed = parser.add_argument_group("speed")
    speed.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    speed.add_argument("--amp", action="store_true", help="mixed precision")
    speed.add_argument(
        "--channels-last",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="memory layout (default: on CUDA, unless --compile is given)",
    )
    speed.add_argument(
        "--compile", action="store_true", help="training steps through torch.compile"
    )
    speed.add_argument(
        "--prefetch",
        metavar="N",
        type=int,
        help="batches loaded ahead on a thread (default: 2 on CUDA, else 0)",
    )
    speed.add_argument(
        "--cache-mb",
        metavar="MB",
        type=int,
        default=4096,
        help="memory for decoded images, of each method; on the GPU where they fit there "
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
        help="resume the unfinished run in FOLDER (default: that of --out) with the same "
        "command; completed parts are kept",
    )
    group.add_argument(
        "--checkpoint-every",
        metavar="N",
        type=int,
        help="steps between two checkpoints of a method (default: one after each epoch)",
    )
    group.add_argument(
        "--keep-checkpoints",
        action="store_true",
        help="do not remove FOLDER/checkpoints when everything is complete",
    )
    group.add_argument(
        "--save-models",
        action="store_true",
        help="keep final weights: FOLDER/models/METHOD-seedS.safetensors",
    )
    group.add_argument(
        "--tensorboard", action="store_true", help="log each epoch into FOLDER/tensorboard"
    )
