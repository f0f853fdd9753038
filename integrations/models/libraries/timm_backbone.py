"""Networks from timm, without their classifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from spectral_select._utils.json_files import read_json_object
from spectral_select._utils.suggestions import did_you_mean
from spectral_select.integrations.models.hub_files import download, first_file, is_repository
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

_CONFIG = "config.json"
# Files in the second group are read with weights_only=True.
_WEIGHTS = (
    ("model.safetensors", "open_clip_model.safetensors"),
    ("pytorch_model.bin", "open_clip_pytorch_model.bin"),
)


@dataclass(frozen=True)
class _Source:
    """Where a network comes from.

    `model` is the argument for ``timm.create_model``, and `name` is the name to record. `file`
    contains the weights; it is None for random weights. `config` describes the network as in
    timm's registry.
    """

    model: str
    name: str
    config: Mapping[str, Any]
    file: Path | None = None
    label: str = ""
    revision: str | None = None


def build(request: BackboneRequest) -> tuple[Backbone, Transform]:
    """Build a network from timm's registry, a repository on the hub, or a folder that timm saved.

    The transform is timm's own, with the resolution and normalization that the weights expect.
    """
    import timm
    from timm.data import create_transform, resolve_data_config

    request.reject_remote_code("timm runs no code from a hub")
    source = _locate(request)
    size, options = request.image_size, {}
    if size is not None and source.config.get("fixed_input_size"):
        options["img_size"] = size
    if source.file is None:
        with seeded(request.seed):
            network = timm.create_model(source.model, num_classes=0, **options)
    else:
        network = _with_weights(source, source.file, options)
    prepared = resolve_data_config({}, model=network)
    if size is not None:
        prepared |= {"input_size": (3, size, size), "crop_pct": 1.0}
    return finish(
        network,
        RgbTransform(create_transform(**prepared, is_training=False)),
        request,
        name=f"timm:{source.name}",
        weights=source.label,
        library="timm",
        revision=source.revision,
    )


def _locate(request: BackboneRequest) -> _Source:
    """Find the network and its weights; download what is not cached."""
    import timm

    name = request.name.removeprefix("hf-hub:")
    path = request.existing_path("a folder that timm saved, or a state dict")
    default, label = request.weights == "default", "" if path is None else path.name
    folder, commit = Path(request.name).expanduser(), None
    if not timm.is_model(name.partition(".")[0]) and (folder.is_dir() or is_repository(name)):
        if folder.is_dir():
            request.reject_revision(f"{folder} is a folder")
            name = folder.name
        else:
            groups = _WEIGHTS if default else ()
            folder, commit = download(name, [_CONFIG], groups, revision=request.revision)
        if default:
            return _in_folder(folder, name, label=name, revision=commit)
        return _Source(f"local-dir:{folder}", name, _read_config(folder)[1], path, label)
    architecture, config = _registered(name)
    if default:
        return _registered_weights(architecture, config, request.revision)
    request.reject_revision(f"the weights {request.weights!r} are not on a hub")
    if path is not None and path.is_dir():
        found = _read_config(path)[0]
        if found != architecture:
            raise ValueError(f"{path} contains the network {found!r}, not {architecture!r}")
        return _in_folder(path, name, label=label)
    return _Source(name, name, config, path, label)


def _registered(name: str) -> tuple[str, Mapping[str, Any]]:
    """Return the architecture and the configuration of a name in timm's registry."""
    import timm
    from timm.models import get_pretrained_cfg

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        hint = did_you_mean(architecture, timm.list_models(), "timm.list_models() lists them")
        raise ValueError(f"timm has no model called {architecture!r}; {hint}")
    try:
        config = get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{architecture}.*")]
        raise ValueError(
            f"timm has no weights {tag!r} for {architecture}; "
            f"{'known: ' + ', '.join(tags) if tags else 'it has none'}"
        ) from error
    return architecture, {} if config is None else config.to_dict()


def _registered_weights(
    architecture: str, config: Mapping[str, Any], revision: str | None
) -> _Source:
    """Return the pretrained weights that timm's registry names, downloaded unless cached."""
    repository, url = config.get("hf_hub_id"), config.get("url")
    if not repository:
        if url:
            raise FileNotFoundError(
                f"timm has the weights of {architecture} only at {url}; download them and pass the "
                "file as weights"
            )
        raise FileNotFoundError(
            f"timm has no pretrained weights for {architecture}; pass a file or 'random' as weights"
        )
    named = config.get("hf_hub_filename")
    groups = ((named,),) if named else _WEIGHTS
    folder, commit = download(repository, [], groups, revision=revision)
    file = first_file(folder, [name for group in groups for name in group])
    if file is None:
        raise FileNotFoundError(f"{repository} contains no weights for timm ({folder})")
    name = f"{architecture}.{config['tag']}" if config.get("tag") else architecture
    return _Source(name, name, config, file, f"{repository}/{file.name}", commit)


def _in_folder(folder: Path, name: str, *, label: str, revision: str | None = None) -> _Source:
    """Return the network and the weights in a folder."""
    config = _read_config(folder)[1]
    file = first_file(folder, [name for group in _WEIGHTS for name in group])
    if file is None:
        names = ", ".join(name for group in _WEIGHTS for name in group)
        raise FileNotFoundError(f"{folder} contains no weights: expected one of {names}")
    label = f"{label}/{file.name}"
    return _Source(f"local-dir:{folder}", name, config, file, label, revision)


def _read_config(folder: Path) -> tuple[Any, Mapping[str, Any]]:
    """Return the architecture and the configuration in a folder that timm saved."""
    if not (folder / _CONFIG).is_file():
        raise FileNotFoundError(
            f"{folder} contains no {_CONFIG} from timm; pass the file of weights instead"
        )
    content = read_json_object(folder / _CONFIG)
    if not isinstance(content.get("architecture"), str):
        raise ValueError(f"{folder / _CONFIG} names no architecture, so timm did not write it")
    config = content.get("pretrained_cfg", content)
    return content["architecture"], config if isinstance(config, dict) else {}


def _with_weights(source: _Source, file: Path, options: Mapping[str, Any]) -> nn.Module:
    """Build a network with the weights in a file, and remove its classifier."""
    import timm

    state = read_state_dict(file)

    def load(n_classes: int) -> nn.Module:
        overlay = {"state_dict": state, "num_classes": n_classes, "source": None}
        with fits(source.label, f"timm:{source.name}"):
            network: nn.Module = timm.create_model(
                source.model,
                pretrained=True,
                num_classes=n_classes,
                pretrained_cfg_overlay=overlay,
                **options,
            )
        return network

    # timm checks for missing weights only if the number of classes matches the file, so the
    # network is built with the file's classifier, or without one if the file has none.
    names = source.config.get("classifier") or ()
    heads = [f"{head}.weight" for head in ([names] if isinstance(names, str) else names)]
    sizes = [len(state[head]) for head in heads if head in state]
    try:
        network = load(sizes[0] if sizes else source.config.get("num_classes", 0))
    except ValueError:
        if sizes:
            raise
        network = load(0)
    network.pretrained_cfg.pop("state_dict", None)  # type: ignore[operator, union-attr]
    network.reset_classifier(0)  # type: ignore[operator]
    return network
