"""
What is chosen from a batch
===========================

One candidate batch of 200 handwritten digits, its Fiedler vector, and the fifth of the
batch that each of the two rules keeps. The map is a projection for the eye (the first two
principal components); the selection itself works in all 64 dimensions.
"""

# %%
# Two selectors see the same batch. ``rule="extreme"`` is SALN's Algorithm 1: the rows of
# largest :math:`|v|`, where :math:`v` is the Fiedler vector of the unnormalized Laplacian.
# ``rule="stratified"`` takes one row from each of 40 equal stretches of the order along the
# Fiedler vector of the symmetric Laplacian.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from spectral_select import FiedlerBatchSelector

images, labels = load_digits(return_X_y=True)
rows = np.random.default_rng(0).choice(len(images), 200, replace=False)
batch, digits = images[rows], labels[rows]

selectors = {
    "extreme, unnormalized Laplacian": FiedlerBatchSelector(filter_ratio=0.8),
    "stratified, symmetric Laplacian": FiedlerBatchSelector(
        filter_ratio=0.8, rule="stratified", laplacian="symmetric"
    ),
}
for selector in selectors.values():
    selector.fit(batch)

# %%
# The color is the entry of the Fiedler vector, the black circles are what is kept. The
# unnormalized vector is nearly constant over the batch and large at a few samples that are
# like nothing else; those are kept first. The symmetric one changes from one end of the
# batch to the other, and a choice along it covers the whole.

flat = PCA(2).fit_transform(batch)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for axis, (title, selector) in zip(axes, selectors.items(), strict=True):
    v = selector.fiedler_vector_
    limit = np.abs(v).max()
    points = axis.scatter(
        *flat.T, c=v, cmap="RdBu_r", vmin=-limit, vmax=limit, s=26, ec="0.6", lw=0.4
    )
    kept = flat[selector.support_]
    axis.scatter(*kept.T, s=95, facecolors="none", edgecolors="black", linewidths=1.4)
    axis.set(title=title, xticks=[], yticks=[])
    figure.colorbar(points, ax=axis, shrink=0.75, label="entry of the Fiedler vector")
plt.show()

# %%
# The first 20 of each choice, by :math:`|v|` and along the order. How many of the ten
# classes are in the 40 rows kept?

figure = plt.figure(figsize=(10, 2.9), layout="constrained")
for half, (title, selector) in zip(figure.subfigures(2, 1), selectors.items(), strict=True):
    chosen = selector.get_support(indices=True)
    key = -selector.scores_ if selector.rule == "extreme" else selector.fiedler_vector_
    order = chosen[np.argsort(key[chosen])]
    half.suptitle(f"{title}: {len(set(digits[chosen]))} classes", fontsize=10)
    shown = order[:20] if selector.rule == "extreme" else order[::2]
    for axis, row in zip(half.subplots(1, 20), shown, strict=True):
        axis.imshow(batch[row].reshape(8, 8), cmap="gray_r")
        axis.set_axis_off()
plt.show()
