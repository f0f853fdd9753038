# The public names and where they are defined; __init__.py loads them on first use.

from ._features.store import EmbeddingStore
from ._features.store_writer import StoreWriter, save_embeddings
from ._fiedler.fiedler_vector import fiedler_vector
from ._fiedler.result import FiedlerResult, Status
from ._inspection.inspect_dataset import DatasetInspection, inspect_dataset
from ._inspection.near_duplicates import NearDuplicates
from ._labels.wrong_labels import WrongLabels, find_wrong_labels
from ._samplers.class_balanced import ClassBalancedSampler, WeightedDataset
from ._samplers.guided_sampler import GuidedSampler
from ._samplers.sample_scores import SampleScores, load_scores
from ._samplers.schedules import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    Schedule,
    StepSchedule,
    make_schedule,
)
from ._samplers.selection_pass import SelectionTimings
from ._samplers.spectral_batch_sampler import SpectralBatchSampler
from ._selectors.fiedler_selector import FiedlerBatchSelector
from ._selectors.guided_selector import GuidedBatchSelector
from ._selectors.ratio import n_candidates, n_kept
from ._selectors.resamplers import FiedlerResampler, GuidedResampler
from ._utils.folders import StoreError

__version__: str

__all__ = [
    "ClassBalancedSampler",
    "ConstantSchedule",
    "CosineSchedule",
    "DatasetInspection",
    "EmbeddingStore",
    "FiedlerBatchSelector",
    "FiedlerResampler",
    "FiedlerResult",
    "GuidedBatchSelector",
    "GuidedResampler",
    "GuidedSampler",
    "LinearSchedule",
    "NearDuplicates",
    "SampleScores",
    "Schedule",
    "SelectionTimings",
    "SpectralBatchSampler",
    "Status",
    "StepSchedule",
    "StoreError",
    "StoreWriter",
    "WeightedDataset",
    "WrongLabels",
    "__version__",
    "fiedler_vector",
    "find_wrong_labels",
    "inspect_dataset",
    "load_scores",
    "make_schedule",
    "n_candidates",
    "n_kept",
    "save_embeddings",
]
