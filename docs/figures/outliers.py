"""With the unnormalized Laplacian, the Fiedler vector is concentrated on rows of low degree."""

import matplotlib.pyplot as plt
import numpy as np
from _style import digits_batch

from spectral_select import fiedler_vector

X, y = digits_batch(400)
unit = X / np.linalg.norm(X, axis=1, keepdims=True)
degree = ((1 + unit @ unit.T) / 2).sum(1)

cases = {
    "all similarities,\nunnormalized": {},
    "all similarities,\nsymmetric": {"laplacian": "symmetric"},
    "nearest neighbors,\nsymmetric": {
        "affinity": "nearest_neighbors",
        "laplacian": "symmetric",
    },
}
figure, axes = plt.subplots(1, 3, figsize=(11, 4.6), layout="constrained")
for axis, (title, options) in zip(axes, cases.items(), strict=True):
    v = fiedler_vector(X, **options).vector
    top = np.argsort(-np.abs(v))[: len(v) // 5]
    low = np.argsort(degree)[: len(v) // 5]
    shared = len(np.intersect1d(top, low)) / len(top)
    participation = 1 / (v**4).sum()
    axis.scatter(degree, np.abs(v), s=10, color="0.6")
    axis.scatter(degree[top], np.abs(v)[top], s=14, color="#d55e00")
    axis.set_title(title)
    axis.set(xlabel="degree (sum of weights)", ylabel="|v|")
    axis.set_ylim(top=1.45 * np.abs(v).max())
    text = f"participation ratio: {participation:.0f} of {len(v)};\n"
    text += f"{shared:.0%} of the top fifth have\na degree in the lowest fifth"
    axis.text(0.97, 0.95, text, transform=axis.transAxes, ha="right", va="top", fontsize=11)
