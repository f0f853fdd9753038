"""Accuracy and loss of a network on one split of the data."""

from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from spectral_select.integrations.data.decoding import to_device
from spectral_select.integrations.records.run_records import Measurement
from spectral_select.integrations.runtime.distributed import ONE, Ranks
from spectral_select.integrations.training.config import TrainConfig
from spectral_select.integrations.training.inputs import Inputs, network_input

__all__ = ["amp_dtype", "evaluate", "plain"]

_BATCH = 256


def evaluate(
    model: nn.Module,
    inputs: Inputs,
    labels: Any,
    config: TrainConfig,
    ranks: Ranks = ONE,
) -> Measurement:
    """Return a model's accuracy and mean cross-entropy on one split of the data.

    Parameters
    ----------
    model : Module
        The model; its mode is restored afterwards.
    inputs : DecodedImages or FeatureInputs
        The images or rows in the split.
    labels : array of int, shape (n,)
        Class label of each sample.
    config : TrainConfig
        Determines the device and memory layout.
    ranks : Ranks, optional
        Processes that share the work, each with the same model; by default, only this one.

    Returns
    -------
    Measurement
        Accuracy and loss, or None for both if there are no samples.
    """
    n = len(inputs)
    if not n:
        return Measurement(count=0, accuracy=None, loss=None)
    device = config.device
    known = to_device(torch.as_tensor(np.asarray(labels)), device)
    # The sums stay on the device, so that the host waits for the device only once.
    loss, correct = torch.zeros(2, device=device, dtype=torch.float64)
    was_training = model.training
    model.eval()
    with (
        torch.no_grad(),
        torch.autocast(device.type, dtype=amp_dtype(device), enabled=config.amp),
    ):
        for start in range(ranks.rank * _BATCH, n, ranks.size * _BATCH):
            part = np.arange(start, min(start + _BATCH, n))
            batch = network_input(inputs.take(part), config, None)
            expected = known[part[0] : part[-1] + 1]
            logits = model(batch).float()
            loss += functional.cross_entropy(logits, expected, reduction="sum")
            correct += (logits.argmax(1) == expected).sum()
    model.train(was_training)
    total, right = ranks.sum([loss.item(), correct.item()])
    return Measurement(count=n, accuracy=right / n, loss=plain(total / n))


def amp_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype for mixed precision: bfloat16 if supported, otherwise float16."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


def plain(number: float) -> float | None:
    """Return a number for JSON, or None if it is not finite."""
    return number if isfinite(number) else None
