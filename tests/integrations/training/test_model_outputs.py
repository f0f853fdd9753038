import numpy as np
import pytest
import torch
from torch.nn import functional

from spectral_select.integrations.models.backbones import build_classifier, last_layer
from spectral_select.integrations.training.model_outputs import model_outputs


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_outputs_are_those_of_the_network(name):
    model = build_classifier(name, 4, seed=1).eval()
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0])
    found = model_outputs(model, images, labels)
    with torch.no_grad():
        logits = model(images)
    losses = functional.cross_entropy(logits, labels, reduction="none")
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.loss, losses.numpy(), rtol=1e-4, atol=1e-6)
    assert not model.get_submodule(last_layer(model))._forward_pre_hooks


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_logits_are_embeddings_times_weights_and_cosines_their_angles(name):
    model = build_classifier(name, 4, seed=1).eval()
    found = model_outputs(model, torch.rand(5, 3, 32, 32), torch.zeros(5, dtype=torch.int64))
    head = model.get_submodule(last_layer(model))
    weight, bias = head.weight.detach().flatten(1).numpy(), head.bias.detach().numpy()
    logits = found.embeddings @ weight.T + bias
    np.testing.assert_allclose(logits, found.logits, rtol=1e-3)
    lengths = np.linalg.norm(found.embeddings, axis=1)[:, None] * np.linalg.norm(weight, axis=1)
    np.testing.assert_allclose(found.cosines, found.embeddings @ weight.T / lengths, rtol=1e-3)


def test_row_of_zeros_has_cosine_zero():
    model = build_classifier("squeezenet1_1", 3).eval()
    torch.nn.init.zeros_(model.get_submodule(last_layer(model)).weight)
    found = model_outputs(model, torch.zeros(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64))
    assert np.array_equal(found.cosines, np.zeros((2, 3), np.float32))
