"""Four hundred digits, sorted by two Fiedler vectors."""

import matplotlib.pyplot as plt
import numpy as np
from _style import digits_batch, mosaic

from spectral_select import fiedler_vector

X, y = digits_batch(400)
figure, axes = plt.subplots(
    2, 2, figsize=(11, 5.6), layout="constrained", height_ratios=[3.4, 1], sharex="row"
)
for column, laplacian in zip(axes.T, ("symmetric", "unnormalized"), strict=True):
    v = fiedler_vector(X, laplacian=laplacian).vector
    order = np.argsort(v)
    column[0].imshow(mosaic(X[order], 25), cmap="gray_r")
    column[0].set(title=f"sorted by v, {laplacian}", xticks=[], yticks=[])
    column[0].spines[:].set_visible(False)
    column[1].plot(v[order], ".-", markersize=3, linewidth=1)
    column[1].axhline(0, color="0.7", linewidth=0.8, zorder=0)
    column[1].set(xlabel="position in the order, row by row", ylabel="entry of v")
