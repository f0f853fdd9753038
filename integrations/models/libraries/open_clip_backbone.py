"""Image towers of OpenCLIP's models."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spectral_select._utils.json_files import read_json_object
from spectral_select._utils.suggestions import did_you_mean
from spectral_select.integrations.models.hub_files import download, first_file
from spectral_select.integrations.models.libraries.interface import (
    Backbone,
    RgbTransform,
    Transform,
    finish,
    fits,
)
from spectral_select.integrations.models.libraries.request import BackboneRequest
from spectral_select.integrations.models.pretrained_weights import read_state_dict
from spectral_select.integrations.runtime.seeding import seeded

__all__ = ["build"]

_CONFIG = "open_clip_config.json"
# The names are in the order in which OpenCLIP looks for them. Files in the second group are read
# with weights_only=True.
_WEIGHTS = (
    ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    ("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth"),
)


@dataclass(frozen=True)
class _Source:
    """Where a model comes from: OpenCLIP's name for it, its weights, and its preprocessing."""

    model: str
    name: str
    file: Path | None = None
    label: str = "random"
    revision: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def build(request: BackboneRequest) -> tuple[Backbone, Transform]:
    """Build the image tower of a registered model, a repository on the hub, or a saved folder.

    The transform is OpenCLIP's transform for validation. The embedding is the result of
    ``encode_image``, without normalization.
    """
    import open_clip

    request.reject_remote_code("OpenCLIP runs no code from a hub")
    source = _locate(request)
    if source.file is not None:
        read_state_dict(source.file)  # for a bad file, the error is clearer than OpenCLIP's
    registered = not source.model.startswith("local-dir:")
    with seeded(request.seed), _without_root_logs(), fits(source.label, source.name):
        model, _, transform = open_clip.create_model_and_transforms(
            source.model,
            str(source.file) if registered and source.file is not None else None,
            load_weights=source.file is not None,
            force_image_size=request.image_size,
            pretrained_text=False,
            **source.options,
        )
    return finish(
        _Visual(model.visual),
        RgbTransform(transform),
        request,
        name=source.name,
        weights=source.label,
        library="open_clip_torch",
        revision=source.revision,
    )


def _locate(request: BackboneRequest) -> _Source:
    """Find the model and its weights; download what is not cached."""
    import open_clip

    path = request.existing_path("a folder that OpenCLIP saved, or a state dict")
    name = request.name.removeprefix("hf-hub:")
    model, _, tag = name.partition("/")
    if path is not None and path.is_dir():
        request.reject_revision(f"{path} is a folder")
        return _in_folder(path, f"open_clip:{name}", request, path.name)
    if model in open_clip.list_models():
        return _registered(model, tag, path, request)
    if path is not None:
        raise ValueError(
            "weights must be 'default', 'random' or a folder, because OpenCLIP has no model "
            f"called {model!r}; got the file {path}"
        )
    folder = Path(request.name).expanduser()
    if folder.is_dir():
        request.reject_revision(f"{folder} is a folder")
        return _in_folder(folder, f"open_clip:{folder.name}", request, folder.name)
    if not tag:
        hint = did_you_mean(model, open_clip.list_models(), "open_clip.list_models() lists them")
        raise ValueError(f"OpenCLIP has no model called {model!r}; {hint}")
    groups = _WEIGHTS if request.weights == "default" else ()
    folder, commit = download(name, [_CONFIG], groups, revision=request.revision)
    return _in_folder(folder, f"open_clip:{name}", request, name, commit)


def _registered(model: str, tag: str, path: Path | None, request: BackboneRequest) -> _Source:
    """Return a model from OpenCLIP's registry, with the weights `tag` or the user's weights."""
    import open_clip

    name = f"open_clip:{model}/{tag}" if tag else f"open_clip:{model}"
    tags = open_clip.list_pretrained_tags_by_model(model)
    known = f"known: {', '.join(tags)}" if tags else "it has none; pass a file or 'random'"
    if tag and tag not in tags:
        raise ValueError(f"OpenCLIP has no weights {tag!r} for {model}; {known}")
    config = open_clip.get_pretrained_cfg(model, tag) if tag else {}
    options = {
        "image_mean": config.get("mean"),
        "image_std": config.get("std"),
        "image_interpolation": config.get("interpolation"),
        "image_resize_mode": config.get("resize_mode"),
        # Use the activation that belongs to the weights; for a mismatch, OpenCLIP only warns.
        "force_quick_gelu": bool(config.get("quick_gelu")),
    }
    if request.weights != "default":
        request.reject_revision(f"the weights {request.weights!r} are not on a hub")
        return _Source(model, name, path, "random" if path is None else path.name, None, options)
    if not tag:
        raise ValueError(f"the tag of the weights is missing: expected {model}/TAG; {known}")
    repository, _, filename = config["hf_hub"].rpartition("/")
    stem = filename.rpartition(".")[0]
    groups = ((f"{stem}.safetensors",), (filename,)) if filename else _WEIGHTS
    folder, commit = download(repository, [], groups, revision=request.revision)
    file = first_file(folder, [name for group in groups for name in group])
    if file is None:
        raise FileNotFoundError(f"{repository} contains no weights for OpenCLIP ({folder})")
    return _Source(model, name, file, f"{repository}/{file.name}", commit, options)


def _in_folder(
    folder: Path, name: str, request: BackboneRequest, label: str, revision: str | None = None
) -> _Source:
    """Return the model and the weights in a folder that OpenCLIP saved."""
    if not (folder / _CONFIG).is_file():
        raise FileNotFoundError(
            f"{folder} contains no {_CONFIG} from OpenCLIP; pass the file of weights instead"
        )
    if not isinstance(read_json_object(folder / _CONFIG).get("model_cfg"), dict):
        raise ValueError(f"{folder / _CONFIG} has no model_cfg, so OpenCLIP did not write it")
    model = f"local-dir:{folder}"
    if request.random:
        return _Source(model, name)
    names = [name for group in _WEIGHTS for name in group]
    if (file := first_file(folder, names)) is None:
        raise FileNotFoundError(f"{folder} contains no weights: expected one of {', '.join(names)}")
    return _Source(model, name, file, f"{label}/{file.name}", revision)


class _Visual(nn.Module):
    """The image tower, without the tokens that some towers also return."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, images: Tensor) -> Tensor:
        output = self.tower(images)
        features: Tensor = output[0] if isinstance(output, tuple) else output
        return features


@contextmanager
def _without_root_logs() -> Iterator[None]:
    """Keep OpenCLIP's log messages from adding a handler to the root logger."""
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
