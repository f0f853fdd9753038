"""Image models from transformers, and the image towers of models such as CLIP and SigLIP."""

import inspect
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from spectral_select.integrations.models.hub_files import download, first_file
from spectral_select.integrations.models.libraries.interface import (
    Backbone,
    RgbTransform,
    Transform,
    finish,
    short_reason,
)
from spectral_select.integrations.models.libraries.request import BackboneRequest
from spectral_select.integrations.models.pretrained_weights import read_state_dict
from spectral_select.integrations.runtime.seeding import seeded

__all__ = ["build"]

_CONFIG = "config.json"
# Files in the second group are read with weights_only=True.
_WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin"),
)
_CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")


def build(request: BackboneRequest) -> tuple[Backbone, Transform]:
    """Build an image model from a repository on the hub, or a folder that transformers saved.

    The transform is the model's own image processor. The embedding is the result of
    ``get_image_features`` if the model has this method, and otherwise the pooled output. If
    the weights contain no pooling layer, the embedding is the class token or, in a model without
    one, the mean of all tokens.
    """
    from transformers import AutoConfig, AutoImageProcessor

    name, folder, revision = _locate(request)
    code = {"trust_remote_code": request.trust_remote_code}
    with _errors(name), _quiet():
        config = AutoConfig.from_pretrained(folder, **code)
        try:
            processor = AutoImageProcessor.from_pretrained(folder, **code)
        except OSError as error:
            raise FileNotFoundError(
                f"{name} has no image processor, such as preprocessor_config.json: either it is "
                "not an image model, or the file is missing; AutoImageProcessor.save_pretrained "
                "writes the file"
            ) from error
        model, weights, pooled = _load(request, name, folder, config)
    resize = {} if request.image_size is None else _resized(processor, request.image_size)
    return finish(
        _ImageTower(model, pooled=pooled, interpolate=bool(resize)),
        RgbTransform(_Processed(processor, resize)),
        request,
        name=name,
        weights=weights if revision is None else f"{request.name}/{weights}",
        library="transformers",
        revision=revision,
    )


def _locate(request: BackboneRequest) -> tuple[str, Path, str | None]:
    """Return the name to record, the folder with the configuration, and the revision."""
    path = request.existing_path("a folder that transformers saved, or a state dict")
    folder = Path(request.name).expanduser()
    local = folder.is_dir()
    name = f"hf:{folder.name if local else request.name}"
    if path is not None and path.is_dir():
        folder, local = path, True
    if local:
        request.reject_revision(f"{folder} is a folder")
        commit = None
    else:
        code = ["*.py"] if request.trust_remote_code else []
        groups = _WEIGHTS if request.weights == "default" else ()
        folder, commit = download(
            request.name, ["*.json", *code], groups, revision=request.revision
        )
    if not (folder / _CONFIG).is_file():
        raise FileNotFoundError(f"{folder} contains no {_CONFIG}, so the network is unknown")
    return name, folder, commit if request.weights == "default" else None


def _load(
    request: BackboneRequest, name: str, folder: Path, config: Any
) -> tuple[nn.Module, str, bool]:
    """Return the model, where its weights came from, and whether its pooling layer has weights."""
    from transformers import AutoModel

    code = {"trust_remote_code": request.trust_remote_code}
    path = request.path
    if request.random:
        with seeded(request.seed):
            return AutoModel.from_config(config, **code), "random", True
    options = {"dtype": torch.float32, "output_loading_info": True}
    # transformers draws missing weights at random; leave the global random state unchanged.
    with seeded(request.seed):
        if path is not None and not path.is_dir():
            with torch.device("meta"):
                kind = type(AutoModel.from_config(config, **code))
            state = read_state_dict(path)
            label = path.name
            model, info = kind.from_pretrained(None, config=config, state_dict=state, **options)
        else:
            file = first_file(folder, [n for group in _WEIGHTS for n in group[:2]])
            if file is None:
                names = ", ".join(n for group in _WEIGHTS for n in group[:2])
                raise FileNotFoundError(f"{folder} contains no weights: expected one of {names}")
            label = file.name if path is None else f"{path.name}/{file.name}"
            model, info = AutoModel.from_pretrained(folder, config=config, **options, **code)
    missing = sorted(info["missing_keys"])
    rest = [key for key in missing if not key.startswith("pooler.")]
    if rest:
        raise ValueError(
            f"{label} does not fit {name}: {len(rest)} weights are missing "
            f"({', '.join(rest[:3])}{', …' if len(rest) > 3 else ''})"
        )
    return model, label, not missing


class _Processed:
    """Apply an image processor to one image; `options` replace its settings."""

    def __init__(self, processor: Any, options: dict[str, Any]) -> None:
        self.processor = processor
        self.options = options

    def __call__(self, image: Image.Image) -> Tensor:
        pixels: Tensor = self.processor(images=image, return_tensors="pt", **self.options)[
            "pixel_values"
        ][0]
        return pixels


def _resized(processor: Any, size: int) -> dict[str, Any]:
    """Return the options of an image processor for square images of `size` px."""
    square = {"height": size, "width": size}
    shortest = dict(processor.size or {}).get("shortest_edge") is not None
    options: dict[str, Any] = {"size": {"shortest_edge": size} if shortest else square}
    return options | ({"crop_size": square} if getattr(processor, "do_center_crop", None) else {})


class _ImageTower(nn.Module):
    """The part of a model that embeds images, as one vector per image."""

    def __init__(self, model: nn.Module, *, pooled: bool, interpolate: bool) -> None:
        super().__init__()
        features = getattr(model, "get_image_features", model.forward)
        takes = inspect.signature(features).parameters
        if "pixel_values" not in takes:
            raise ValueError(f"{type(model).__name__} is not an image model: it takes no pixels")
        self.model = model
        self.pooled = pooled
        self.has_class_token = any(
            key.rpartition(".")[2] in _CLASS_TOKENS for key in model.state_dict()
        )
        for part in ("text_model", "text_projection"):
            if isinstance(getattr(model, part, None), nn.Module):
                setattr(model, part, None)  # not needed for images
        resizes = interpolate and "interpolate_pos_encoding" in takes
        self.options = {"interpolate_pos_encoding": True} if resizes else {}

    def forward(self, images: Tensor) -> Tensor:
        features = getattr(self.model, "get_image_features", self.model)
        output = features(pixel_values=images, **self.options)
        if isinstance(output, Tensor):
            return output
        if self.pooled and isinstance(getattr(output, "pooler_output", None), Tensor):
            pooled: Tensor = output.pooler_output
            return pooled
        hidden = getattr(output, "last_hidden_state", None)
        if not isinstance(hidden, Tensor):
            raise TypeError(
                f"{type(self.model).__name__} returned a {type(output).__name__} without a pooled "
                "output, so it is not an image model that this library supports"
            )
        if hidden.ndim != 3:
            return hidden
        return hidden[:, 0] if self.has_class_token else hidden.mean(1)


@contextmanager
def _errors(name: str) -> Iterator[None]:
    """Replace the messages of transformers with shorter ones."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"reading the weights of {name} would run code that the file contains; expected "
            "safetensors, or a state dict written by torch.save"
        ) from error
    except (ValueError, RuntimeError, KeyError) as error:
        if "trust_remote_code" in str(error):
            raise ValueError(
                f"{name} must run Python code from its own repository; if you have read and trust "
                "that code, pass trust_remote_code=True (--trust-remote-code)"
            ) from error
        if name in str(error):
            raise
        raise ValueError(f"{name} cannot be loaded: {short_reason(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Turn off the progress bars and reports of transformers, and restore them afterwards."""
    from transformers.utils import logging

    bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
