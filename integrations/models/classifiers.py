"""Build torchvision networks as classifiers to train."""

import os

import torchvision
from torch import nn

from spectral_select.integrations.models.libraries.request import check_seed
from spectral_select.integrations.models.pretrained_weights import resolve_weights
from spectral_select.integrations.models.torchvision_networks import (
    check_name,
    construct,
    last_layer,
)
from spectral_select.integrations.runtime.seeding import seeded

__all__ = ["build_classifier"]


def build_classifier(
    name: str,
    n_classes: int,
    weights: str | os.PathLike[str] = "random",
    *,
    small_input: bool = False,
    seed: int = 0,
) -> nn.Module:
    """Build a torchvision classifier with a new last layer for `n_classes` classes.

    Parameters
    ----------
    name : str
        A torchvision classification model.
    n_classes : int
        Number of classes, at least 1.
    weights : str or path, default "random"
        As for `build_backbone`. The last layer is always new. With pretrained weights, it is
        initialized to 0, so that the first steps do not damage the pretrained layers.
    small_input : bool, default False
        Adapt a ResNet to images of about 32 px: replace the first convolution with a 3 × 3 one
        of stride 1, and remove the max-pooling layer.
    seed : int, default 0
        Seed for initializing random layers. The global random state is not changed.

    Returns
    -------
    Module
        In training mode; its output is logits of shape (n, n_classes). Auxiliary classifiers
        (GoogLeNet, Inception) are disabled, so the output is always a tensor. The ReLU after
        SqueezeNet's last layer is removed, because it would set negative logits to 0.

    Raises
    ------
    ValueError, FileNotFoundError
        As for `build_backbone`.

    Examples
    --------
    >>> import torch
    >>> network = build_classifier("resnet18", 10, small_input=True)
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    check_name(name)
    check_seed(seed)
    if isinstance(n_classes, bool) or not isinstance(n_classes, int) or n_classes < 1:
        raise ValueError(f"n_classes must be a positive integer; got {n_classes!r}")
    resolved = resolve_weights(name, weights)
    with seeded(seed):
        network = construct(name, resolved)
        head = last_layer(network)
        resolved.load_into(network, name, except_layer=head)
        new = _new_last_layer(network.get_submodule(head), n_classes)
        network.set_submodule(head, new)
        if resolved.kind != "random":
            # A random layer would send large gradients into the pretrained layers. A zero layer
            # sends no gradient in the first step, and small gradients while it learns.
            for parameter in new.parameters():
                nn.init.zeros_(parameter)
        if isinstance(network, torchvision.models.SqueezeNet):
            # The ReLU after the last layer would block the gradient wherever a logit is 0.
            network.classifier[2] = nn.Identity()
        if small_input:
            _adapt_to_small_images(network, name)
    if hasattr(network, "num_classes"):
        network.num_classes = n_classes  # type: ignore[assignment]
    return network.train()


def _new_last_layer(layer: nn.Module, n_classes: int) -> nn.Module:
    if isinstance(layer, nn.Conv2d):  # SqueezeNet; initialized as in torchvision
        new = nn.Conv2d(layer.in_channels, n_classes, layer.kernel_size)  # type: ignore[arg-type]
        nn.init.normal_(new.weight, mean=0.0, std=0.01)
        nn.init.zeros_(new.bias)  # type: ignore[arg-type]
        return new
    return nn.Linear(int(layer.in_features), n_classes, bias=layer.bias is not None)  # type: ignore[arg-type]


def _adapt_to_small_images(network: nn.Module, name: str) -> None:
    if not isinstance(network, torchvision.models.ResNet):
        raise ValueError(f"small_input is for ResNets (resnet18, resnet34, …); got {name!r}")
    network.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
