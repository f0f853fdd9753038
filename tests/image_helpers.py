"""Folders of random images."""

import numpy as np
from PIL import Image


def write_images(folder, classes, n, *, seed=0, size=(12, 10), name="{:03}.png"):
    """Write n random images for each class; return the folder."""
    rng = np.random.default_rng(seed)
    for class_name in classes:
        (folder / class_name).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / class_name / name.format(i))
    return folder
