"""Choose the samples of each training batch by spectral analysis of its similarity graph."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._balanced import ClassBalancedSampler, WeightedDataset
    from ._fiedler import fiedler_vector
    from ._guided import GuidedBatchSelector
    from ._ratio import n_candidates, n_kept
    from ._resampler import FiedlerResampler
    from ._result import FiedlerResult, Status
    from ._sampler import SpectralBatchSampler
    from ._schedule import (
        ConstantSchedule,
        CosineSchedule,
        LinearSchedule,
        StepSchedule,
        make_schedule,
    )
    from ._selector import FiedlerBatchSelector
    from ._trust import LabelTrust, label_trust

__version__ = "0.1.0"

# Names load on first use, so that importing the package never imports torch.
_HOME = {
    "ClassBalancedSampler": "_balanced",
    "ConstantSchedule": "_schedule",
    "CosineSchedule": "_schedule",
    "FiedlerBatchSelector": "_selector",
    "FiedlerResampler": "_resampler",
    "FiedlerResult": "_result",
    "GuidedBatchSelector": "_guided",
    "LabelTrust": "_trust",
    "LinearSchedule": "_schedule",
    "SpectralBatchSampler": "_sampler",
    "Status": "_result",
    "StepSchedule": "_schedule",
    "WeightedDataset": "_balanced",
    "fiedler_vector": "_fiedler",
    "label_trust": "_trust",
    "make_schedule": "_schedule",
    "n_candidates": "_ratio",
    "n_kept": "_ratio",
}

__all__ = [
    "ClassBalancedSampler",
    "ConstantSchedule",
    "CosineSchedule",
    "FiedlerBatchSelector",
    "FiedlerResampler",
    "FiedlerResult",
    "GuidedBatchSelector",
    "LabelTrust",
    "LinearSchedule",
    "SpectralBatchSampler",
    "Status",
    "StepSchedule",
    "WeightedDataset",
    "__version__",
    "fiedler_vector",
    "label_trust",
    "make_schedule",
    "n_candidates",
    "n_kept",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    except ModuleNotFoundError as error:
        from ._extras import how_to_install, missing_package

        if (package := missing_package(error)) is None:
            raise
        message = f"{__name__}.{name} {how_to_install(package)}"
        raise ModuleNotFoundError(message, name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
