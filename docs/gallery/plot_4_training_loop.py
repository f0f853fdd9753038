"""
Using the sampler in a training loop
====================================

This example trains a small network on the digits three times, from the same weights and with the
same candidate batches: on a random fifth of each batch, on the fifth that Algorithm 1 keeps, and
on a systematic sample of a fifth along the Fiedler order.
"""

# %%
# The three runs differ only in the selector. The random baseline is also a selector:
# it needs the methods ``fit`` and ``get_support``, and the parameters ``filter_ratio`` and
# ``candidate_size``.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

from spectral_select import FiedlerBatchSelector, SpectralBatchSampler, n_kept


class RandomSelector(BaseEstimator):
    """Keep a random subset of the same size as the other selectors."""

    def __init__(self, filter_ratio=0.8, candidate_size=None, random_state=None):
        self.filter_ratio = filter_ratio
        self.candidate_size = candidate_size
        self.random_state = random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        keep = n_kept(len(X), self.filter_ratio)
        self.indices_ = np.sort(rng.choice(len(X), keep, replace=False))
        return self

    def get_support(self, indices=False):
        return self.indices_


X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
train = TensorDataset(torch.from_numpy(X_train), torch.from_numpy(y_train))
test = torch.from_numpy(X_test), torch.from_numpy(y_test)

selectors = {
    "random": RandomSelector(random_state=0),
    "extreme (Algorithm 1)": FiedlerBatchSelector(),
    "stratified": FiedlerBatchSelector(rule="stratified", laplacian="symmetric", random_state=0),
}

# %%
# The training loop is the usual one.


def train_network(selector, seed, n_epochs=15):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = SpectralBatchSampler(None, 32, features=X_train, selector=selector, seed=seed)
    loader = DataLoader(train, batch_sampler=batches)
    n_samples, accuracies = 0, [(0, 0.1)]
    for epoch in range(n_epochs):
        batches.set_epoch(epoch)
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


figure, axis = plt.subplots(figsize=(8, 4.4), layout="constrained")
for name, selector in selectors.items():
    runs = np.stack([train_network(selector, seed) for seed in range(3)])
    samples, accuracy = runs[0, :, 0], 100 * runs[:, :, 1]
    line = axis.plot(samples, accuracy.mean(0), marker=".", label=name)[0]
    axis.fill_between(samples, accuracy.min(0), accuracy.max(0), alpha=0.2, color=line.get_color())
    print(f"{name:>22}: {accuracy[:, -1].mean():.1f}% (mean of 3 seeds)")
axis.set(xlabel="samples trained on", ylabel="test accuracy (%)", ylim=(40, 100))
axis.legend(loc="lower right", frameon=False)
plt.show()

# %%
# The ``extreme`` rule keeps the samples that are least similar to the rest. For the same number of
# samples, the network reaches a lower accuracy than with random subsets. The ``stratified`` rule is
# about as good as random subsets here. :doc:`/evidence/index` compares the methods on larger
# networks, including their cost.
