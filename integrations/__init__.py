"""Training integrations: embeddings, data sets, the training driver, reports (extra `torch`).

The modules in ``__all__`` are for programs and documented one by one; the others are parts
of the command line and of these, and may change.
"""

__all__ = [
    "augment",
    "backbones",
    "datasets",
    "features",
    "images",
    "methods",
    "reference",
    "report",
    "splits",
    "store",
    "store_writer",
    "train",
    "train_config",
    "weights",
]
