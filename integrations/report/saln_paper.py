"""The numbers in tables 1 to 16 of the SALN paper, and its setting.

Source: M. Sharifi, "Optimizing Data Curation through Spectral Analysis and Joint Batch
Selection (SALN)", arXiv:2412.17069. As in the paper, accuracies are in percent and times in
minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from spectral_select.integrations.records.run_records import Results

__all__ = [
    "PAPERS",
    "QUANTITIES",
    "SETTING",
    "SOURCE",
    "PaperData",
    "Quantity",
    "comparable",
    "differences",
    "paper_data",
    "printed_method",
]

SOURCE = "arXiv:2412.17069"

#: The setting shared by all runs in the paper.
SETTING = "a T4 GPU on Google Colab, 25 epochs, pretrained ResNet-18, SGD, one run each"


@dataclass(frozen=True)
class Quantity:
    """One quantity that the paper reports in tables.

    Attributes
    ----------
    key : str
        ``accuracy``, ``loss``, ``test`` or ``time``.
    title : str
        Title of its tables.
    columns : tuple of str
        One name for each number.
    digits : int
        Number of decimals to show for our numbers.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    digits: int


#: The paper reports each quantity twice: compared with standard training and with JEST.
QUANTITIES = (
    Quantity("accuracy", "Accuracy (%)", ("train", "val"), 2),
    Quantity("loss", "Loss (cross-entropy)", ("train", "val"), 4),
    Quantity("test", "Test accuracy (%)", ("test",), 2),
    Quantity("time", "Training time (minutes)", ("time",), 2),
)


@dataclass(frozen=True)
class PaperData:
    """The paper's numbers for one dataset.

    Attributes
    ----------
    name : str
        Name of the dataset.
    key : str
        Name of the dataset in this package.
    tables : dict
        For each quantity, the numbers of its two tables: the comparison with standard training
        and the comparison with JEST.
    printed : dict
        Cells as printed, by quantity and method (``SALN``, ``standard`` and ``JEST``). The
        two tables for a quantity contain the same numbers for SALN.
    curves : dict
        For each method, the number of the figure with its curves.
    batch_figure : int
        Number of the figure with two batches and the samples selected by SALN.
    """

    name: str
    key: str
    tables: Mapping[str, tuple[int, int]]
    printed: Mapping[str, Mapping[str, tuple[str, ...]]]
    curves: Mapping[str, int]
    batch_figure: int


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
    """Return the paper's results to compare with, and whether they are for the dataset `name`.

    Parameters
    ----------
    name : str
        Name or path of a dataset.

    Returns
    -------
    PaperData
        CIFAR-10 for that dataset and its copies, otherwise Oxford-IIIT Pet, the paper's primary
        dataset.
    bool
        Whether the dataset is exactly the paper's.

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
    is_cifar10 = plain.startswith("cifar10") and not plain.startswith("cifar100")
    return PAPERS[1 if is_cifar10 else 0], False


def comparable(name: str) -> bool:
    """Return whether the dataset `name` is one of the paper's datasets, or a copy of CIFAR-10.

    Examples
    --------
    >>> [comparable(name) for name in ("oxford-pet", "images/cifar-10-small", "photos")]
    [True, True, False]
    """
    data, same = paper_data(name)
    return same or data.key == "cifar10"


def printed_method(method: str) -> str | None:
    """Return the paper's name for a method, or None if the paper does not include it.

    Examples
    --------
    >>> [printed_method(m) for m in ("fiedler", "full", "jest:n_chunks=8", "random")]
    ['SALN', 'standard', 'JEST', None]
    """
    name = method.partition(":")[0]
    if name.startswith("jest"):
        return "JEST"
    return {"fiedler": "SALN", "full": "standard"}.get(method)


def differences(results: Results, same_data: bool, paper: PaperData) -> list[str]:
    """Return the differences between a run and the paper's setting, one phrase each.

    Parameters
    ----------
    results : Results
        The results of the run.
    same_data : bool
        Whether the dataset is the paper's.
    paper : PaperData
        The paper's results to compare with.
    """
    setting = results.setting
    phrases = []
    if not same_data:
        phrases.append(f"{PurePath(results.data.name).name} instead of {paper.name}")
    for value, printed, words in (
        (setting.model, "resnet18", "network"),
        (setting.epochs, 25, "epochs"),
        (setting.lr, 0.001, "learning rate"),
        (setting.lr_schedule, "constant", "learning-rate schedule"),
        (setting.momentum, 0.9, "momentum"),
    ):
        if value not in (None, printed):
            phrases.append(f"{words} {value} (paper: {printed})")
    weights = setting.weights
    if weights not in (None, "default"):
        words = "random" if weights == "random" else PurePath(weights).name
        phrases.append(f"initial weights {words} (paper: pretrained)")
    hardware = results.hardware or {}
    machine = hardware.get("gpu") or hardware.get("processor")
    if machine and "T4" not in str(machine):
        phrases.append(f"{machine} (paper: T4)")
    return phrases
