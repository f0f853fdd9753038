"""Train a reference model by cross-fitting, and store its outputs."""

import hashlib
import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from spectral_select._utils.atomic_files import remove_leftovers, write_atomically
from spectral_select._utils.folders import StoreError, inside
from spectral_select._utils.json_files import write_json_atomically
from spectral_select._utils.locks import FolderLock
from spectral_select._utils.manifest import Manifest
from spectral_select._utils.progress_bar import ProgressBar, progress_bar
from spectral_select._utils.validation import check_positive_int
from spectral_select.integrations.data.part import Part
from spectral_select.integrations.data.splits import stratified_split
from spectral_select.integrations.methods import get_method
from spectral_select.integrations.models.pretrained_weights import hash_weights
from spectral_select.integrations.runtime.provenance import describe_versions
from spectral_select.integrations.training.budget import Budget
from spectral_select.integrations.training.config import TrainConfig
from spectral_select.integrations.training.evaluation import amp_dtype
from spectral_select.integrations.training.inputs import (
    build_network,
    network_input,
    open_inputs,
)
from spectral_select.integrations.training.model_outputs import model_outputs
from spectral_select.integrations.training.reference_model import (
    COSINES,
    LOGITS,
    META,
    Reference,
    ReferenceIdentity,
    ReferenceRecord,
    hash_array,
    outputs_of,
)
from spectral_select.integrations.training.trainer import Trainer

__all__ = ["train_reference"]

_BATCH = 256
_MIN_SAMPLES = 4  # batch normalization needs two samples in each half
# Settings that do not change the reference: they affect only speed, or only the learners.
_NOT_ITS_OWN = {
    "amp",
    "cache_bytes",
    "channels_last",
    "compile",
    "device",
    "filter_ratio",
    "n_ranks",
    "n_threads",
    "prefetch",
}


def train_reference(
    config: TrainConfig,
    data: Any,
    folder: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    seed: int = 0,
    progress: bool | None = False,
) -> Reference:
    """Train a reference model by cross-fitting, or open the one already in the folder.

    For each half of the training data, a network is trained on that half and scores the other,
    without augmentation. If the process is killed, the folder remains incomplete, and the same
    call resumes with the network that was interrupted. If another process is training in the
    folder, the call waits for it.

    Parameters
    ----------
    config : TrainConfig
        Training configuration; `filter_ratio` is ignored. If `candidate_size` is larger than
        half of the data, it is reduced to half of the data.
    data : LabeledDataset
        The dataset, with ``train`` and ``classes``; validation and test data are not used.
    folder : path
        Folder for the reference, created if necessary.
    epochs : int, optional
        Number of epochs for each network; by default, the value in `config`.
    seed : int, default=0
        Seed for the split into halves and for training both networks.
    progress : bool, optional
        Whether to show a progress bar; None shows it only on a terminal.

    Returns
    -------
    Reference

    Raises
    ------
    StoreError
        If the folder contains a damaged reference, or one for different data or settings.
    ValueError
        If there are fewer than four samples, or a network diverges.
    """
    folder, dataset, n_classes = Path(folder), data.train, len(data.classes)
    epochs = check_positive_int(config.epochs if epochs is None else epochs, "epochs")
    if len(dataset) < _MIN_SAMPLES:
        raise ValueError(
            f"a reference model needs at least {_MIN_SAMPLES} training samples; got {len(dataset)}"
        )
    halves = stratified_split(np.asarray(dataset.labels), len(dataset) // 2, [seed, 0])
    size = min(config.candidate_size, len(halves[1]))
    config = replace(
        config, epochs=epochs, candidate_size=size, filter_ratio=0.0, n_ranks=1, compile=False
    )
    # The networks are initialized differently from learners with the same seed.
    networks = [build_network(config, data, seed=_stream(seed, half)) for half in (0, 1)]
    identity = _identity(config, dataset, n_classes, seed, networks)
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; expected a folder for the reference model")
    if found := _find(folder, dataset, identity):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with closing(FolderLock(folder, wait=True)):
        if found := _find(folder, dataset, identity):  # another process trained it
            return found
        remove_leftovers(folder)
        total = len(dataset) + sum(_n_images(config, half) for half in halves)
        with progress_bar(total, desc="reference", unit="images", enabled=progress) as bar:
            meta = _train(config, dataset, n_classes, halves, networks, identity, folder, bar)
        write_json_atomically(folder / META, meta.to_json())
    return Reference.open(folder, dataset)


def _n_images(config: TrainConfig, half: Any) -> int:
    """Return how many images a network trains on, over all epochs."""
    return Budget.of(get_method("full"), config, len(half)).n_images


def _stream(seed: int, half: int) -> int:
    return int(np.random.SeedSequence([seed, 1 + half]).generate_state(1)[0])


def _identity(
    config: TrainConfig, dataset: Any, n_classes: int, seed: int, networks: list[nn.Module]
) -> ReferenceIdentity:
    own = {k: v for k, v in config.describe().items() if k not in _NOT_ITS_OWN}
    return ReferenceIdentity(
        count=len(dataset),
        n_classes=n_classes,
        fingerprint=getattr(dataset, "fingerprint", None),
        seed=seed,
        initial_weights=[hash_weights(network) for network in networks],
        config=own,
    )


def _find(folder: Path, dataset: Any, identity: ReferenceIdentity) -> Reference | None:
    """Return the reference in a folder, or None; raise an error if its identity differs."""
    if not inside(folder, META).exists():
        return None
    found = Reference.open(folder, dataset)
    unlike = Manifest(found.meta.identity.to_json()).diff(Manifest(identity.to_json()))
    # Do not report different initial weights if other differences explain them.
    unlike = [text for text in unlike if not text.startswith("initial_weights")] or unlike
    if unlike:
        raise StoreError(
            f"{folder} contains a different reference model ({'; '.join(unlike)}); to use it as "
            "it is, pass it as --reference; otherwise remove it or choose another folder"
        )
    return found


def _train(
    config: TrainConfig,
    dataset: Any,
    n_classes: int,
    halves: tuple[NDArray[np.int64], NDArray[np.int64]],
    networks: list[nn.Module],
    identity: ReferenceIdentity,
    folder: Path,
    bar: ProgressBar,
) -> ReferenceRecord:
    """Train both networks, write each one's outputs on the other half, and return the record."""
    logits, cosines = np.empty((2, len(dataset), n_classes), np.float32)
    trained = scored = 0.0
    weights = []
    for half, network in enumerate(networks):
        seen, held = Part(dataset, halves[half]), Part(dataset, halves[1 - half])
        inputs = json.dumps([identity.to_json(), half], sort_keys=True)
        key = hashlib.sha256(inputs.encode()).hexdigest()
        file = inside(folder, f"model-{half}.safetensors")
        seconds = _restore(network, file, key)
        if seconds is None:
            seconds = _fit(config, seen, network, _stream(identity.seed, half), half, bar)
            _save(network, file, key, seconds)
        else:
            bar.update(_n_images(config, seen))
        trained += seconds
        begin = perf_counter()
        logits[held.indices], cosines[held.indices] = _score(config, held, network, bar)
        scored += perf_counter() - begin
        weights.append(hash_weights(network))
        network.cpu()
    outputs = outputs_of(logits, cosines, np.asarray(dataset.labels))
    bad = int((~np.isfinite(outputs.loss)).sum())
    if bad:
        raise ValueError(
            f"the reference model diverged: its loss is not finite on {bad} of {len(dataset)} "
            "samples; lower the learning rate"
        )
    for name, array in ((LOGITS, logits), (COSINES, cosines)):
        _write_array(folder / name, array)
    right = logits.argmax(axis=1) == np.asarray(dataset.labels)
    return ReferenceRecord(
        count=len(dataset),
        n_classes=n_classes,
        identity=identity,
        accuracy=float(right.mean()),
        loss=float(outputs.loss.mean(dtype=np.float64)),
        seconds=trained + scored,
        training_seconds=trained,
        scoring_seconds=scored,
        hashes={LOGITS: hash_array(logits), COSINES: hash_array(cosines)},
        weights=weights,
        versions=dict(describe_versions()),
    )


def _fit(
    config: TrainConfig, seen: Part, network: nn.Module, seed: int, half: int, bar: ProgressBar
) -> float:
    """Train a network on every sample in its half; return the duration of all epochs."""
    trainer = Trainer(config, seen, get_method("full"), network, seed=seed)
    seconds = 0.0
    with closing(trainer.inputs):
        trainer.warm_up()
        for epoch in range(trainer.budget.n_epochs):
            bar.set_postfix(network=f"{half + 1}/2", epoch=f"{epoch + 1}/{config.epochs}")
            record = trainer.train_epoch(epoch, lambda n, loss, right: bar.update(n))
            seconds += record.seconds.total
    return seconds


def _score(
    config: TrainConfig, held: Part, network: nn.Module, bar: ProgressBar
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return logits and cosines for the samples in a subset, without augmentation."""
    device = config.device
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    network.to(device, memory_format=layout).eval()  # type: ignore[call-overload]
    inputs = open_inputs(held, config, cache_bytes=0)
    labels = torch.as_tensor(held.labels).to(device)
    found = []
    with closing(inputs):
        for start in range(0, len(held), _BATCH):
            part = np.arange(start, min(start + _BATCH, len(held)))
            batch = network_input(inputs.take(part), config, None)
            with torch.autocast(device.type, dtype=amp_dtype(device), enabled=config.amp):
                found.append(model_outputs(network, batch, labels[start : start + _BATCH]))
            bar.update(len(part))
    return np.concatenate([o.logits for o in found]), np.concatenate([o.cosines for o in found])


def _save(network: nn.Module, file: Path, key: str, seconds: float) -> None:
    """Store a trained network with its training time and a key for its settings."""
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    content = save(state, metadata={"key": key, "seconds": repr(seconds)})
    write_atomically(file, lambda stream: stream.write(content))


def _restore(network: nn.Module, file: Path, key: str) -> float | None:
    """Load a network if it was stored with this key; return its training time, otherwise None."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            known = stored.metadata() or {}
            if known.get("key") != key:
                return None
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        network.load_state_dict(state)
        return float(known["seconds"])
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError):
        return None  # damaged, so it is trained again


def _write_array(path: Path, array: NDArray[Any]) -> None:
    write_atomically(path, lambda file: np.save(file, array))
