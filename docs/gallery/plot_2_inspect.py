"""
Inspecting a dataset
====================

`inspect_dataset` finds labels to check, near-duplicates and outliers. This example plants wrong
labels in the digits and shows what is found.
"""

# %%
# We replace 5% of the labels. The function needs only features and labels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from spectral_select import inspect_dataset

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
wrong = rng.random(len(y)) < 0.05
noisy = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)

found = inspect_dataset(X, noisy)
issues = found.label_issues_
print(f"{wrong.sum()} labels are wrong. {len(issues)} are flagged:")
print(f"{wrong[issues].sum()} of these are wrong.")

# %%
# These are the most suspicious labels, each with the label that the graph suggests instead:

suggested = found.wrong_labels.suggested
figure, axes = plt.subplots(2, 8, figsize=(10, 3.2), layout="constrained")
for axis, i in zip(axes.flat, issues[:16], strict=True):
    axis.imshow(X[i].reshape(8, 8), cmap="gray_r")
    axis.set_title(f"{noisy[i]}, or {suggested[i]}?", fontsize=10)
    axis.set_axis_off()
figure.suptitle("labels to check, the least trusted first")
plt.show()

# %%
# Outliers resemble few other samples. Look at them before you delete them: they often include rare
# and hard samples. ``found.to_frame()`` returns a table with one row for each sample.

figure, axes = plt.subplots(1, 8, figsize=(10, 1.8), layout="constrained")
for axis, i in zip(axes, found.outliers_[:8], strict=False):
    axis.imshow(X[i].reshape(8, 8), cmap="gray_r")
    axis.set_title(f"label {noisy[i]}", fontsize=10)
for axis in axes:
    axis.set_axis_off()
figure.suptitle("outliers")
plt.show()
