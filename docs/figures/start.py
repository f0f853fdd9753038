"""A batch, its Fiedler order, and the fifth kept by the stratified rule."""

import matplotlib.pyplot as plt
import numpy as np
from _style import digits_batch
from sklearn.decomposition import PCA

from spectral_select import FiedlerBatchSelector

X, y = digits_batch(200)
selector = FiedlerBatchSelector(rule="stratified", laplacian="symmetric").fit(X)
v, kept = selector.fiedler_vector_, selector.support_
flat = PCA(2).fit_transform(X)
unit = X / np.linalg.norm(X, axis=1, keepdims=True)
similarity = unit @ unit.T

figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
titles = ("a candidate batch is a graph", "its Fiedler vector orders it", "a fifth is kept")
for axis, title in zip(axes, titles, strict=True):
    axis.set(title=title, xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
for i, j in zip(*np.nonzero(np.triu(similarity > 0.86, 1)), strict=True):
    axes[0].plot(*flat[[i, j]].T, color="0.75", linewidth=0.5, zorder=0)
axes[0].scatter(*flat.T, color="0.25", s=12)
limit = np.quantile(np.abs(v), 0.98)
colors = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "ec": "0.6", "lw": 0.3}
axes[1].scatter(*flat.T, c=v, s=26, **colors)
axes[2].scatter(*flat[~kept].T, color="0.85", s=12)
axes[2].scatter(*flat[kept].T, c=v[kept], s=60, **colors | {"ec": "black", "lw": 1})
