"""
Wrong labels, near-duplicates and outliers
==========================================

`inspect_dataset` looks at a dataset once and answers three questions: which labels are wrong, which
samples are near-copies of others, and which resemble no others.
"""

# %%
# We make mistakes in the digits: 3% of the labels are replaced, 20 images are copied a little
# darker, and 10 images are random pixels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from spectral_select import inspect_dataset

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
wrong = rng.random(len(y)) < 0.03
labels = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
copies = 1.03 * X[:20]
noise = rng.permutation(X.ravel())[:640].reshape(10, 64)
data = np.vstack([X, copies, noise])
labels = np.concatenate([labels, labels[:20], rng.integers(0, 10, 10)])

found = inspect_dataset(data, labels)
print(f"{len(found.label_issues_)} labels to check, {len(found.near_duplicates_)} groups of "
      f"near-duplicates, {len(found.outliers_)} outliers")  # fmt: skip

# %%
# The labels with the lowest trust, the given label above each image and the suggested one below:

suspects = found.label_issues_[:8]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.8), layout="constrained")
for axis, i in zip(axes, suspects, strict=True):
    axis.imshow(data[i].reshape(8, 8), cmap="gray_r")
    axis.set(xticks=[], yticks=[], title=f"labeled {labels[i]}")
    axis.set_xlabel(f"looks like {found.wrong_labels.suggested[i]}")
plt.show()

# %%
# Groups of near-duplicates, one in each column:

groups = found.near_duplicates_[:8]
figure, axes = plt.subplots(2, 8, figsize=(9, 2.6), layout="constrained")
for column, group in zip(axes.T, groups, strict=True):
    for axis, i in zip(column, group[:2], strict=True):
        axis.imshow(data[i].reshape(8, 8), cmap="gray_r")
        axis.set(xticks=[], yticks=[])
plt.show()

# %%
# The most unusual images, those of random pixels among them:

figure, axes = plt.subplots(1, 8, figsize=(9, 1.4), layout="constrained")
for axis, i in zip(axes, np.argsort(-found.outlier_score)[:8], strict=True):
    axis.imshow(data[i].reshape(8, 8), cmap="gray_r")
    axis.set(xticks=[], yticks=[], title=f"{found.outlier_score[i]:.2f}")
plt.show()

# %%
# ``found.to_frame()`` is a table with a row for each sample. ``spectral-select inspect`` writes the
# same for a folder of images, with a page to look at (:doc:`/howto/inspect`).
