"""Heads: small classifiers whose inputs are features, such as embeddings or columns of a table."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from spectral_select._utils.validation import check_in, check_positive_int
from spectral_select.integrations.runtime.seeding import seeded

__all__ = ["HEADS", "Head", "build_head", "column_statistics"]

#: Names of the heads that `TrainConfig.model` accepts.
HEADS = ("head", "head-mlp")

_WIDTH = 256  # units in the hidden layer
_BLOCK = 4096  # rows read at a time


class Head(nn.Module):
    """A linear classifier on standardized features, with or without one hidden layer.

    Parameters
    ----------
    mean, scale : array of shape (n_features,)
        The mean is subtracted from the features, and the result is divided by the scale. The mean
        and scale are saved with the weights, so the inputs of the module are raw features.
    n_classes : int
        Number of classes.
    width : int, optional
        Number of hidden ReLU units; by default, there is no hidden layer.

    Examples
    --------
    >>> import torch
    >>> head = Head([0.0, 5.0], [1.0, 2.0], n_classes=3, width=8)
    >>> head(torch.ones(4, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(
        self, mean: ArrayLike, scale: ArrayLike, n_classes: int, width: int | None = None
    ) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.as_tensor(np.asarray(mean, np.float32)))
        self.register_buffer("scale", torch.as_tensor(np.asarray(scale, np.float32)))
        n_features = len(self.mean)
        self.hidden: nn.Module = nn.Identity()
        if width is not None:
            self.hidden = nn.Sequential(nn.Linear(n_features, width), nn.ReLU())
        self.output = nn.Linear(width or n_features, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits for rows of features.

        Parameters
        ----------
        features : Tensor of shape (n, n_features)
            Features before standardization.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        logits: Tensor = self.output(self.hidden((features - self.mean) / self.scale))
        return logits


def build_head(name: str, features: Any, n_classes: int, *, seed: int = 0) -> Head:
    """Build a head for a table of features.

    Parameters
    ----------
    name : {"head", "head-mlp"}
        "head" is linear; "head-mlp" has a hidden layer of 256 ReLU units.
    features : array of shape (n, n_features)
        The training data, whose means and standard deviations are used to standardize the head's
        inputs.
    n_classes : int
        Number of classes, at least 1.
    seed : int, default 0
        Seed for the initial weights. The global random state is not changed.

    Returns
    -------
    Head
        In training mode.

    Raises
    ------
    ValueError
        If the name is unknown, or a feature is not finite.

    Examples
    --------
    >>> build_head("head", np.eye(4), 2).output
    Linear(in_features=4, out_features=2, bias=True)
    """
    check_in(name, "name", HEADS)
    check_positive_int(n_classes, "n_classes")
    mean, scale = column_statistics(features)
    with seeded(seed):
        return Head(mean, scale, n_classes, _WIDTH if name == "head-mlp" else None).train()


def column_statistics(features: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and scale of each column; the table is read once, in blocks.

    Parameters
    ----------
    features : array of shape (n, n_features)
        The table.

    Returns
    -------
    mean : ndarray of shape (n_features,)
    scale : ndarray of shape (n_features,)
        The standard deviation, or 1 for a column that is constant up to float32 roundoff.

    Examples
    --------
    >>> column_statistics(np.array([[0.0, 3.0], [2.0, 3.0]]))
    (array([1., 3.]), array([1., 1.]))
    """
    n = len(features)
    shift = np.asarray(features[0], np.float64)  # avoids cancellation in the squares
    total, squares = np.zeros_like(shift), np.zeros_like(shift)
    for start in range(0, n, _BLOCK):
        block = np.asarray(features[start : start + _BLOCK], np.float64) - shift
        total += block.sum(axis=0)
        squares += (block**2).sum(axis=0)
    mean = total / n
    deviation = np.sqrt(np.maximum(squares / n - mean**2, 0.0))
    mean += shift
    constant = deviation <= 4 * np.finfo(np.float32).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, deviation)
