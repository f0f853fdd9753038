"""A small dataset that records which images are loaded, and settings for fast training."""

import json
from types import SimpleNamespace

import numpy as np
from PIL import Image

from spectral_select.integrations.training.config import TrainConfig


class Recorded:
    """Noisy images with one color per class; `loaded` lists the requested indices."""

    def __init__(self, n, n_classes=3, seed=0, side=20):
        rng = np.random.default_rng(seed)
        self.labels = np.arange(n) % n_classes
        noise = rng.integers(0, 60, (n, side, side + 4, 3))
        noise[np.arange(n), :, :, self.labels % 3] += 150
        self.pixels = noise.astype(np.uint8)
        self.loaded = []

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.loaded.append(index)
        return Image.fromarray(self.pixels[index]), int(self.labels[index])


def data_set(n=64, n_val=8, n_test=12):
    return SimpleNamespace(
        name="colored",
        classes=("red", "green", "blue"),
        train=Recorded(n),
        val=Recorded(n_val, seed=1),
        test=Recorded(n_test, seed=2),
        describe=lambda: {"name": "colored", "n_classes": 3},
    )


def features_of(data, d=6, seed=0):
    return np.random.default_rng(seed).random((len(data.train), d), dtype=np.float32)


def settings(**changes):
    """Return a configuration with SqueezeNet, which is small and has dropout, at 24 px."""
    few = {
        "model": "squeezenet1_1",
        "image_size": 24,
        "epochs": 2,
        "candidate_size": 20,
        "filter_ratio": 0.8,
        "lr": 0.01,
    }
    return TrainConfig(**few | changes)


def read_results_json(path):
    """Return the content of results.json in a folder, or of the given file."""
    return json.loads((path / "results.json" if path.is_dir() else path).read_text())
