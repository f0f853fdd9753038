"""Training one network by several selection methods under equal conditions.

For every seed all methods start from the same weights, see the same candidate batches
in the same order, take the same number of optimiser steps at the same learning rates,
and change a given image in a given epoch alike. They take turns epoch by epoch, so a
machine that others use slows all of them alike.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import perf_counter
from typing import Any

from torch import Tensor

from spectral_select.integrations.backbones import build_classifier, hash_weights
from spectral_select.integrations.decoded import DecodedImages
from spectral_select.integrations.methods import Method
from spectral_select.integrations.train_config import TrainConfig
from spectral_select.integrations.trainer import Trainer, evaluate

__all__ = ["compare"]


def compare(
    config: TrainConfig,
    data: Any,
    methods: Sequence[Method],
    *,
    features: Any = None,
    seeds: Sequence[int] = (0,),
    on_step: Callable[[str, int, int, int, Tensor, Tensor], object] | None = None,
    on_epoch: Callable[[list[dict[str, Any]]], object] | None = None,
) -> list[dict[str, Any]]:
    """Train a network by each method from each seed, under equal conditions.

    Parameters
    ----------
    config : TrainConfig
        What they share.
    data : ImageDataset
        With ``train``, ``val``, ``test`` and ``classes``.
    methods : sequence of Method
        The methods compared.
    features : array of shape (n, d), optional
        Of ``data.train``; needed if a method needs them.
    seeds : sequence of int, default=(0,)
        One run of every method from each.
    on_step : callable, optional
        Called with method, seed, epoch, number of samples, mean loss and right answers.
    on_epoch : callable, optional
        Called with all runs so far when every method has finished one more epoch.

    Returns
    -------
    list of dict
        One run each: ``method``, ``seed``, ``status``, ``initial_weights`` (a hash),
        ``history`` by epoch, and ``final``, the results on train, val and test.
    """
    parts = {
        name: DecodedImages(
            getattr(data, name),
            config.image_size,
            cache_bytes=config.cache_bytes,
            n_threads=config.n_threads,
        )
        for name in ("train", "val", "test")
    }
    runs: list[dict[str, Any]] = []
    with ExitStack() as pools:
        for images in parts.values():
            pools.callback(images.close)
        for seed in seeds:
            initial = build_classifier(
                config.model,
                len(data.classes),
                config.weights,
                small_input=config.small_input,
                seed=seed,
            )
            trainers = [
                Trainer(
                    config, data.train, method, copy.deepcopy(initial), features=features, seed=seed
                )
                for method in methods
            ]
            start = hash_weights(initial)
            new: list[dict[str, Any]] = [
                {
                    "method": trainer.method.name,
                    "seed": seed,
                    "needs": sorted(trainer.method.needs),
                    "status": "running",
                    "initial_weights": start,
                    "history": [],
                    "final": None,
                }
                for trainer in trainers
            ]
            runs += new
            with ExitStack() as own:
                for trainer in trainers:
                    own.callback(trainer.images.close)
                for trainer in trainers:
                    trainer.warm_up()
                for epoch in range(config.epochs):
                    for trainer, run in zip(trainers, new, strict=True):
                        _take_turn(config, data, parts, trainer, run, epoch, on_step)
                    if on_epoch is not None:
                        on_epoch(runs)
    return runs


def _take_turn(
    config: TrainConfig,
    data: Any,
    parts: dict[str, DecodedImages],
    trainer: Trainer,
    run: dict[str, Any],
    epoch: int,
    on_step: Any,
) -> None:
    """Train one method for an epoch, evaluate it, and enter both into its run."""
    report = _bind(on_step, trainer.method.name, trainer.seed, epoch)
    record = trainer.train_epoch(epoch, report)
    begin = perf_counter()
    for name in ("val", "test"):
        record[name] = evaluate(trainer.model, parts[name], getattr(data, name).labels, config)
    if epoch == config.epochs - 1:
        trained = evaluate(trainer.model, parts["train"], data.train.labels, config)
        run["final"] = {"train": trained, "val": record["val"], "test": record["test"]}
        run["status"] = "complete"
    record["seconds"]["evaluation"] = perf_counter() - begin
    run["history"].append(record)


def _bind(function: Any, method: str, seed: int, epoch: int) -> Any:
    if function is None:
        return None
    return lambda n, loss, right: function(method, seed, epoch, n, loss, right)
