"""The train command: compare methods on one dataset; write a table, JSON and curves."""

import argparse
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectral_select.integrations.commands.train_arguments import add_arguments
from spectral_select.integrations.commands.train_features import (
    announce,
    load_training_data,
    selection_features,
)
from spectral_select.integrations.records.run_records import InputRecord, Results

if TYPE_CHECKING:
    import torch

    from spectral_select.integrations.commands.train_session import Comparison, OutputOptions
    from spectral_select.integrations.data.labeled_dataset import LabeledDataset
    from spectral_select.integrations.runtime.distributed import Ranks
    from spectral_select.integrations.training.config import TrainConfig
    from spectral_select.integrations.training.reference_model import Reference

__all__ = ["add_arguments", "run", "run_comparison"]

# Datasets that need different defaults. At 32 px, the fixed cost of a step dominates if batches
# are small, so candidate batches are larger than for other datasets.
_DEFAULTS: dict[str, dict[str, int]] = {
    "digits": {"image_size": 32, "candidate_size": 320, "epochs": 12},
    "cifar10": {"image_size": 32, "candidate_size": 320, "epochs": 25},
}
_GENERAL = {"image_size": 112, "candidate_size": 128, "epochs": 25}
_TABLE = {"image_size": None, "candidate_size": 128, "epochs": 25}


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select train``."""
    from spectral_select.integrations.models.embedding_extraction import check_device
    from spectral_select.integrations.runtime.distributed import local_rank, process_group

    device = check_device(args.device)
    if device.type == "cuda" and device.index is None and local_rank() is not None:
        device = check_device(f"cuda:{local_rank()}")
    with process_group(device) as ranks:
        comparison = _prepare(args, device, ranks)
        return comparison.run()


def _prepare(args: argparse.Namespace, device: "torch.device", ranks: "Ranks") -> "Comparison":
    """Check all inputs, create missing features and reference models, and set up the comparison."""
    from spectral_select.integrations.commands.train_session import Comparison, check_resumable
    from spectral_select.integrations.methods import CLEAN, FEATURES, REFERENCE, check_methods

    methods = check_methods(args.methods)
    seeds = _check_seeds(args.seeds)
    options = _output_options(args)
    out = _folder(args)
    if ranks.size > 1 and args.out is None and args.resume is None:
        raise ValueError("--out is required with multiple processes, which share the folder")
    config = _config(args, device, ranks.size)
    with ranks.one_after_another():
        data = load_training_data(args, config)
    if len(data.train) < config.candidate_size:
        raise ValueError(
            f"--candidate-size must be at most {len(data.train)}, the number of training "
            f"{data.unit}; got {config.candidate_size}"
        )
    if not config.takes_features:
        _check_network(config, data)
    if options.resume:
        check_resumable(out, config, data, methods, seeds)
    wanted = {need for method in methods for need in method.needs}
    for method in methods:
        if CLEAN in method.needs and not len(data.val):
            raise ValueError(
                f"method {method.spec!r} needs validation {data.unit} as its clean set; got none: "
                "increase --val-fraction"
            )
    reference = _given_reference(args, data) if REFERENCE in wanted else None
    with ranks.one_after_another():
        out.mkdir(parents=True, exist_ok=True)
        features, origin = None, InputRecord(seconds=0.0, extra={"dim": None})
        if FEATURES in wanted:
            features, origin = selection_features(args, data, out, config)
        if REFERENCE in wanted and reference is None:
            reference = _reference(args, data, out, config)
    return Comparison(
        out,
        config,
        data,
        methods,
        seeds,
        features=features,
        origin=origin,
        reference=reference,
        progress=args.progress,
        options=options,
    )


def run_comparison(dataset: str, **options: Any) -> Results:
    """Run ``spectral-select train`` in this process.

    Parameters
    ----------
    dataset : str
        Name of a dataset, ``hf-dataset:`` and the path of a Hugging Face dataset, or the path of
        a folder of images, a store or a table of features.
    **options
        Options of the command, with underscores instead of hyphens: ``out``, ``methods``,
        ``seeds``, ``filter_ratio``, ``epochs``, … Options that are not given have the command's
        defaults.

    Returns
    -------
    Results
        The content of ``results.json``.

    Raises
    ------
    TypeError
        If an option does not exist.
    ValueError
        If the command would reject the value of an option.
    KeyboardInterrupt
        If the run was interrupted; pass ``resume=True`` to resume it.
    """
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    args = parser.parse_args([os.fspath(dataset)])
    unknown = options.keys() - vars(args).keys() - {"dataset"}
    if unknown:
        raise TypeError(f"train has no option {min(unknown)!r}")
    if isinstance(options.get("resume"), bool):
        options["resume"] = "" if options["resume"] else None
    vars(args).update(options)
    from spectral_select.integrations.models.embedding_extraction import check_device
    from spectral_select.integrations.runtime.distributed import ONE

    comparison = _prepare(args, check_device(args.device), ONE)
    if comparison.run():
        raise KeyboardInterrupt
    return comparison.results


def _check_seeds(seeds: list[int]) -> list[int]:
    if min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise ValueError(
            f"--seeds must be distinct nonnegative integers; got {' '.join(map(str, seeds))}"
        )
    return seeds


def _output_options(args: argparse.Namespace) -> "OutputOptions":
    from spectral_select._utils.validation import check_positive_int
    from spectral_select.integrations.commands.train_session import OutputOptions

    if args.checkpoint_every is not None:
        check_positive_int(args.checkpoint_every, "--checkpoint-every")
    if args.tensorboard:
        import torch.utils.tensorboard  # noqa: F401  (fails early if missing)
    return OutputOptions(
        args.resume is not None,
        args.checkpoint_every,
        args.keep_checkpoints,
        args.save_models,
        args.tensorboard,
    )


def _folder(args: argparse.Namespace) -> Path:
    if args.resume:
        out = Path(args.resume)
        if args.out is not None and Path(args.out).resolve() != out.resolve():
            raise ValueError(f"--resume {out} and --out {args.out} must be the same folder")
        if not out.is_dir():
            raise ValueError(f"--resume {out}: the folder does not exist")
        return out
    if args.out is not None:
        out = Path(args.out)
        if out.exists() and not out.is_dir():
            raise ValueError(f"--out {out} is a file; expected a folder for the results")
        return out
    if args.resume is not None:
        raise ValueError("--resume needs the run's folder: --resume FOLDER, or --out FOLDER")
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    name = Path(args.dataset.rpartition(":")[2]).resolve().name
    return Path("runs") / f"{name}-{stamp}"


def _config(args: argparse.Namespace, device: "torch.device", n_ranks: int) -> "TrainConfig":
    from spectral_select.integrations.data.augmentation import Augmentation
    from spectral_select.integrations.data.feature_files import holds_features
    from spectral_select.integrations.runtime.provenance import n_cores
    from spectral_select.integrations.training.config import TrainConfig

    cuda = device.type == "cuda"
    table = holds_features(args.dataset)
    default = _TABLE if table else _DEFAULTS.get(args.dataset, _GENERAL)
    model = _model(args, table)

    def given(name: str) -> Any:
        value = getattr(args, name)
        return default[name] if value is None else value

    # A mirrored digit is no longer that digit, and a gray image has no color to change.
    plain = {"flip": 0.0, "saturation": 0.0, "hue": 0.0} if args.dataset == "digits" else {}
    return TrainConfig(
        model=model,
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
        clip_norm=args.clip_norm,
        evaluate_every=args.evaluate_every,
        augmentation=None if args.no_augment or table else Augmentation(**plain),
        device=device,
        amp=args.amp,
        # Compiled steps choose layouts themselves; channels_last fails on 1 × 1 maps in torch 2.11.
        channels_last=(
            cuda and not args.compile and not table
            if args.channels_last is None
            else args.channels_last
        ),
        compile=args.compile,
        n_ranks=n_ranks,
        prefetch=(2 if cuda else 0) if args.prefetch is None else args.prefetch,
        cache_bytes=args.cache_mb * 2**20,
        n_threads=max(1, min(8, n_cores() // n_ranks)),
    )


def _model(args: argparse.Namespace, table: bool) -> str:
    """Return the name of the network, which must accept the dataset's images or features."""
    from spectral_select.integrations.models.heads import HEADS

    if args.model is None:
        return HEADS[0] if table else "resnet18"
    model: str = args.model
    if table and model not in HEADS:
        raise ValueError(
            f"--model {model} is for images, but {args.dataset} holds features; "
            f"expected {' or '.join(HEADS)}"
        )
    if model in HEADS and not table:
        raise ValueError(
            f"--model {model} takes features, but {args.dataset} is not a store or a table; "
            f"extract the embeddings first: spectral-select extract {args.dataset} --out STORE"
        )
    return model


def _check_network(config: "TrainConfig", data: "LabeledDataset") -> None:
    """Build the network once and run it on an image, so that mistakes are reported early."""
    import torch

    from spectral_select.integrations.models.backbones import build_classifier

    model = build_classifier(
        config.model, len(data.classes), config.weights, small_input=config.small_input
    ).eval()
    size = config.image_size or 0
    try:
        with torch.no_grad():
            model(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(
            f"{config.model} does not accept {size} px images "
            f"({str(error).splitlines()[0]}); try a different --image-size"
        ) from error


def _given_reference(args: argparse.Namespace, data: "LabeledDataset") -> "Reference | None":
    """Return the user's reference model, or check the options for training one."""
    from spectral_select._utils.validation import check_positive_int
    from spectral_select.integrations.training.reference_model import Reference

    if args.reference is not None:
        return Reference.open(args.reference, data.train)
    if args.reference_epochs is not None:
        check_positive_int(args.reference_epochs, "--reference-epochs")
    return None


def _reference(
    args: argparse.Namespace, data: "LabeledDataset", out: Path, config: "TrainConfig"
) -> "Reference":
    """Train a reference model for these runs, or return a model trained earlier."""
    from spectral_select.integrations.training.reference_training import train_reference

    epochs, folder = args.reference_epochs, out / "reference"
    announce(folder, "training the reference model, one network on each half of the data")
    return train_reference(config, data, folder, epochs=epochs, progress=args.progress)
