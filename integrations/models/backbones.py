"""Build torchvision networks by name, as feature extractors or as classifiers to train."""

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.functional import pil_to_tensor

from spectral_select.integrations.data.rgb import as_rgb
from spectral_select.integrations.models.pretrained_weights import Weights, resolve_weights
from spectral_select.integrations.runtime.seeding import seeded

__all__ = [
    "PIXELS",
    "Backbone",
    "build_backbone",
    "build_classifier",
    "hash_weights",
    "last_layer",
]

#: Name of the no-network baseline, which uses the pixels of a small image as features.
PIXELS = "pixels"
_PIXELS_SIZE = 32

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """Map images to embeddings, with a classification network minus its last layer or raw pixels.

    Built by `build_backbone`. The embedding is what the network's last layer would receive,
    averaged over any remaining spatial dimensions.

    Parameters
    ----------
    network : Module
        Maps a batch of normalized images to a tensor of shape (n, dim) or (n, dim, h, w).
    name : str
        Name of the architecture.
    dim : int
        Length of an embedding.
    image_size : int
        Side of the square input images, in pixels.
    weights : str
        Where the weights came from, to be recorded with results.
    weights_hash : str
        Hash of the network's weights, from `hash_weights`.
    mean, std : tuple of three floats
        Per-channel statistics used to normalize uint8 images.

    Examples
    --------
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> backbone = Backbone(network, name="small", dim=4, image_size=8, weights="random",
    ...                     weights_hash=hash_weights(network))
    >>> backbone(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        dim: int,
        image_size: int,
        weights: str,
        weights_hash: str,
        mean: tuple[float, ...] = _MEAN,
        std: tuple[float, ...] = _STD,
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.dim = dim
        self.image_size = image_size
        self.weights = weights
        self.weights_hash = weights_hash
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings of a batch of images.

        Parameters
        ----------
        images : Tensor, shape (n, 3, height, width)
            Either uint8 RGB, normalized here so that data loaders transfer only a quarter as
            many bytes, or floating point, already normalized.

        Returns
        -------
        Tensor, shape (n, dim)
        """
        if images.dtype == torch.uint8:
            images = (images - self.mean) / self.std
        features: Tensor = self.network(images)
        return features.flatten(2).mean(2) if features.ndim > 2 else features


def build_backbone(
    name: str = "resnet50",
    weights: str | os.PathLike[str] = "default",
    *,
    image_size: int | None = None,
    seed: int = 0,
) -> tuple[Backbone, Callable[[Any], Tensor], int]:
    """Build a feature extractor from any torchvision classification network.

    Parameters
    ----------
    name : str, default "resnet50"
        A torchvision classification model, or "pixels" for no network: the embedding is the
        image itself, with values in [0, 1].
    weights : str or path, default "default"
        "default" (torchvision's best pretrained weights, downloaded unless cached), the name
        of another torchvision weights entry such as "IMAGENET1K_V1", "random" (drawn with
        `seed`), or the path of a state dict (.safetensors, .pt, .pth) of the whole network. Its
        last layer is not used, so it may be missing or of any size.
    image_size : int, optional
        Side in pixels. The shorter side of each image is resized to it, and the center is
        cropped. By default, images are prepared the way the pretrained weights expect; for
        "pixels" the default is 32.
    seed : int, default 0
        Seed for random weights. The global random state is not changed.

    Returns
    -------
    backbone : Backbone
        In evaluation mode, with frozen parameters.
    transform : callable
        Converts an image to a uint8 tensor of shape (3, s, s), which the backbone then
        normalizes.
    dim : int
        Length of an embedding.

    Raises
    ------
    ValueError
        If the model does not exist, the weights do not fit it, or it cannot process images of
        this size.
    FileNotFoundError
        If the weights file does not exist or the download fails.

    Examples
    --------
    >>> import torch
    >>> backbone, transform, dim = build_backbone("squeezenet1_0", "random", image_size=32)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, dim
    (torch.Size([2, 512]), 512)
    """
    if name == PIXELS:
        return _pixels(weights, image_size)
    _check_name(name)
    _check_seed(seed)
    resolved = resolve_weights(name, weights)
    with seeded(seed):
        network = _construct(name, resolved)
    head = last_layer(network)
    resolved.load_into(network, name, except_layer=head)
    layer = network.get_submodule(head)
    dim = int(getattr(layer, "in_features", None) or layer.in_channels)  # type: ignore[arg-type]
    network.set_submodule(head, nn.Identity())
    preset = _preset(name, resolved)
    size = _check_image_size(image_size) if image_size is not None else int(preset.crop_size[0])
    backbone = Backbone(
        network.eval().requires_grad_(requires_grad=False),
        name=name,
        dim=dim,
        image_size=size,
        weights=f"random (seed {seed})" if resolved.kind == "random" else resolved.label,
        weights_hash=hash_weights(network),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    ).eval()
    _check_takes(backbone, size)
    resize = size if image_size else int(preset.resize_size[0])
    return backbone, ResizedCenterCrop(resize, size, preset.interpolation), dim


def _pixels(weights: Any, image_size: int | None) -> tuple[Backbone, Callable[[Any], Tensor], int]:
    if weights != "default":
        raise ValueError(
            f"{PIXELS!r} has no weights, so leave weights at its default; got {weights!r}"
        )
    size = _PIXELS_SIZE if image_size is None else _check_image_size(image_size)
    network, dim = nn.Flatten(), 3 * size * size
    backbone = Backbone(
        network,
        name=PIXELS,
        dim=dim,
        image_size=size,
        weights="none",
        weights_hash=hash_weights(network),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    ).eval()
    return backbone, ResizedCenterCrop(size, size, v2.InterpolationMode.BILINEAR), dim


class ResizedCenterCrop:
    """Resize and center-crop an image to a uint8 tensor.

    This is like torchvision's Resize and CenterCrop, but in one step. Only the pixels that are
    kept are resized, so a long, thin image needs no more memory than a square one. Values match
    those of the two separate steps up to rounding.

    Parameters
    ----------
    resize : int
        Length of the shorter side after resizing, in pixels.
    crop : int
        Side of the center square, at most `resize`.
    interpolation : InterpolationMode
        Resampling method, used with antialiasing.

    Examples
    --------
    >>> from PIL import Image
    >>> crop = ResizedCenterCrop(256, 224, v2.InterpolationMode.BILINEAR)
    >>> crop(Image.new("RGB", (1, 12_000))).shape
    torch.Size([3, 224, 224])
    """

    def __init__(self, resize: int, crop: int, interpolation: v2.InterpolationMode) -> None:
        self.resize = resize
        self.crop = crop
        self.resampling = Image.Resampling[interpolation.name]

    def __call__(self, image: Any) -> Tensor:
        """Return the center square of `image`, which may be anything `as_rgb` accepts."""
        rgb = as_rgb(image)
        shorter = min(rgb.size)
        box = []
        for side in rgb.size:
            resized = int(self.resize * side / shorter)
            start = round((resized - self.crop) / 2)
            box += [start * side / resized, (start + self.crop) * side / resized]
        left, right, top, bottom = box
        cropped = rgb.resize((self.crop, self.crop), self.resampling, (left, top, right, bottom))
        pixels: Tensor = pil_to_tensor(cropped)
        return pixels


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
        As for `build_backbone`. The last layer is always new.
    small_input : bool, default False
        Adapt a ResNet to images of about 32 px: replace the first convolution with a 3 × 3 one
        of stride 1, and remove the max-pooling.
    seed : int, default 0
        Seed for initializing all new layers. The global random state is not changed.

    Returns
    -------
    Module
        In training mode; its output is logits of shape (n, n_classes). Auxiliary classifiers
        (GoogLeNet, Inception) are disabled, so the output is always a tensor.

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
    _check_name(name)
    _check_seed(seed)
    if isinstance(n_classes, bool) or not isinstance(n_classes, int) or n_classes < 1:
        raise ValueError(f"n_classes must be a positive integer; got {n_classes!r}")
    resolved = resolve_weights(name, weights)
    with seeded(seed):
        network = _construct(name, resolved)
        head = last_layer(network)
        resolved.load_into(network, name, except_layer=head)
        network.set_submodule(head, _new_last_layer(network.get_submodule(head), n_classes))
        if small_input:
            _adapt_to_small_images(network, name)
    if hasattr(network, "num_classes"):
        network.num_classes = n_classes  # type: ignore[assignment]
    return network.train()


def hash_weights(module: nn.Module) -> str:
    """Return the SHA-256 of a module's state dict: names, shapes, types and bytes.

    Parameters
    ----------
    module : Module
        The module, on any device.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> before = hash_weights(layer)
    >>> _ = torch.nn.init.zeros_(layer.bias)
    >>> before == hash_weights(layer)
    False
    """
    digest = hashlib.sha256()
    state: Mapping[str, Tensor] = module.state_dict()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key}\0{tuple(tensor.shape)}\0{tensor.dtype}\0".encode())
        if tensor.numel():
            digest.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
    >>> last_layer(build_classifier("resnet18", 10))
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


def _construct(name: str, resolved: Weights) -> nn.Module:
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # The auxiliary classifiers are needed only to load a state dict that contains them.
        options = {"init_weights": resolved.kind == "random", "aux_logits": True}
        options["transform_input"] = resolved.kind == "entry"
    if resolved.entry is not None and name.startswith("vit_"):
        options["image_size"] = resolved.entry.meta["min_size"][0]
    network: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return network


def _new_last_layer(layer: nn.Module, n_classes: int) -> nn.Module:
    if isinstance(layer, nn.Conv2d):  # SqueezeNet; initialized the way torchvision does it
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


def _preset(name: str, resolved: Weights) -> Any:
    """Return how torchvision prepares images for this model."""
    entry = resolved.entry or torchvision.models.get_model_weights(name).DEFAULT
    return entry.transforms()


def _check_takes(backbone: Backbone, size: int) -> None:
    try:
        with torch.inference_mode():
            out = backbone(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{backbone.name} does not accept {size} px images ({reason}); "
            "try another image_size, or omit it to use the model's default"
        ) from error
    if out.shape != (1, backbone.dim):
        raise ValueError(
            f"{backbone.name} returned an output of shape {tuple(out.shape)}; "
            f"expected (1, {backbone.dim})"
        )


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the model's name must be a string; got {name!r}")
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        import difflib

        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
        raise ValueError(f"torchvision has no classification model called {name!r}; {hint}")


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer from 0 to 2**63 - 1; got {seed!r}")


def _check_image_size(size: int) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 4096:
        raise ValueError(f"image_size must be an integer from 1 to 4096; got {size!r}")
    return size
