"""PyTorch's generators seeded for a while, and put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed the CPU's generator, and that of `device` if it is a GPU, within a context.

    Parameters
    ----------
    seed : int
        The seed.
    device : torch.device, optional
        Where random numbers are drawn beside the CPU. Other GPUs are left alone, which
        ``torch.manual_seed`` would reseed.

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
