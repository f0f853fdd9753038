"""The figures that the SALN paper prints in its tables 1 to 16, and its setting.

Source: M. Sharifi, "Optimizing Data Curation through Spectral Analysis and Joint Batch
Selection (SALN)", arXiv:2412.17069. Accuracies in per cent, times in minutes, as printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

__all__ = [
    "BLOCKS",
    "PAPERS",
    "SETTING",
    "SOURCE",
    "Block",
    "PaperData",
    "differences",
    "paper_data",
    "printed_method",
]

SOURCE = "arXiv:2412.17069"

#: What all of the paper's runs had in common.
SETTING = "Google Colab's T4 GPU, 25 epochs, ResNet-18 pretrained, SGD, one run each"


@dataclass(frozen=True)
class Block:
    """One quantity: which columns, and which of the paper's tables print it.

    Attributes
    ----------
    quantity : str
        ``accuracy``, ``loss``, ``test`` or ``time``.
    title : str
        For the caption.
    columns : tuple of str
        One name for each printed number.
    digits : int
        Decimals of our own figures.
    """

    quantity: str
    title: str
    columns: tuple[str, ...]
    digits: int


#: The paper prints these four quantities, once beside standard training and once beside JEST.
BLOCKS = (
    Block("accuracy", "Accuracy (%)", ("train", "val"), 2),
    Block("loss", "Loss (cross-entropy)", ("train", "val"), 4),
    Block("test", "Test accuracy (%)", ("test",), 2),
    Block("time", "Training time (minutes)", ("time",), 2),
)


@dataclass(frozen=True)
class PaperData:
    """What the paper prints of one dataset.

    Attributes
    ----------
    name : str
        Name of the dataset.
    key : str
        Its name here.
    tables : dict
        Numbers of the tables of a quantity: beside standard training, beside JEST.
    printed : dict
        Printed cells by quantity and method, ``SALN``, ``standard`` and ``JEST``. Both
        tables of a quantity give SALN the same figures.
    curves : dict
        Number of the figure with a method's curves.
    gallery : int
        Number of the figure with two batches and what SALN chose of them.
    """

    name: str
    key: str
    tables: Mapping[str, tuple[int, int]]
    printed: Mapping[str, Mapping[str, tuple[str, ...]]]
    curves: Mapping[str, int]
    gallery: int


PAPERS = (
    PaperData(
        "Oxford-IIIT Pet",
        "oxford-pet",
        {"accuracy": (1, 5), "loss": (2, 6), "test": (3, 7), "time": (4, 8)},
        {
            "accuracy": {
                "SALN": ("96.5", "94.02"),
                "standard": ("86.1", "76.49"),
                "JEST": ("79.59", "75.54"),
            },
            "loss": {
                "SALN": ("0.1606", "0.2102"),
                "standard": ("0.4983", "0.6546"),
                "JEST": ("0.7309", "0.8060"),
            },
            "test": {"SALN": ("86.8",), "standard": ("82.02",), "JEST": ("87.55",)},
            "time": {"SALN": ("6.31",), "standard": ("24.48",), "JEST": ("14.87",)},
        },
        {"standard": 1, "SALN": 2, "JEST": 3},
        7,
    ),
    PaperData(
        "CIFAR-10",
        "cifar10",
        {"accuracy": (9, 13), "loss": (10, 14), "test": (11, 15), "time": (12, 16)},
        {
            "accuracy": {
                "SALN": ("81.99", "84.08"),
                "standard": ("85.54", "86.82"),
                "JEST": ("72.81", "76.86"),
            },
            "loss": {
                "SALN": ("0.5080", "0.4607"),
                "standard": ("0.4055", "0.3664"),
                "JEST": ("0.7832", "0.6732"),
            },
            "test": {"SALN": ("82.46",), "standard": ("82.56",), "JEST": ("77.72",)},
            "time": {"SALN": ("22.66",), "standard": ("39.41",), "JEST": ("37.68",)},
        },
        {"standard": 4, "SALN": 5, "JEST": 6},
        8,
    ),
)


def paper_data(name: str) -> tuple[PaperData, bool]:
    """Return the paper's dataset to set beside the one called `name`, and if it is the same.

    Parameters
    ----------
    name : str
        Name or path of a dataset.

    Returns
    -------
    PaperData
        CIFAR-10 for copies of it, else Oxford-IIIT Pet, the paper's primary dataset.
    bool
        False if ours is a stand-in.

    Examples
    --------
    >>> [(paper_data(n)[0].name, paper_data(n)[1]) for n in ("cifar10", "images/cifar-10-small")]
    [('CIFAR-10', True), ('CIFAR-10', False)]
    >>> paper_data("digits")[0].name
    'Oxford-IIIT Pet'
    """
    for data in PAPERS:
        if name == data.key:
            return data, True
    plain = "".join(c for c in PurePath(name).name.lower() if c.isalnum())
    likes_cifar = plain.startswith("cifar10") and not plain.startswith("cifar100")
    return PAPERS[1 if likes_cifar else 0], False


def printed_method(method: str) -> str | None:
    """Return the paper's name of one of our methods, or None if it has no such method.

    Examples
    --------
    >>> [printed_method(m) for m in ("fiedler", "full", "jest:n_chunks=8", "random")]
    ['SALN', 'standard', 'JEST', None]
    """
    name = method.partition(":")[0]
    if name.startswith("jest"):
        return "JEST"
    return {"fiedler": "SALN", "full": "standard"}.get(method)


def differences(results: Mapping[str, Any], same_data: bool, paper: PaperData) -> list[str]:
    """Return in which respects a run is not the paper's, one phrase each.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``.
    same_data : bool
        Whether the dataset is the paper's.
    paper : PaperData
        The paper's dataset.
    """
    config = results["config"]
    found = []
    if not same_data:
        found.append(f"{PurePath(results['data']['name']).name} in place of {paper.name}")
    for key, printed, words in (
        ("model", "resnet18", "network"),
        ("epochs", 25, "epochs"),
        ("lr", 0.001, "learning rate"),
        ("lr_schedule", "constant", "learning-rate schedule"),
        ("momentum", 0.9, "momentum"),
    ):
        if key in config and config[key] != printed:
            found.append(f"{words} {config[key]} (paper: {printed})")
    weights = config.get("weights")
    if weights is not None and weights != "default":
        words = "random" if weights == "random" else PurePath(str(weights)).name
        found.append(f"initial weights {words} (paper: pretrained)")
    hardware = results.get("hardware") or {}
    machine = hardware.get("gpu") or hardware.get("processor")
    if machine and "T4" not in str(machine):
        found.append(f"{machine} (paper: T4)")
    return found
