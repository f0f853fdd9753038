"""Seeds for different kinds of randomness, and temporary seeding of PyTorch's generators."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["generator_states", "seeded", "set_generator_states", "stream"]

_STREAMS = {"order": 0, "augment": 1, "choice": 2, "model": 3}


def stream(seed: int, name: str, *more: int) -> int:
    """Return the seed for one kind of randomness: "order", "augment", "choice" or "model".

    Parameters
    ----------
    seed : int
        Seed for the whole training run.
    name : str
        The kind of randomness.
    *more : int
        Other numbers that the seed depends on, such as the epoch.

    Examples
    --------
    >>> stream(0, "order") == stream(0, "order") != stream(0, "order", 1)
    True
    """
    sequence = np.random.SeedSequence([seed, _STREAMS[name], *more])
    return int(sequence.generate_state(1)[0])


def generator_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of the CPU generator, and of the generator of `device` if it is a GPU."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_generator_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restore the generator states returned by `generator_states`."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Temporarily seed the CPU generator, and the generator of `device` if it is a GPU.

    Parameters
    ----------
    seed : int
        The seed.
    device : torch.device, optional
        Device that draws random numbers in addition to the CPU. Unlike ``torch.manual_seed``,
        this does not reseed other GPUs.

    Yields
    ------
    None

    Examples
    --------
    >>> import torch
    >>> def draw():
    ...     with seeded(3):
    ...         return torch.rand(1).item()
    >>> draw() == draw()
    True
    """
    cuda = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
