"""Heads: standardization, and learning."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from torch.nn import functional

from spectral_select.integrations.models.backbones import last_layer
from spectral_select.integrations.models.heads import HEADS, build_head, column_statistics


def test_column_statistics_agree_with_numpy():
    X = np.random.default_rng(0).normal(1e4, 1e-2 * np.arange(1, 6), (5000, 5))
    mean, scale = column_statistics(X)
    assert np.allclose(mean, X.mean(0))
    assert np.allclose(scale, X.std(0), rtol=1e-6)


def test_constant_columns_are_only_shifted():
    X = np.array([[1.1, 0, 2], [1.1, 0, 4]], np.float32)
    mean, scale = column_statistics(X)
    assert np.allclose(mean, [1.1, 0, 3])
    assert scale.tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", HEADS)
def test_inputs_are_standardized_by_the_training_data(name):
    X = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    head = build_head(name, X, 3)
    shifted = build_head(name, 100 * X + 7, 3)
    with torch.no_grad():
        logits = head(torch.from_numpy(X))
        assert torch.allclose(shifted(torch.from_numpy(100 * X + 7)), logits, atol=1e-4)
    assert head.training
    assert {"mean", "scale"} <= set(head.state_dict())
    assert last_layer(head) == "output"


def test_initial_weights_depend_on_the_seed_only():
    X = np.eye(4, dtype=np.float32)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    heads = [build_head("head-mlp", X, 2, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    weights = [head.output.weight for head in heads]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", HEADS)
def test_learns_a_table_with_columns_of_very_different_scale(name):
    X, y = load_wine(return_X_y=True)
    head = build_head(name, X, 3)
    rows, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.05, momentum=0.9)
    for _ in range(100):
        optimizer.zero_grad()
        functional.cross_entropy(head(rows), labels).backward()
        optimizer.step()
    assert (head(rows).argmax(1) == labels).float().mean() > 0.99


def test_rejects_other_names():
    with pytest.raises(ValueError, match="name must be one of"):
        build_head("resnet18", np.eye(4), 2)
