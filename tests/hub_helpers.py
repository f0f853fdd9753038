"""Small Hugging Face datasets."""

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, Value, disable_progress_bars
from PIL import Image as PillowImage

disable_progress_bars()  # some tests look at stderr


def hub_images(n, seed=0, side=12, names=("cat", "dog")):
    """Return PNG images of noise around one color per class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(names)
    pixels = rng.integers(0, 100, (n, side, side + 2, 3))
    pixels[np.arange(n), :, :, labels] += 150
    return Dataset.from_dict(
        {
            "image": [PillowImage.fromarray(one) for one in pixels.astype(np.uint8)],
            "label": labels,
            "key": [f"k{i}" for i in range(n)],
        },
        features=Features(image=Image(), label=ClassLabel(names=list(names)), key=Value("string")),
    )
