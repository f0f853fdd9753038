"""Training integrations: embeddings, datasets, the training driver, reports (extra `torch`).

The modules in ``PUBLIC_MODULES`` are the documented, public API. The others implement the
command line or are internal helpers, and may change.
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
