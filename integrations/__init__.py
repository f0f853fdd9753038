"""Training integrations: embeddings, datasets, the training driver, reports (extra `torch`).

The modules in ``PUBLIC_MODULES`` are the documented, public API. The others implement the
command line or are internal helpers, and may change.
"""

__all__ = ["PUBLIC_MODULES"]

PUBLIC_MODULES = (
    "data.augmentation",
    "data.datasets",
    "data.feature_files",
    "data.hugging_face",
    "data.images",
    "data.labeled_dataset",
    "data.splits",
    "data.text_files",
    "data.texts",
    "methods",
    "models.backbones",
    "models.embedding_extraction",
    "models.heads",
    "models.pretrained_weights",
    "models.sentence_encoder",
    "models.text_extraction",
    "models.tfidf",
    "ray",
    "report",
    "training.comparison",
    "training.config",
    "training.reference_model",
)
