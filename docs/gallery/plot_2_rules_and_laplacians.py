"""
Effect of the rule and the Laplacian
====================================

This example compares two selection rules on the same batch, with three combinations of graph and
Laplacian: all cosine similarities with the unnormalized or the symmetric Laplacian, and nearest
neighbors. The batch has three clusters of unequal size and five outliers.
"""

# %%
# Cosine similarity depends only on directions, so we generate points on a sphere. The plots show
# the sphere from above.

import matplotlib.pyplot as plt
import numpy as np

from spectral_select import FiedlerBatchSelector

rng = np.random.default_rng(3)
centers = np.array([[1.0, 0.2, 0.2], [0.2, 1.0, 0.2], [0.2, 0.2, 1.0]])
sizes = [120, 50, 25]
clusters = [c + 0.13 * rng.standard_normal((n, 3)) for c, n in zip(centers, sizes, strict=True)]
outliers = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1.3, -0.3, 0.1], [-0.3, 0.2, 1.2]])
X = np.vstack([*clusters, outliers])
X /= np.linalg.norm(X, axis=1, keepdims=True)
east, north = np.array([1, -1, 0]) / np.sqrt(2), np.array([-1, -1, 2]) / np.sqrt(6)
flat = np.column_stack([X @ east, X @ north])

graphs = {
    "all similarities, unnormalized": {"laplacian": "unnormalized"},
    "all similarities, symmetric": {"laplacian": "symmetric"},
    "10 nearest neighbors, symmetric": {
        "affinity": "nearest_neighbors",
        "laplacian": "symmetric",
        "n_neighbors": 10,
    },
}

# %%
# Each selector keeps a fifth of the batch. The ``extreme`` rule keeps the rows with the largest
# :math:`|v|`. On the dense graph with the unnormalized Laplacian, these rows lie at the boundary of
# two clusters. On the other graphs, they lie in a single cluster, because the vector separates this
# cluster from the rest. The ``stratified`` rule covers all clusters on every graph. The numbers
# below each plot show the composition of the kept samples: the share from each of the three
# clusters, from large to small, and the share of outliers. In the batch, these shares are 60%, 25%,
# 12.5% and 2.5%.

figure, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
cluster_of = np.repeat([0, 1, 2, 3], [*sizes, len(outliers)])
for row, rule in zip(axes, ("extreme", "stratified"), strict=True):
    for axis, (title, options) in zip(row, graphs.items(), strict=True):
        selector = FiedlerBatchSelector(filter_ratio=0.8, rule=rule, **options).fit(X)
        v = selector.fiedler_vector_
        limit = np.quantile(np.abs(v), 0.98)
        axis.scatter(*flat.T, c=v, cmap="RdBu_r", vmin=-limit, vmax=limit, s=18, ec="0.6", lw=0.3)
        kept = selector.support_
        axis.scatter(*flat[kept].T, s=70, facecolors="none", edgecolors="black", linewidths=1.2)
        shares = np.bincount(cluster_of[kept], minlength=4) / kept.sum()
        axis.set_title(f"{rule}\n{title}", fontsize=10)
        axis.set_xlabel(" / ".join(f"{share:.0%}" for share in shares))
        axis.set(xticks=[], yticks=[], aspect="equal")
plt.show()
