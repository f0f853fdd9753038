"""The extract command: write the embeddings of a dataset to a store."""

import argparse
import time
from pathlib import Path
from typing import Any

from spectral_select.integrations.commands.dataset_arguments import (
    add_dataset_arguments,
    load_from_arguments,
)
from spectral_select.integrations.commands.extract_texts import extract_texts
from spectral_select.integrations.commands.extracted import described, report

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Run each image or text in a dataset through a pretrained network once and write the embeddings to
a folder (a store), for `select`, `inspect`, `train`, or your own code. If the command is
interrupted, run it again to resume. If the store is already complete, it is only checked.
"""

_EPILOG = """\
examples:
  spectral-select extract photos --out photos.store
                               # the training split, ResNet-50, 2048 numbers per image
  spectral-select extract photos --split all --out all.store
                               # every image in photos/CLASS/*.jpg
  spectral-select extract cifar10 --out cifar.store --backbone resnet18 --image-size 64
  spectral-select extract photos --out small.store --backbone squeezenet1_0 \\
      --weights squeezenet.safetensors            # works without a network connection
  spectral-select extract photos --out dino.store --backbone hf:facebook/dinov2-small
  spectral-select extract photos --out clip.store --backbone open_clip:ViT-B-32/laion2b_s34b_b79k
  spectral-select extract digits --out digits.store --backbone resnet18 \\
      --weights random --image-size 32            # try it without a download
  spectral-select extract texts.jsonl --out texts.store --backbone tfidf \\
      --text-column text --label-column topic     # needs no download
  spectral-select extract texts.jsonl --out minilm.store --label-column topic \\
      --backbone st:all-MiniLM-L6-v2
  spectral-select extract hf-dataset:pets --out pets.store    # saved with save_to_disk
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
        choices=("train", "val", "test", "all"),
        help="which split of the dataset to use; all: every sample, ignoring the splits "
        "(default: train)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an existing store in FOLDER"
    )
    _add_network_arguments(parser.add_argument_group("the network"))
    _add_speed_arguments(parser.add_argument_group("speed"))


def _add_network_arguments(group: Any) -> None:
    group.add_argument(
        "--backbone",
        metavar="NAME",
        help="for images: a torchvision classification network; timm:MODEL; hf:ORG/NAME or "
        "hf:FOLDER (transformers); open_clip:MODEL/TAG; or pixels to use the images themselves "
        "(default: resnet50); for texts: tfidf, fitted on the training split; or st:NAME or "
        "st:FOLDER, a sentence-transformers model (default: tfidf)",
    )
    group.add_argument(
        "--weights",
        metavar="W",
        help="'default' (used if omitted) for the library's pretrained weights, downloaded once; "
        "'random'; a file (.safetensors, or a state dict in .pt, .pth or .bin); or a folder that "
        "timm, transformers or OpenCLIP saved",
    )
    group.add_argument(
        "--revision",
        metavar="REV",
        help="branch, tag or commit of the model on the Hugging Face hub (default: main)",
    )
    group.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="let an hf: model run the Python code in its repository",
    )
    group.add_argument(
        "--image-size",
        metavar="PX",
        type=int,
        help="resize and crop images to PX (default: the size that the pretrained network "
        "expects, usually 224); smaller is faster",
    )
    group.add_argument(
        "--dim", metavar="N", type=int, help="length of tfidf embeddings (default: 256)"
    )
    group.add_argument(
        "--seed", metavar="S", type=int, default=0, help="seed for random weights and for tfidf"
    )


def _add_speed_arguments(group: Any) -> None:
    group.add_argument(
        "--batch-size", metavar="N", type=int, default=64, help="(default: %(default)s)"
    )
    group.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help="processes that load images (default: depends on the machine)",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    group.add_argument(
        "--precision",
        choices=("auto", "float32", "float16", "bfloat16"),
        default="auto",
        help="arithmetic used by the network (default: float16 on CUDA, float32 elsewhere)",
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a progress bar (default: on a terminal)",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select extract``."""
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise ValueError(f"--out {args.out} is a file; expected a folder for the embeddings")
    from spectral_select.integrations.data.texts import TextDataset
    from spectral_select.integrations.models.backbones import build_backbone
    from spectral_select.integrations.models.embedding_extraction import (
        check_device,
        extract_embeddings,
    )

    check_device(args.device)
    data = load_from_arguments(args)
    if isinstance(data, TextDataset):
        return extract_texts(args, data)
    if args.dim is not None:
        raise ValueError(f"--dim is for texts; got images and --dim {args.dim}")
    split = data.split(args.split or "train")
    backbone, transform, _ = build_backbone(
        args.backbone or "resnet50",
        args.weights or "default",
        image_size=args.image_size,
        seed=args.seed,
        revision=args.revision,
        trust_remote_code=args.trust_remote_code,
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
        meta=described(args, data),
    )
    report(store, args.out, time.perf_counter() - start)
    return 0
