"""Options for running a network: its device, its precision, and the processes that load images."""

import torch

from spectral_select.integrations.runtime.provenance import n_cores

__all__ = ["check_device", "check_precision", "check_workers", "default_workers"]

_PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def check_device(device: str | torch.device) -> torch.device:
    """Return the device called `device`; "auto" means CUDA if available.

    Parameters
    ----------
    device : str or torch.device
        "auto", "cpu", "cuda" or "cuda:N".

    Returns
    -------
    torch.device
        A device of this machine.

    Raises
    ------
    ValueError
        If the name is not a device, or this machine does not have it.

    Examples
    --------
    >>> check_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got {device!r}"
        ) from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"device {device!r} does not exist: PyTorch sees {count} CUDA devices")
    return chosen


def default_workers(device: torch.device) -> int:
    """Return a suitable number of loading processes for this machine.

    Without a GPU, the forward pass needs the cores, so at most one process loads images. With a
    GPU, there is one process for each core except one, but at least 1 and at most 16.

    Parameters
    ----------
    device : torch.device
        Device that the network runs on.

    Returns
    -------
    int
        Number of processes in addition to this one.

    Examples
    --------
    >>> import torch
    >>> default_workers(torch.device("cpu")) <= 1
    True
    """
    cores = n_cores()
    if device.type == "cpu":
        return 1 if cores > 1 else 0
    return min(16, max(1, cores - 1))


def check_workers(num_workers: int | None, device: torch.device, n_images: int) -> int:
    """Return the number of loading processes; raise ValueError if `num_workers` is not valid."""
    if num_workers is None:
        return default_workers(device) if n_images > 2000 else 0
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(f"num_workers must be a nonnegative integer; got {num_workers!r}")
    return num_workers


def check_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype for arithmetic on a device; raise ValueError if `precision` is unknown."""
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision not in _PRECISIONS:
        raise ValueError(
            f"precision must be 'auto' or one of {', '.join(_PRECISIONS)}; got {precision!r}"
        )
    return _PRECISIONS[precision]
