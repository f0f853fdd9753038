"""Build networks by name, as feature extractors or as classifiers to train."""

import os
import pkgutil
from importlib import import_module

from spectral_select._utils.optional_packages import how_to_install, missing_package
from spectral_select.integrations.models import libraries
from spectral_select.integrations.models.classifiers import build_classifier
from spectral_select.integrations.models.libraries.interface import (
    Backbone,
    Transform,
)
from spectral_select.integrations.models.libraries.pixels_backbone import PIXELS
from spectral_select.integrations.models.libraries.request import BackboneRequest
from spectral_select.integrations.models.pretrained_weights import hash_weights
from spectral_select.integrations.models.torchvision_networks import last_layer

__all__ = [
    "PIXELS",
    "Backbone",
    "build_backbone",
    "build_classifier",
    "hash_weights",
    "last_layer",
]

_SUFFIX = "_backbone"


def build_backbone(
    name: str = "resnet50",
    weights: str | os.PathLike[str] = "default",
    *,
    image_size: int | None = None,
    seed: int = 0,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> tuple[Backbone, Transform, int]:
    """Build a feature extractor from a network of torchvision, timm, transformers or OpenCLIP.

    Parameters
    ----------
    name : str, default "resnet50"
        The network:

        - a torchvision classification model, such as "resnet50";
        - "timm:MODEL", "timm:MODEL.TAG" or "timm:ORG/NAME" (a repository on the Hugging Face hub);
        - "hf:ORG/NAME" or "hf:FOLDER", for an image model or the image tower of CLIP or SigLIP
          in transformers;
        - "open_clip:MODEL/TAG", "open_clip:MODEL" or "open_clip:ORG/NAME" on the hub, for an
          image tower;
        - "pixels", without a network: the embedding is the image itself, with values in [0, 1].
    weights : str or path, default "default"
        "default" (the library's pretrained weights, downloaded unless cached), "random" (drawn
        with `seed`), or a file of weights (.safetensors, or a state dict in .pt, .pth or .bin).
        The file's last layer is not used, so it may be missing or of any size. All libraries
        except torchvision also accept a folder that they saved. torchvision also accepts the
        name of a weights entry, such as "IMAGENET1K_V1". No code in a file is run.
    image_size : int, optional
        Side of the input images, in pixels. Most transforms resize the shorter side of each image
        to this size and crop the center; some resize both sides, without cropping. By default,
        images are prepared the way the pretrained weights expect; for "pixels", the default is 32.
    seed : int, default 0
        Seed for random weights. The global random state is not changed.
    revision : str, optional
        Branch, tag or commit of the repository on the Hugging Face hub.
    trust_remote_code : bool, default False
        Whether a model from transformers may run Python code from its own repository.

    Returns
    -------
    backbone : Backbone
        In evaluation mode, with frozen parameters.
    transform : callable
        Converts an image to the tensor of shape (3, h, w) that the backbone expects, with the
        preprocessing that belongs to the weights.
    dim : int
        Length of an embedding.

    Raises
    ------
    ValueError
        If the model does not exist, the weights do not fit the model, or the model cannot
        process images of this size or requires code from its repository.
    FileNotFoundError
        If the weights do not exist or the download fails.
    ModuleNotFoundError
        If the library is not installed.

    Examples
    --------
    >>> import torch
    >>> backbone, transform, dim = build_backbone("squeezenet1_0", "random", image_size=32)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, dim
    (torch.Size([2, 512]), 512)
    """
    if not isinstance(name, str):
        raise TypeError(f"the model's name must be a string; got {name!r}")
    prefix, colon, rest = name.partition(":")
    if not colon:
        prefix, rest = (PIXELS if name == PIXELS else "torchvision"), name
    modules = [module.name for module in pkgutil.iter_modules(libraries.__path__)]
    if prefix + _SUFFIX not in modules:
        known = sorted(m.removesuffix(_SUFFIX) for m in modules if m.endswith(_SUFFIX))
        raise ValueError(f"no library {prefix!r} in {name!r}; expected one of {', '.join(known)}")
    if not rest:
        raise ValueError(f"the model's name is missing after {name!r}")
    request = BackboneRequest(
        name=rest,
        weights=weights,
        image_size=image_size,
        seed=seed,
        revision=revision,
        trust_remote_code=trust_remote_code,
    )
    library = import_module(f"{libraries.__name__}.{prefix}{_SUFFIX}")
    try:
        backbone, transform = library.build(request)
    except ModuleNotFoundError as error:
        if (package := missing_package(error)) is None:
            raise
        raise ModuleNotFoundError(f"{name} {how_to_install(package)}", name=package) from error
    return backbone, transform, backbone.dim
