"""Four hundred digits, sorted by two Fiedler vectors."""

import matplotlib.pyplot as plt
import numpy as np
from _style import digits_batch, mosaic

from spectral_select import fiedler_vector

X, y = digits_batch(400)
figure, axes = plt.subplot_mosaic(
    [["symmetric", "unnormalized"], ["entries", "entries"]],
    figsize=(11, 5.8),
    layout="constrained",
    height_ratios=[3.4, 1.3],
)
figure.get_layout_engine().set(wspace=0.08)
for laplacian, style in (("symmetric", "-"), ("unnormalized", "--")):
    v = fiedler_vector(X, laplacian=laplacian).vector
    order = np.argsort(v)
    axis = axes[laplacian]
    axis.imshow(mosaic(X[order], 25), cmap="gray_r")
    axis.set(title=f"sorted by v, {laplacian}", xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axes["entries"].plot(v[order], style, label=laplacian)
axes["entries"].axhline(0, color="0.7", linewidth=0.8, zorder=0)
axes["entries"].set(xlabel="position in the order, row by row", ylabel="entry of v")
axes["entries"].legend(frameon=False)
