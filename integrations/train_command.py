"""The command train: methods compared on one data set, with table, JSON and picture."""

import argparse
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectral_select.integrations.dataset_arguments import (
    add_dataset_arguments,
    load_from_arguments,
)

if TYPE_CHECKING:
    from spectral_select.integrations.datasets import ImageDataset
    from spectral_select.integrations.train_config import TrainConfig

__all__ = ["add_arguments", "run"]

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
  spectral-select train oxford-pet --weights default --lr 0.001 --lr-schedule constant \\
      --image-size 224                          # the SALN paper's setting
"""

# Where the general defaults are not sensible. At 32 px a step costs a fixed amount that
# small batches do not pay off, hence the larger candidate batches.
_DEFAULTS: dict[str, dict[str, int]] = {
    "digits": {"image_size": 32, "candidate_size": 320, "epochs": 12},
    "cifar10": {"image_size": 32, "candidate_size": 320, "epochs": 25},
}
_GENERAL = {"image_size": 112, "candidate_size": 128, "epochs": 25}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select train``."""
    from spectral_select.integrations.methods import get_method, method_names

    parser.description = _DESCRIPTION
    listed = [f"  {name:<12}{get_method(name).summary}" for name in method_names()]
    parser.epilog = "\n".join(["methods:", *listed, "", _EPILOG])
    add_dataset_arguments(parser)
    parser.add_argument(
        "--out",
        "-o",
        metavar="FOLDER",
        help="folder for the results (default: a new one under runs/); results that are in it "
        "already are kept as results.previous.json",
    )
    choice = parser.add_argument_group("what is compared")
    choice.add_argument(
        "--methods",
        metavar="M",
        nargs="+",
        default=["full", "random", "fiedler"],
        help="see below (default: full random fiedler)",
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
    features = parser.add_argument_group("the features that methods choose by")
    features.add_argument(
        "--features",
        metavar="STORE",
        help="folder written by extract from the same data set, split train (default: for "
        "digits the pixels; else extracted into FOLDER/features first)",
    )
    features.add_argument(
        "--backbone", metavar="NAME", default="resnet50", help="for extracting them"
    )
    features.add_argument(
        "--backbone-weights", metavar="W", default="default", help="as --weights of extract"
    )
    features.add_argument(
        "--backbone-size", metavar="PX", type=int, help="as --image-size of extract"
    )
    speed = parser.add_argument_group("speed")
    speed.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    speed.add_argument("--amp", action="store_true", help="mixed precision")
    speed.add_argument(
        "--channels-last",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="memory layout (default: on CUDA)",
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
        help="memory for decoded images, of each method (default: %(default)s)",
    )
    speed.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a progress bar (default: on a terminal)",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select train``."""
    from spectral_select.integrations.methods import FEATURES, check_methods
    from spectral_select.integrations.train_run import Comparison

    methods = check_methods(args.methods)
    seeds = _check_seeds(args.seeds)
    out = _folder(args)
    config = _config(args)
    data = load_from_arguments(args)
    if len(data.train) < config.candidate_size:
        raise ValueError(
            f"--candidate-size must be at most {len(data.train)}, the number of training "
            f"images; got {config.candidate_size}"
        )
    _check_network(config, data)
    out.mkdir(parents=True, exist_ok=True)
    wanted = any(FEATURES in method.needs for method in methods)
    features, origin = _features(args, data, out, config) if wanted else (None, _NO_FEATURES)
    comparison = Comparison(
        out, config, data, methods, seeds, features=features, origin=origin, progress=args.progress
    )
    return comparison.run()


_NO_FEATURES = {"source": None, "seconds": 0.0, "dim": None}


def _check_seeds(seeds: list[int]) -> list[int]:
    if min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise ValueError(
            f"--seeds must be different integers of at least 0; got {' '.join(map(str, seeds))}"
        )
    return seeds


def _folder(args: argparse.Namespace) -> Path:
    if args.out is not None:
        out = Path(args.out)
        if out.exists() and not out.is_dir():
            raise ValueError(f"--out {out} is a file; expected a folder for the results")
        return out
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{Path(args.dataset).resolve().name}-{stamp}"


def _config(args: argparse.Namespace) -> "TrainConfig":
    from spectral_select.integrations.augment import Augmentation
    from spectral_select.integrations.features import check_device
    from spectral_select.integrations.provenance import n_cores
    from spectral_select.integrations.train_config import TrainConfig

    device = check_device(args.device)
    cuda = device.type == "cuda"
    default = _DEFAULTS.get(args.dataset, _GENERAL)

    def given(name: str) -> int:
        value = getattr(args, name)
        return default[name] if value is None else value

    # A mirrored digit is another sign, and a grey image has no colour to change.
    plain = {"flip": 0.0, "saturation": 0.0, "hue": 0.0} if args.dataset == "digits" else {}
    return TrainConfig(
        model=args.model,
        weights=args.weights,
        image_size=given("image_size"),
        small_input=args.small_input,
        epochs=given("epochs"),
        candidate_size=given("candidate_size"),
        filter_ratio=args.filter_ratio,
        lr=args.lr,
        lr_schedule=args.lr_schedule,
        momentum=args.momentum,
        weight_decay=args.weight_decay,
        augmentation=None if args.no_augment else Augmentation(**plain),
        device=device,
        amp=args.amp,
        channels_last=cuda if args.channels_last is None else args.channels_last,
        prefetch=(2 if cuda else 0) if args.prefetch is None else args.prefetch,
        cache_bytes=args.cache_mb * 2**20,
        n_threads=min(8, n_cores()),
    )


def _check_network(config: "TrainConfig", data: "ImageDataset") -> None:
    """Build the network once and run it on an image, so that no mistake shows up late."""
    import torch

    from spectral_select.integrations.backbones import build_classifier

    model = build_classifier(
        config.model, len(data.classes), config.weights, small_input=config.small_input
    ).eval()
    try:
        with torch.no_grad():
            model(torch.zeros(1, 3, config.image_size, config.image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(
            f"{config.model} does not take images of {config.image_size} px "
            f"({str(error).splitlines()[0]}); try another --image-size"
        ) from error


def _features(
    args: argparse.Namespace, data: "ImageDataset", out: Path, config: "TrainConfig"
) -> tuple[Any, dict[str, Any]]:
    """Return the features of the training images and what is known of their origin."""
    import numpy as np

    from spectral_select.integrations.store import EmbeddingStore

    if args.features is not None:
        store = EmbeddingStore.open(args.features)
        store.check_matches(data.train)
        return store.features, _origin(store)
    if args.dataset == "digits":
        start = time.perf_counter()
        pixels = np.stack(
            [
                np.asarray(image)[..., 0]
                for image, _ in map(data.train.__getitem__, range(len(data.train)))
            ]
        )
        table = pixels.reshape(len(pixels), -1).astype(np.float32)
        seconds = time.perf_counter() - start
        return table, {"source": "pixel values", "seconds": seconds, "dim": table.shape[1]}
    from spectral_select.integrations.backbones import build_backbone
    from spectral_select.integrations.features import extract_embeddings

    backbone, transform, _ = build_backbone(
        args.backbone, args.backbone_weights, image_size=args.backbone_size
    )
    store = extract_embeddings(
        data.train,
        backbone,
        out / "features",
        transform=transform,
        device=config.device,
        progress=args.progress,
    )
    return store.features, _origin(store)


def _origin(store: Any) -> dict[str, Any]:
    meta = store.meta
    network = f"{meta.get('backbone', 'unknown')} ({meta.get('weights', 'unknown weights')})"
    known = {key: meta.get(key) for key in ("fingerprint", "weights_hash", "image_size")}
    known |= {"seconds": meta.get("seconds"), "dim": meta["dim"]}
    return {"source": f"embeddings by {network}"} | known
