"""
Training with wrong labels
==========================

A fifth of the digit labels are replaced by wrong labels. A small network is trained on a random
fifth of the samples per epoch, on a fifth that `GuidedSampler` selects, and on all samples.
"""

# %%
# The three ways of training differ only in the sampler.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from spectral_select import GuidedSampler

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
rng = np.random.default_rng(0)
wrong = rng.random(len(y_train)) < 0.2
noisy = np.where(wrong, (y_train + rng.integers(1, 10, len(y_train))) % 10, y_train)

train = TensorDataset(torch.from_numpy(X_train), torch.from_numpy(noisy))
test = torch.from_numpy(X_test), torch.from_numpy(y_test)
n = len(train)


def random_fifth(seed):
    generator = torch.Generator().manual_seed(seed)
    return RandomSampler(train, num_samples=n // 5, generator=generator)


samplers = {
    "random fifth": random_fifth,
    "guided fifth": lambda seed: GuidedSampler(noisy, features=X_train, seed=seed),
    "all samples": lambda seed: RandomSampler(train, generator=torch.Generator().manual_seed(seed)),
}

# %%
# The training loop is the usual one.


def train_network(make_sampler, seed, n_epochs=30):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loader = DataLoader(train, batch_size=32, sampler=make_sampler(seed))
    n_samples, accuracies = 0, [(0, 0.1)]
    for _ in range(n_epochs):
        for images, labels in loader:
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            n_samples += len(labels)
        with torch.no_grad():
            accuracy = (model(test[0]).argmax(1) == test[1]).float().mean().item()
        accuracies.append((n_samples, accuracy))
    return np.array(accuracies)


colors = {"random fifth": "#7f7f7f", "guided fifth": "#0072b2", "all samples": "black"}
figure, axis = plt.subplots(figsize=(8, 4.4), layout="constrained")
for name, make_sampler in samplers.items():
    runs = np.stack([train_network(make_sampler, seed) for seed in range(3)])
    samples, accuracy = runs[0, :, 0], 100 * runs[:, :, 1]
    axis.plot(samples, accuracy.mean(0), color=colors[name], label=name)
    axis.fill_between(samples, accuracy.min(0), accuracy.max(0), alpha=0.2, color=colors[name])
    print(f"{name:>13}: {accuracy[:, -1].mean():.1f}% (mean of 3 seeds)")
axis.set(xlabel="samples trained on", ylabel="test accuracy (%)", ylim=(60, 100))
axis.legend(loc="lower right", frameon=False)
plt.show()

# %%
# The network learns the wrong labels if it sees them often. The guided sampler rarely visits them:

sampler = GuidedSampler(noisy, features=X_train)
visits = np.bincount(np.concatenate([list(sampler) for _ in range(30)]), minlength=n)
print(f"mean visits in 30 epochs: {visits[~wrong].mean():.1f} if the label is right, "
      f"{visits[wrong].mean():.1f} if it is wrong")  # fmt: skip

# %%
# :doc:`/evidence/wrong_labels` shows this comparison for images, with confidence intervals.
