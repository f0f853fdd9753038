"""Sixteen digits as a graph, its weights and its Laplacian."""

import matplotlib.pyplot as plt
import numpy as np
from _style import digits_batch
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

X, y = digits_batch(16, classes=[0, 1, 4], seed=1)
order = np.argsort(y, kind="stable")
X, y = X[order], y[order]
unit = X / np.linalg.norm(X, axis=1, keepdims=True)
S = unit @ unit.T
W = (1 + S) / 2
L = np.diag(W.sum(1)) - W

figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained")
angle = 2 * np.pi * np.arange(len(X)) / len(X)
position = np.column_stack([np.cos(angle), np.sin(angle)])
for i in range(len(X)):
    for j in range(i):
        axes[0].plot(*position[[i, j]].T, color="C0", alpha=0.75 * S[i, j] ** 6, linewidth=2.5)
    image = OffsetImage(X[i].reshape(8, 8), cmap="gray_r", zoom=2.2)
    box = AnnotationBbox(image, position[i], pad=0.1, bboxprops={"edgecolor": "0.6"})
    axes[0].add_artist(box)
axes[0].set(title="the graph", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
axes[0].set_axis_off()
for axis, matrix, title, cmap, low, high in (
    (axes[1], W, "weights W", "Blues", 0.5, 1),
    (axes[2], L, "Laplacian L = D − W", "RdBu_r", -1.5, 1.5),
):
    picture = axis.imshow(matrix, cmap=cmap, vmin=low, vmax=high)
    axis.set(title=title, xticks=range(16), yticks=range(16))
    axis.set_xticklabels(y)
    axis.set_yticklabels(y)
    axis.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axis, shrink=0.8, extend="max" if low < 0 else "neither")
