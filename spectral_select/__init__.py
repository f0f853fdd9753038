"""Choose the samples of each training batch by spectral analysis of its similarity graph."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectral_select._features.store import EmbeddingStore
    from spectral_select._features.store_writer import StoreWriter, save_embeddings
    from spectral_select._fiedler.fiedler_vector import fiedler_vector
    from spectral_select._fiedler.result import FiedlerResult, Status
    from spectral_select._labels.label_trust import LabelTrust, label_trust
    from spectral_select._samplers.class_balanced import ClassBalancedSampler, WeightedDataset
    from spectral_select._samplers.guided_sampler import GuidedSampler
    from spectral_select._samplers.schedules import (
        ConstantSchedule,
        CosineSchedule,
        LinearSchedule,
        Schedule,
        StepSchedule,
        make_schedule,
    )
    from spectral_select._samplers.selection_pass import SelectionTimings
    from spectral_select._samplers.spectral_batch_sampler import SpectralBatchSampler
    from spectral_select._selectors.fiedler_selector import FiedlerBatchSelector
    from spectral_select._selectors.guided_selector import GuidedBatchSelector
    from spectral_select._selectors.ratio import n_candidates, n_kept
    from spectral_select._selectors.resamplers import FiedlerResampler, GuidedResampler
    from spectral_select._utils.folders import StoreError

__version__ = "0.1.0"

# Names load on first use, so that importing the package never imports torch.
_HOME = {
    "ClassBalancedSampler": "_samplers.class_balanced",
    "ConstantSchedule": "_samplers.schedules",
    "CosineSchedule": "_samplers.schedules",
    "EmbeddingStore": "_features.store",
    "FiedlerBatchSelector": "_selectors.fiedler_selector",
    "FiedlerResampler": "_selectors.resamplers",
    "FiedlerResult": "_fiedler.result",
    "GuidedBatchSelector": "_selectors.guided_selector",
    "GuidedResampler": "_selectors.resamplers",
    "GuidedSampler": "_samplers.guided_sampler",
    "LabelTrust": "_labels.label_trust",
    "LinearSchedule": "_samplers.schedules",
    "Schedule": "_samplers.schedules",
    "SelectionTimings": "_samplers.selection_pass",
    "SpectralBatchSampler": "_samplers.spectral_batch_sampler",
    "Status": "_fiedler.result",
    "StepSchedule": "_samplers.schedules",
    "StoreError": "_utils.folders",
    "StoreWriter": "_features.store_writer",
    "WeightedDataset": "_samplers.class_balanced",
    "fiedler_vector": "_fiedler.fiedler_vector",
    "label_trust": "_labels.label_trust",
    "make_schedule": "_samplers.schedules",
    "n_candidates": "_selectors.ratio",
    "n_kept": "_selectors.ratio",
    "save_embeddings": "_features.store_writer",
}

__all__ = [
    "ClassBalancedSampler",
    "ConstantSchedule",
    "CosineSchedule",
    "EmbeddingStore",
    "FiedlerBatchSelector",
    "FiedlerResampler",
    "FiedlerResult",
    "GuidedBatchSelector",
    "GuidedResampler",
    "GuidedSampler",
    "LabelTrust",
    "LinearSchedule",
    "Schedule",
    "SelectionTimings",
    "SpectralBatchSampler",
    "Status",
    "StepSchedule",
    "StoreError",
    "StoreWriter",
    "WeightedDataset",
    "__version__",
    "fiedler_vector",
    "label_trust",
    "make_schedule",
    "n_candidates",
    "n_kept",
    "save_embeddings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    except ModuleNotFoundError as error:
        from spectral_select._utils.optional_packages import how_to_install, missing_package

        if (package := missing_package(error)) is None:
            raise
        message = f"{__name__}.{name} {how_to_install(package)}"
        raise ModuleNotFoundError(message, name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
