"""The command extract: the embeddings of an image dataset, into a store."""

import argparse
import time
from pathlib import Path

from spectral_select.integrations.commands.dataset_arguments import (
    add_dataset_arguments,
    load_from_arguments,
)

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Run every image of a dataset through a pretrained network once and keep the embeddings
in a folder (a store), for `select`, `train`, or your own code. If it is
interrupted, run the same command again to resume; once it is done, it does nothing.
"""

_EPILOG = """\
examples:
  spectral-select extract photos --out photos.store
                               # photos/CLASS/*.jpg, ResNet-50, 2048 numbers an image
  spectral-select extract cifar10 --out cifar.store --backbone resnet18 --image-size 64
  spectral-select extract photos --out small.store --backbone squeezenet1_0 \\
      --weights squeezenet.safetensors            # without a network connection
  spectral-select extract digits --out digits.store --backbone resnet18 \\
      --weights random --image-size 32            # to try it: needs no download at all
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select extract``."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    add_dataset_arguments(parser)
    parser.add_argument(
        "--out", "-o", metavar="FOLDER", required=True, help="folder for the embeddings"
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="train",
        help="which part of the dataset (default: %(default)s)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a store that is in FOLDER already"
    )
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--backbone",
        metavar="NAME",
        default="resnet50",
        help="any torchvision classification network, or pixels for the images themselves "
        "(default: %(default)s)",
    )
    network.add_argument(
        "--weights",
        metavar="W",
        default="default",
        help="default: torchvision's pretrained ones (downloaded once); random; or a state "
        "dict (.safetensors, .pt, .pth)",
    )
    network.add_argument(
        "--image-size",
        metavar="PX",
        type=int,
        help="resize and crop images to PX (default: as the pretrained network expects, "
        "mostly 224); smaller is faster",
    )
    network.add_argument("--seed", metavar="S", type=int, default=0, help="seed of random weights")
    speed = parser.add_argument_group("speed")
    speed.add_argument(
        "--batch-size", metavar="N", type=int, default=64, help="(default: %(default)s)"
    )
    speed.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help="processes that load images (default: what suits the machine)",
    )
    speed.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    speed.add_argument(
        "--precision",
        choices=("auto", "float32", "float16", "bfloat16"),
        default="auto",
        help="arithmetic of the network (default: float16 on CUDA, float32 elsewhere)",
    )
    speed.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a progress bar (default: on a terminal)",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select extract``."""
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise ValueError(f"--out {args.out} is a file; expected a folder for the embeddings")
    from spectral_select.integrations.models.backbones import build_backbone
    from spectral_select.integrations.models.embedding_extraction import (
        check_device,
        extract_embeddings,
    )

    check_device(args.device)
    split = load_from_arguments(args).split(args.split)
    backbone, transform, _ = build_backbone(
        args.backbone, args.weights, image_size=args.image_size, seed=args.seed
    )
    start = time.perf_counter()
    store = extract_embeddings(
        split,
        backbone,
        args.out,
        transform=transform,
        batch_size=args.batch_size,
        num_workers=args.workers,
        device=args.device,
        precision=args.precision,
        overwrite=args.overwrite,
        progress=args.progress,
    )
    seconds = time.perf_counter() - start
    what = f"{len(store)} embeddings of length {store.meta['dim']} in {args.out}"
    if store.n_written:
        rate = store.n_written / seconds
        earlier = len(store) - store.n_written
        resumed = f", {earlier} of them from an earlier run" if earlier else ""
        print(f"{what}{resumed} ({seconds:.1f} s, {rate:.0f} images/s)")
    else:
        print(f"{what}: they were there already, nothing to do")
    return 0
