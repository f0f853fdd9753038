"""Construct torchvision's classification networks by name."""

from typing import Any

import torchvision
from torch import nn

from spectral_select._utils.suggestions import did_you_mean
from spectral_select.integrations.models.pretrained_weights import Weights

__all__ = ["check_name", "construct", "last_layer", "preset"]


def check_name(name: str) -> None:
    """Raise ValueError unless torchvision has a classification network called `name`."""
    if not isinstance(name, str):
        raise TypeError(f"the model's name must be a string; got {name!r}")
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        hint = did_you_mean(name, known, f"known: {', '.join(known)}")
        raise ValueError(f"torchvision has no classification model called {name!r}; {hint}")


def construct(name: str, resolved: Weights) -> nn.Module:
    """Return the network called `name`, into which `resolved` can be loaded."""
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # The auxiliary classifiers are needed only to load a state dict that contains them.
        options = {"init_weights": resolved.kind == "random", "aux_logits": True}
        options["transform_input"] = resolved.kind == "entry"
    if resolved.entry is not None and name.startswith("vit_"):
        options["image_size"] = resolved.entry.meta["min_size"][0]
    network: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return network


def last_layer(network: nn.Module) -> str:
    """Return the name of the layer that outputs the logits in a torchvision classifier.

    Parameters
    ----------
    network : Module
        A torchvision classification model with any number of classes.

    Returns
    -------
    str
        A name to pass to `Module.get_submodule`; the layer is linear or a 1 × 1 convolution.

    Raises
    ------
    ValueError
        If the network has no linear or 1 × 1 convolutional layer.

    Examples
    --------
    >>> last_layer(torchvision.models.resnet18())
    'fc'
    """
    for key, module in reversed(list(network.named_modules())):
        if isinstance(module, nn.Linear) or (
            isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
        ):
            return str(key)
    raise ValueError(
        f"{type(network).__name__} has no linear or 1 × 1 convolutional layer to use as its "
        "output layer"
    )


def preset(name: str, resolved: Weights) -> Any:
    """Return the transform with which torchvision prepares images for this model."""
    entry = resolved.entry or torchvision.models.get_model_weights(name).DEFAULT
    return entry.transforms()
