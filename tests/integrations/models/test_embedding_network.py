"""A module is restored to its state before extraction, and its output is chosen or rejected."""

from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from spectral_select.integrations.models.embedding_extraction import extract_embeddings
from spectral_select.integrations.models.embedding_network import on_device

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
DATA = TensorDataset(IMAGES)


class Network(nn.Module):
    def __init__(self, error=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.tied = nn.Conv2d(3, 4, 3)
        self.tied.weight = self.stem.weight
        self.register_buffer("mean", torch.rand(1, 3, 1, 1))
        self.register_buffer("absent", None)
        self.error = error
        self.cache = None

    def forward(self, images):
        if self.error and len(images) > 1:
            raise RuntimeError("a fault of the network")
        if self.cache is None:
            self.cache = torch.ones(4, device=images.device)
        return self.norm(self.stem(images - self.mean)).mean((2, 3)) * self.cache


def state_of(network):
    tensors = [*network.parameters(), *network.buffers()]
    tensors += [p.grad for p in network.parameters() if p.grad is not None]
    return (
        [(id(t), t.data_ptr(), t.stride(), t.device, t.requires_grad) for t in tensors],
        [(name, part.training) for name, part in network.named_modules()],
    )


@pytest.mark.parametrize("error", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_module_is_restored(error, layout, tmp_path):
    network = Network(error).to(memory_format=layout).train()
    network(IMAGES[:1]).sum().backward()
    network.norm.eval()  # as in fine-tuning with frozen statistics
    before, values = state_of(network), {k: v.clone() for k, v in network.state_dict().items()}
    if error:
        with pytest.raises(RuntimeError, match="a fault of the network"):
            extract_embeddings(DATA, network, tmp_path)
    else:
        extract_embeddings(DATA, network, tmp_path)
    assert state_of(network) == before
    assert all(torch.equal(values[key], value) for key, value in network.state_dict().items())


def test_device_is_restored():
    network = Network()
    before = state_of(network)
    with on_device(network, torch.device("meta")) as prepared:
        assert {tensor.device.type for tensor in prepared.state_dict().values()} == {"meta"}
    assert state_of(network) == before


def test_module_is_restored_if_the_first_image_fails(tmp_path):
    network = nn.Sequential(nn.Linear(5, 5)).train()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        extract_embeddings(DATA, network, tmp_path)
    assert network.training
    assert network[0].training


def test_module_can_be_trained_afterwards(tmp_path):
    network = Network()
    extract_embeddings(DATA, network, tmp_path)
    network(IMAGES).sum().backward()  # the module's stored tensor is not an inference tensor
    assert network.stem.weight.grad is not None


class Gives(nn.Module):
    """A module whose output is a function of the channel means and pixels."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, images):
        mean = images.mean((2, 3))
        return self.make(mean, images.flatten(2))


Pair = namedtuple("Pair", "pooled tokens")


class ModelOutput(OrderedDict):
    """An output like those in transformers: a mapping with attributes and indices."""

    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


@pytest.mark.parametrize(
    ("make", "output"),
    [
        (lambda mean, tokens: (mean, tokens), 0),
        (lambda mean, tokens: [tokens, mean], -1),
        (lambda mean, tokens: Pair(mean, tokens), "pooled"),
        (lambda mean, tokens: {"pooler_output": mean, "last": tokens}, "pooler_output"),
        (lambda mean, tokens: ModelOutput(last=tokens, pooler_output=mean), "pooler_output"),
        (lambda mean, tokens: ModelOutput(last=tokens, pooler_output=mean), 1),
        (lambda mean, tokens: SimpleNamespace(embedding=mean), "embedding"),
        (lambda mean, tokens: tokens, lambda tokens: tokens.mean(2)),
        (lambda mean, tokens: (tokens,), lambda pair: pair[0].mean(2)),
    ],
)
def test_output_is_chosen_by_name_index_or_function(make, output, tmp_path):
    store = extract_embeddings(DATA, Gives(make), tmp_path, output=output, batch_size=4)
    np.testing.assert_allclose(store.features, IMAGES.mean((2, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "output", "error", "message"),
    [
        (
            lambda m, t: (m, t),
            None,
            TypeError,
            r"got a tuple of Tensor \(1, 3\), Tensor \(1, 3, 64\); choose one with output=",
        ),
        (
            lambda m, t: {"pooled": m},
            None,
            TypeError,
            r"must return a tensor; got a dict of 'pooled': Tensor \(1, 3\); choose one",
        ),
        (
            lambda m, t: ModelOutput(last=t),
            "pooled",
            ValueError,
            r"got 'pooled', but the backbone returns a ModelOutput of 'last': Tensor \(1, 3, 64\)",
        ),
        (lambda m, t: (m,), 3, ValueError, r"got 3, but the backbone returns a tuple of Tensor"),
        (lambda m, t: m, "pooled", ValueError, r"got 'pooled', but .* one tensor of shape \(1, 3"),
        (lambda m, t: SimpleNamespace(a=m), None, TypeError, r"a SimpleNamespace, a: Tensor \(1"),
        (lambda m, t: t, None, ValueError, r"of shape \(n, d\); got \(1, 3, 64\) for one"),
        (lambda m, t: m[0], None, ValueError, r"of shape \(n, d\); got \(3,\)"),
        (lambda m, t: m.T, None, ValueError, r"got \(3, 1\) for one image"),
        (lambda m, t: None, None, TypeError, "got a NoneType"),
        (lambda m, t: m, lambda m: m.tolist(), TypeError, "got a list of list; with output="),
        (lambda m, t: m, 1.5, TypeError, "output must be a name, an index or a func.* got 1.5 of"),
        (lambda m, t: m, True, TypeError, "got True of type bool"),
    ],
)
def test_error_describes_what_the_module_returned(make, output, error, message, tmp_path):
    with pytest.raises(error, match=message):
        extract_embeddings(DATA, Gives(make), tmp_path / "s", output=output)
    assert not (tmp_path / "s").exists()
