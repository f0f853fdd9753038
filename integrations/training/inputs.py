"""The network of a comparison and its inputs: images for a CNN, rows of features for a head."""

from typing import Any

import torch
from torch import Tensor, nn

from spectral_select.integrations.data.augmentation import normalize
from spectral_select.integrations.data.decoding import DecodedImages
from spectral_select.integrations.data.feature_rows import FeatureInputs
from spectral_select.integrations.models.backbones import build_classifier
from spectral_select.integrations.models.heads import build_head
from spectral_select.integrations.training.config import TrainConfig

__all__ = ["Inputs", "build_network", "network_input", "open_inputs"]

Inputs = DecodedImages | FeatureInputs


def build_network(config: TrainConfig, data: Any, *, seed: int) -> nn.Module:
    """Build the network in its initial state.

    Parameters
    ----------
    config : TrainConfig
        Names the network.
    data : LabeledDataset
        The dataset, with ``classes``; for a head, a `FeatureDataset`.
    seed : int
        Seed for the initial weights.

    Returns
    -------
    Module
        In training mode.
    """
    if config.takes_features:
        return build_head(config.model, data.train_features, len(data.classes), seed=seed)
    return build_classifier(
        config.model, len(data.classes), config.weights, small_input=config.small_input, seed=seed
    )


def open_inputs(dataset: Any, config: TrainConfig, *, cache_bytes: int | None = None) -> Inputs:
    """Return the images or rows of a split, to be loaded by index.

    Parameters
    ----------
    dataset : map-style dataset
        A split, or a part of one.
    config : TrainConfig
        Determines the size of images, the device and the number of threads.
    cache_bytes : int, optional
        Maximum memory; by default, the value in `config`.

    Returns
    -------
    DecodedImages or FeatureInputs
    """
    cache_bytes = config.cache_bytes if cache_bytes is None else cache_bytes
    if config.image_size is None:
        return FeatureInputs(dataset, cache_bytes=cache_bytes, device=config.device)
    return DecodedImages(
        dataset,
        config.image_size,
        cache_bytes=cache_bytes,
        n_threads=config.n_threads,
        device=config.device,
    )


def network_input(batch: Tensor, config: TrainConfig, draws: Tensor | None) -> Tensor:
    """Convert pixels to network input: augment them if there are draws, and normalize.

    Parameters
    ----------
    batch : Tensor of shape (n, 3, height, width), uint8, or (n, d)
        Images on the device; rows of features are returned as they are.
    config : TrainConfig
        Determines the augmentation and memory layout.
    draws : Tensor of shape (n, N_DRAWS) or None
        Random draws for the augmentation; None disables it.

    Returns
    -------
    Tensor of the same shape, float32
    """
    if config.takes_features:
        return batch
    images = batch.to(torch.float32).div_(255)
    with torch.no_grad():
        if draws is not None and config.augmentation is not None:
            images = config.augmentation(images, draws)
        images = normalize(images)
    if config.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    return images
