"""Features for the train command: the inputs of a head, or features only for selection."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectral_select.integrations.commands.dataset_arguments import (
    load_from_arguments,
    split_options,
)
from spectral_select.integrations.records.run_records import InputRecord

if TYPE_CHECKING:
    from spectral_select.integrations.data.feature_rows import FeatureDataset
    from spectral_select.integrations.data.labeled_dataset import LabeledDataset
    from spectral_select.integrations.training.config import TrainConfig

__all__ = ["announce", "load_training_data", "selection_features"]

_TABLE_OPTIONS = ("test", "test_labels", "labels", "key", "columns")


def load_training_data(args: argparse.Namespace, config: "TrainConfig") -> "LabeledDataset":
    """Load the images, or the table of features if the network is a head."""
    from spectral_select.integrations.data.texts import TextDataset

    if config.takes_features:
        return _load_table(args)
    for name in _TABLE_OPTIONS:
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} is for stores and tables of features; got {args.dataset}")
    data = load_from_arguments(args)
    if isinstance(data, TextDataset):
        raise ValueError(
            f"{args.dataset} holds texts; extract their embeddings first, and pass the store: "
            f"spectral-select extract {args.dataset} --out texts.store, then "
            "spectral-select train texts.store"
        )
    if data.train.labels is None:
        raise ValueError(f"{args.dataset} has no labels to train on; pass --label-column")
    return data


def _load_table(args: argparse.Namespace) -> "FeatureDataset":
    from spectral_select.integrations.data.feature_files import FeatureColumns, load_features

    if args.features is not None:
        raise ValueError(
            f"--features is for images; methods select by the features in {args.dataset}"
        )
    columns = FeatureColumns(key=args.key, columns=args.columns, labels=args.labels)
    return load_features(
        args.dataset,
        columns,
        test=args.test,
        test_labels=args.test_labels,
        options=split_options(args),
    )


def selection_features(
    args: argparse.Namespace, data: Any, out: Path, config: "TrainConfig"
) -> tuple[Any, InputRecord]:
    """Return the features of the training samples and a record of their origin.

    Parameters
    ----------
    args : Namespace
        The arguments of the command.
    data : LabeledDataset
        The dataset.
    out : Path
        Folder for the results; extracted features are written to its ``features`` folder.
    config : TrainConfig
        The configuration.

    Returns
    -------
    features : array of shape (n, d)
    origin : InputRecord
    """
    import numpy as np

    from spectral_select._features.store import EmbeddingStore

    if config.takes_features:
        # The features are the network's inputs, so they cost nothing extra.
        table = data.train_features
        origin = {"dim": table.shape[1], "fingerprint": data.train.fingerprint}
        return table, InputRecord(source="the network's inputs", seconds=0.0, extra=origin)
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
        dim = {"dim": table.shape[1]}
        return table, InputRecord(source="pixel values", seconds=seconds, extra=dim)
    from spectral_select.integrations.models.backbones import build_backbone
    from spectral_select.integrations.models.embedding_extraction import extract_embeddings

    backbone, transform, _ = build_backbone(
        args.backbone, args.backbone_weights, image_size=args.backbone_size
    )
    announce(out / "features", f"extracting the features of {len(data.train)} images")
    store = extract_embeddings(
        data.train,
        backbone,
        out / "features",
        transform=transform,
        device=config.device,
        progress=args.progress,
    )
    return store.features, _origin(store)


def announce(folder: Path, what: str) -> None:
    """Announce work that takes minutes before the first epoch, unless it was already started."""
    if not folder.exists():
        print(f"{what}, once, into {folder}", flush=True)


def _origin(store: Any) -> InputRecord:
    meta = store.meta
    network = f"{meta.get('backbone', 'unknown')} ({meta.get('weights', 'unknown weights')})"
    known = {key: meta.get(key) for key in ("fingerprint", "weights_hash", "image_size")}
    return InputRecord(
        source=f"embeddings by {network}",
        seconds=meta.get("seconds"),
        extra=known | {"dim": meta["dim"]},
    )
