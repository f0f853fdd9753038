"""
Removing near-duplicates
========================

Slightly changed copies of an image waste training time, and copies in the test set make a model
look better than it is. This example plants copies and removes them.
"""

# %%
# We copy 60 training digits with small changes in brightness, and put 30 of the copies into the
# training set and the other 30 into the test set.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from spectral_select import inspect_dataset

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
train, test = X[:1200], X[1200:]
copied = rng.choice(len(train), 60, replace=False)
copies = train[copied] * rng.normal(1, 0.02, (60, 64))
train = np.vstack([train, copies[:30]])
test = np.vstack([test, copies[30:]])

found = inspect_dataset(train, other=test)
groups = found.near_duplicates_
leaked = found.crossing_duplicates_[:, 0]  # the training sample of each (training, test) pair
print(f"{len(groups)} groups of near-duplicates in the training set")
print(f"{len(leaked)} training samples have a near-duplicate in the test set")

# %%
# Each column shows an original and its copy:

figure, axes = plt.subplots(2, 8, figsize=(10, 3), layout="constrained")
for column, group in zip(axes.T, groups[:8], strict=False):
    for axis, i in zip(column, group[:2], strict=True):
        axis.imshow(train[i].reshape(8, 8), cmap="gray_r")
        axis.set_title(f"sample {i}", fontsize=9)
for axis in axes.flat:
    axis.set_axis_off()
plt.show()

# %%
# To deduplicate the training set, keep only the first sample of each group, and drop all samples
# that have a near-duplicate in the test set:

drop = np.concatenate([*(group[1:] for group in groups), leaked])
keep = np.setdiff1d(np.arange(len(train)), drop)
print(f"{len(train)} samples, {len(keep)} kept")

planted = set(copied[30:].tolist())
print(f"{len(planted & set(leaked.tolist()))} of {len(planted)} leaks found")
