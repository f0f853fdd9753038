"""
Comparison with k-center greedy and random subsets
==================================================

This example trains a linear classifier on subsets of the digits, selected by four methods. It
compares the test accuracy and how well each subset covers the data, measured by the largest
distance from any sample to the subset.
"""

# %%
# k-center greedy repeatedly selects the sample that is farthest from all selected samples
# (Gonzalez, 1985). Sener and Savarese (2018) use it to select core-sets for active learning.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize

from spectral_select import FiedlerBatchSelector, n_kept


def k_center(X, k, start):
    """Return k rows; each is the farthest from those before it (cosine distance)."""
    chosen = [start]
    distance = 1 - X @ X[start]
    while len(chosen) < k:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, 1 - X @ X[chosen[-1]])
    return np.array(chosen)


def spectral(X, k, **options):
    """Return k rows selected by the Fiedler vector, with X as a single candidate batch."""
    return FiedlerBatchSelector(1 - k / len(X), **options).fit(X).get_support(indices=True)


methods = {
    "random": lambda X, k, seed: np.random.default_rng(seed).choice(len(X), k, replace=False),
    "k-center greedy": k_center,
    "extreme (Algorithm 1)": lambda X, k, seed: spectral(X, k),
    "stratified": lambda X, k, seed: spectral(
        X, k, rule="stratified", laplacian="symmetric", random_state=seed
    ),
}

X, y = load_digits(return_X_y=True)
X = normalize(X)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)

# %%
# With each method, we select subsets of five sizes and repeat this with five seeds. If a class is
# missing from a subset, the classifier cannot predict it, which lowers the accuracy.

shares = np.array([0.03, 0.06, 0.12, 0.25, 0.5])
accuracy = {name: np.empty((len(shares), 5)) for name in methods}
radius = {name: np.empty((len(shares), 5)) for name in methods}
for i, share in enumerate(shares):
    k = n_kept(len(X_train), 1 - share)
    for name, choose in methods.items():
        for seed in range(5):
            rows = choose(X_train, k, seed)
            model = LogisticRegression(C=100, max_iter=1000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # small subsets may not converge
                model.fit(X_train[rows], y_train[rows])
            accuracy[name][i, seed] = 100 * model.score(X_test, y_test)
            radius[name][i, seed] = (1 - (X_train @ X_train[rows].T).max(1)).max()

figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
for axis, values in zip(axes, (accuracy, radius), strict=True):
    for name, runs in values.items():
        line = axis.plot(100 * shares, runs.mean(1), marker="o", label=name)[0]
        axis.fill_between(
            100 * shares, runs.min(1), runs.max(1), alpha=0.15, color=line.get_color()
        )
    axis.set(xscale="log", xlabel="share kept (%)")
    axis.set_xticks(100 * shares, [f"{100 * share:g}" for share in shares], minor=False)
    axis.set_xticks([], minor=True)
axes[0].set_title("test accuracy of a linear classifier (%)")
axes[1].set_title("largest distance from any sample to the subset")
axes[0].legend(frameon=False)
plt.show()

# %%
# k-center greedy covers the data by construction, and it reaches the highest accuracy on this clean
# dataset. Random and stratified subsets are about equally good. The rows with the largest
# :math:`|v|` come from one side of the data. They do not cover it, and they are worse for training
# than a random subset.
