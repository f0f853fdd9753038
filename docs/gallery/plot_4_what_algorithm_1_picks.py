"""
What Algorithm 1 picks
======================

The SALN paper's Algorithm 1 keeps outliers. This example shows a candidate batch of 200
handwritten digits, its Fiedler vector, and the fifth of the batch that each of two rules keeps.
The plots use the first two principal components; the selection uses all 64 dimensions.
"""

# %%
# We fit two selectors to the same batch. ``rule="extreme"`` is SALN's Algorithm 1: it keeps the
# rows with the largest :math:`|v|`, where :math:`v` is the Fiedler vector of the unnormalized
# Laplacian. ``rule="stratified"`` sorts the rows by the Fiedler vector of the symmetric
# Laplacian, divides them into 40 equal parts and keeps one row from each.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from spectral_select import FiedlerBatchSelector, n_kept

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
# The color shows the entries of the Fiedler vector, and black circles mark the kept samples. With
# the unnormalized Laplacian, the vector is nearly constant except at a few outliers, which are
# kept first. With the symmetric Laplacian, it changes gradually across the batch, so the
# stratified rule covers the whole batch.

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
# Each selection has 40 samples. We show 20 of them, and count the classes among all 40. The first
# row shows the samples with the largest :math:`|v|`. The second row shows every second kept
# sample, in Fiedler order.

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

# %%
# What does this mean for training? A linear classifier trained on the rows that Algorithm 1 keeps
# is worse than one trained on a random subset of the same size. The stratified rule is about as
# good as random selection. :doc:`/evidence/index` compares the methods on larger data.

X_train, X_test, y_train, y_test = train_test_split(
    images / 16, labels, test_size=0.4, random_state=0, stratify=labels
)


def accuracy(rows):
    model = LogisticRegression(max_iter=1000).fit(X_train[rows], y_train[rows])
    return 100 * model.score(X_test, y_test)


n_rows = n_kept(len(X_train), 0.8)
at_random = [
    accuracy(np.random.default_rng(seed).choice(len(X_train), n_rows, replace=False))
    for seed in range(5)
]
print(f"random: {np.mean(at_random):.1f}%")
for title, selector in selectors.items():
    print(f"{title}: {accuracy(selector.fit(X_train).get_support(indices=True)):.1f}%")
