"""
Near-copies, without labels
===========================

In data from videos, crawls or augmentation, many samples are near-copies of a few originals. A
random subset then consists mostly of copies. Without labels, `GuidedSampler` visits the
near-copies of a sample, taken together, about as often as one sample that has no copies.
"""

# %%
# 70% of these data are copies of 30 digits. Each copy has a different brightness.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from spectral_select import GuidedSampler

X, _ = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
copies = np.repeat(X[:30], 40, axis=0) * rng.uniform(0.97, 1.03, (1200, 1))
data = np.vstack([X[30:540], copies])
is_copy = np.arange(len(data)) >= 510
print(f"{len(data)} samples, {is_copy.mean():.0%} of them copies")

# %%
# The plot shows the first five epochs of random selection and of `GuidedSampler`. Each epoch
# contains a fifth of the data. Samples are numbered so that all copies are on the right.

sampler = GuidedSampler(None, features=data, filter_ratio=0.8, seed=0)
figure, axes = plt.subplots(2, 1, figsize=(8, 3.6), sharex=True, layout="constrained")
colors = {"random": "#7f7f7f", "GuidedSampler(None, ...)": "#882255"}
for axis, (name, color) in zip(axes, colors.items(), strict=True):
    for epoch in range(5):
        k = len(data) // 5
        chosen = list(sampler) if "Guided" in name else rng.choice(len(data), k, replace=False)
        axis.plot(chosen, np.full(len(chosen), epoch), "|", color=color, markersize=12)
        if epoch == 0:
            print(f"{name:>25}: {is_copy[chosen].mean():.0%} copies in the first epoch")
    axis.axvline(509.5, color="black", linewidth=0.8)
    axis.set(ylabel="epoch", title=name)
axes[-1].set_xlabel("sample; those to the right of the line are copies")
plt.show()

# %%
# With labels, `GuidedSampler` also uses label trust and hardness. :doc:`/evidence/redundant_data`
# shows what this gains.
