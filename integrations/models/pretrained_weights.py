"""Load network weights from torchvision or a file, without unpickling, and hash weights."""

import hashlib
import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

__all__ = ["Weights", "hash_weights", "read_state_dict", "resolve_weights"]


@dataclass(frozen=True)
class Weights:
    """Weights that are not loaded into a model yet.

    Parameters
    ----------
    kind : {"random", "entry", "file"}
        Random weights, an entry in torchvision's enumeration of pretrained weights, or a file.
    label : str
        Name used in records.
    entry : WeightsEnum, optional
        The torchvision entry.
    state : mapping of str to Tensor, optional
        The state dict, tensors of any shape; None for random weights.

    Examples
    --------
    >>> resolve_weights("resnet18", "random")
    Weights(kind='random', label='random', entry=None)
    """

    kind: str
    label: str
    entry: Any = None
    state: Mapping[str, Tensor] | None = field(default=None, repr=False)

    def load_into(self, network: nn.Module, name: str, *, except_layer: str) -> None:
        """Load the weights into `network`, except into one layer.

        Parameters
        ----------
        network : Module
            Receives the weights; its auxiliary classifiers are disabled.
        name : str
            Name of the network, for messages.
        except_layer : str
            Name of the layer that keeps its weights.

        Raises
        ------
        ValueError
            If keys are missing or unexpected, or a shape does not match.
        """
        if self.state is not None:
            current = network.state_dict()
            state = OrderedDict(self.state)
            for key in (f"{except_layer}.weight", f"{except_layer}.bias"):
                if key in current:
                    state[key] = current[key]
                else:
                    state.pop(key, None)
            # Old files lack the batch counters, which are not used.
            state |= {k: v for k, v in current.items() if k.endswith("num_batches_tracked")} | state
            # Keep the module versions, which some modules need to convert an older layout.
            state._metadata = getattr(self.state, "_metadata", current._metadata)  # type: ignore[attr-defined]
            _check_fits(state, current, f"{self.label} does not fit {name}")
            network.load_state_dict(state)
        for aux in ("aux1", "aux2", "AuxLogits"):
            if hasattr(network, aux):
                setattr(network, aux, None)
        if hasattr(network, "aux_logits"):
            network.aux_logits = False  # type: ignore[assignment]


def resolve_weights(name: str, weights: str | os.PathLike[str]) -> Weights:
    """Find the weights called `weights` for the torchvision model `name`.

    Parameters
    ----------
    name : str
        Name of a torchvision model.
    weights : str or path
        "default", the name of an entry, "random", or the path of a state dict.

    Returns
    -------
    Weights
        Already downloaded or read, unless they are random.

    Raises
    ------
    FileNotFoundError
        If the file does not exist or the download fails.
    ValueError
        If the file cannot be read as a state dict.

    Examples
    --------
    >>> resolve_weights("resnet18", "resnet18.safetensors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: no weights 'resnet18.safetensors' for resnet18: expected ...
    """
    if not isinstance(weights, str | os.PathLike):
        raise TypeError(
            "weights must be 'default', 'random' or the path of a state dict; "
            f"got {weights!r} of type {type(weights).__name__}"
        )
    weights = os.fspath(weights)
    if weights == "random":
        return Weights("random", "random")
    entries = torchvision.models.get_model_weights(name)
    if weights == "default" or weights in entries.__members__:
        entry = entries.DEFAULT if weights == "default" else entries[weights]
        return Weights("entry", str(entry), entry, _pretrained(name, entry))
    path = Path(weights).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"no weights {weights!r} for {name}: expected 'default', 'random', one of "
            f"{', '.join(sorted({entry.name for entry in entries}))}, "
            "or a file (.safetensors, .pt, .pth)"
        )
    return Weights("file", path.name, None, read_state_dict(path))


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors, .pt or .pth file, on the CPU.

    A state dict under the key "state_dict" or "model" is unwrapped, and the prefix of
    DistributedDataParallel ("module.") is removed.

    Parameters
    ----------
    path : path
        The file. Nothing in it is executed.

    Returns
    -------
    dict of str to Tensor
        Tensors by name, with the shapes in the file.

    Raises
    ------
    ValueError
        If the file is damaged or contains anything except named tensors.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"model": {"module.weight": torch.ones(2)}}, folder + "/w.pt")
    ...     read_state_dict(folder + "/w.pt")
    {'weight': tensor([1., 1.])}
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected a file (.safetensors, .pt, .pth)")
    path.open("rb").close()  # raises the usual error if the file cannot be read
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state: Any = load_file(path)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings about files that are rejected below
                state = torch.load(path, map_location="cpu", weights_only=True)
        # On other kinds of files, torch.load raises errors of any type, such as IndexError.
        except Exception as error:
            raise ValueError(
                f"{path} is not a state dict that can be read without running code from it: "
                "expected named tensors, written by torch.save or safetensors"
            ) from error
        for key in ("state_dict", "model"):
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
    if not isinstance(state, dict) or not state:
        raise ValueError(f"{path} contains a {type(state).__name__}; expected named tensors")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"{path} contains {key!r} of type {type(value).__name__}; expected named tensors"
            )
    if all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


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


def _pretrained(name: str, entry: Any) -> dict[str, Tensor]:
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    try:
        state = entry.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{cached} is not a state dict; remove it to download it again") from error
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"the pretrained weights {entry} are not at {cached} and could not be downloaded "
            f"({getattr(error, 'reason', error)}); put the file there, or pass 'random' or "
            "the path of a state dict as weights"
        ) from error
    if name.startswith("densenet"):
        # These files have layer names from an older torchvision version.
        for old in ("norm.1", "norm.2", "conv.1", "conv.2"):
            state = {
                k.replace(f".{old}.", f".{old.replace('.', '')}."): v for k, v in state.items()
            }
    return dict(state)


def _check_fits(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    problems = []
    for title, keys in (
        ("missing", [k for k in expected if k not in state]),
        ("unexpected", [k for k in state if k not in expected]),
    ):
        if keys:
            problems.append(
                f"{len(keys)} {title} ({', '.join(keys[:3])}{', …'[: 3 * (len(keys) > 3)]})"
            )
    wrong = [k for k in expected if k in state and state[k].shape != expected[k].shape]
    if wrong:
        k = wrong[0]
        problems.append(
            f"{len(wrong)} with a different shape ({k}: {tuple(state[k].shape)}, "
            f"expected {tuple(expected[k].shape)})"
        )
    if problems:
        raise ValueError(f"{what}: " + "; ".join(problems))
