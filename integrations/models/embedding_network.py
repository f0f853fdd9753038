"""Use any module as a feature extractor: prepare it, choose an output, and restore it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Output", "check_output", "embeddings_of", "on_device"]

#: Which output of a module is the embedding: a key or attribute, an index, or a function.
Output = str | int | Callable[[Any], Tensor] | None


@contextmanager
def on_device(module: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """Move a module to `device` in evaluation mode and channels-last layout, then restore it.

    Parameters
    ----------
    module : Module
        The module. Its device, memory layout and mode are restored, even after an error.
    device : torch.device
        Device to run it on.

    Yields
    ------
    Module
        The same module.

    Examples
    --------
    >>> module = nn.Dropout()
    >>> with on_device(module, torch.device("cpu")) as prepared:
    ...     prepared.training
    False
    >>> module.training
    True
    """
    parts = list(module.modules())
    modes = [(part, part.training) for part in parts]
    # Depending on the device, moving a module replaces its tensors or only their data.
    owners: list[tuple[nn.Module, str, Any]] = []
    for part in parts:
        owners += [(part, *item) for item in (*part._parameters.items(), *part._buffers.items())]
    parameters = list(module.parameters())
    tensors = [*parameters, *(p.grad for p in parameters if p.grad is not None)]
    before = [(tensor, tensor.data) for tensor in tensors]
    try:
        yield module.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    finally:
        for part, name, owned in owners:
            setattr(part, name, owned)
        for tensor, data in before:
            tensor.data = data
        for part, training in modes:
            part.training = training


def check_output(output: Output) -> str | int | None:
    """Check the `output` argument and return the value to record.

    Parameters
    ----------
    output : str, int or callable, optional
        The argument passed by the user.

    Returns
    -------
    str, int or None
        `output` itself, or its name if it is a function.

    Examples
    --------
    >>> check_output("pooler_output")
    'pooler_output'
    """
    if callable(output):
        return f"{getattr(output, '__qualname__', type(output).__name__)}()"
    if isinstance(output, bool) or not isinstance(output, str | int | None):
        raise TypeError(
            f"output must be a name, an index or a function; got {output!r} of type "
            f"{type(output).__name__}"
        )
    return output


def embeddings_of(result: Any, output: Output, n_images: int) -> Tensor:
    """Return the embeddings from a module's output for a batch.

    Parameters
    ----------
    result : Tensor, sequence, mapping or object
        The module's output.
    output : str, int or callable, optional
        Key or attribute, index, or a function that maps `result` to the embeddings.
    n_images : int
        Number of images in the batch.

    Returns
    -------
    Tensor of shape (n_images, d)

    Raises
    ------
    TypeError, ValueError
        If the output does not exist, or is not a tensor of this shape.

    Examples
    --------
    >>> embeddings_of((torch.zeros(2, 3), torch.ones(2, 1)), 1, 2).tolist()
    [[1.0], [1.0]]
    """
    chosen = _choose(result, output)
    if not isinstance(chosen, Tensor):
        hint = "choose one with output=" if output is None else f"with output={output!r}"
        raise TypeError(f"backbone must return a tensor; got {_describe(chosen)}; {hint}")
    if chosen.ndim != 2 or len(chosen) != n_images:
        raise ValueError(
            f"backbone must return a tensor of shape (n, d); got {tuple(chosen.shape)} for "
            f"{'one image' if n_images == 1 else f'{n_images} images'}; "
            "pass output= a function that returns one vector per image"
        )
    return chosen


def _choose(result: Any, output: Output) -> Any:
    if output is None:
        return result
    if callable(output):
        return output(result)
    try:
        if isinstance(output, str) and not isinstance(result, Mapping):
            return getattr(result, output)
        return result[output]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"output must name an output of the backbone; got {output!r}, but the backbone "
            f"returns {_describe(result)}"
        ) from error


def _describe(result: Any) -> str:
    """Describe a module's output, for messages."""
    kind = type(result).__name__
    if isinstance(result, Tensor):
        return f"one tensor of shape {tuple(result.shape)}"
    if isinstance(result, Mapping):
        return f"a {kind} of " + ", ".join(f"{k!r}: {_short(v)}" for k, v in result.items())
    if isinstance(result, Sequence) and not isinstance(result, str):
        return f"a {kind} of " + ", ".join(map(_short, result))
    fields = {k: v for k, v in getattr(result, "__dict__", {}).items() if isinstance(v, Tensor)}
    return f"a {kind}" + "".join(f", {k}: {_short(v)}" for k, v in fields.items())


def _short(value: Any) -> str:
    name = type(value).__name__
    return f"{name} {tuple(value.shape)}" if isinstance(value, Tensor) else name
