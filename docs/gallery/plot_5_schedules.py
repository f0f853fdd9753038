"""
Schedules of the filter ratio
=============================

The filter ratio can change from epoch to epoch, following a schedule that is fixed before
training. Its effect depends on which size is held constant: the batch size or the candidate size.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from spectral_select import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    SpectralBatchSampler,
    StepSchedule,
    make_schedule,
)

n_epochs = 20
schedules = {
    "constant": ConstantSchedule(0.8),
    "linear": LinearSchedule(0.8, 0.2, n_epochs=n_epochs),
    "cosine": CosineSchedule(0.8, 0.2, n_epochs=n_epochs),
    "step": StepSchedule([0.8, 0.5, 0.2], milestones=[8, 15]),
    "any callable": make_schedule(lambda epoch: 0.8 * 0.9**epoch),
}

# %%
# With ``batch_size=64``, each batch has 64 samples. A lower filter ratio means fewer candidates per
# batch, so an epoch has more batches. The middle plot shows the number of batches for the 1,797
# digits. With ``candidate_size=128``, this number is the same in every epoch, and the batches
# become larger as the filter ratio falls, as the right plot shows.

features = load_digits().data
epochs = np.arange(n_epochs)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for name, schedule in schedules.items():
    ratios = [schedule(epoch) for epoch in range(n_epochs)]
    axes[0].plot(epochs, ratios, marker=".", label=name)

    fixed_batch = SpectralBatchSampler(None, 64, features=features, schedule=schedule)
    lengths = []
    for epoch in range(n_epochs):
        fixed_batch.set_epoch(epoch)
        lengths.append(len(fixed_batch))
    axes[1].plot(epochs, lengths, marker=".")

    fixed_candidates = SpectralBatchSampler(
        None, None, features=features, schedule=schedule, candidate_size=128
    )
    sizes = []
    for epoch in range(0, n_epochs, 4):
        fixed_candidates.set_epoch(epoch)
        sizes.append(len(next(iter(fixed_candidates))))
    axes[2].plot(epochs[::4], sizes, marker="o")

axes[0].set(title="filter ratio", xlabel="epoch", ylim=(0, 1))
axes[1].set(title="batches of 64 in an epoch", xlabel="epoch", ylim=(0, None))
axes[2].set(title="batch size for 128 candidates", xlabel="epoch", ylim=(0, 128))
figure.legend(loc="outside lower center", ncols=len(schedules), frameon=False)
plt.show()
