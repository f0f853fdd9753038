"""Training integrations: embeddings, datasets, the training driver, reports (extra `torch`).

The modules in ``PUBLIC_MODULES`` are documented and meant for programs. The others are parts
of the command line, or helpers of these, and may change.
"""

__all__ = ["PUBLIC_MODULES"]

PUBLIC_MODULES = (
    "data.augmentation",
    "data.datasets",
    "data.images",
    "data.splits",
    "methods",
    "models.backbones",
    "models.embedding_extraction",
    "models.pretrained_weights",
    "report",
    "training.comparison",
    "training.config",
    "training.reference_model",
)
