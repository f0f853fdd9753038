import numpy as np
import pytest
import torch
from torch import nn
from train_helpers import Recorded, data_set, features_of, settings

from spectral_select.integrations.methods import get_method
from spectral_select.integrations.models.backbones import build_classifier
from spectral_select.integrations.records.run_records import RunRecord
from spectral_select.integrations.report.figures.last_layer import read_last_layer
from spectral_select.integrations.report.figures.selected_batches import read_batches
from spectral_select.integrations.training.artifacts import (
    save_gallery,
    save_last_layer,
    save_shown,
)
from spectral_select.integrations.training.trainer import Trainer


def test_thumbnails_are_read_back_with_the_choice(tmp_path):
    data = Recorded(30, side=40)
    choices = {0: ([5, 3, 9, 1], [9, 5]), 1: ([2, 4, 6, 8], [2, 4, 6, 8])}
    path = tmp_path / "gallery" / "x.npz"
    save_gallery(path, data, choices, image_size=16)
    first, second = read_batches(path)
    assert first.indices.tolist() == [5, 3, 9, 1]
    assert first.kept.tolist() == [True, False, True, False]
    assert first.labels.tolist() == data.labels[[5, 3, 9, 1]].tolist()
    assert first.images.shape == (4, 16, 16, 3)
    assert second.kept.all()
    assert second.number == 1
    # Each thumbnail shows the right image, because the color of its class dominates.
    brightest = first.images.reshape(4, -1, 3).mean(1).argmax(1)
    assert brightest.tolist() == (first.labels % 3).tolist()


@pytest.mark.parametrize(("n", "image_size"), [(4, 224), (300, 224), (300, 32)])
def test_thumbnails_stay_small(tmp_path, n, image_size):
    data = Recorded(n, side=24)
    save_gallery(tmp_path / "x.npz", data, {0: (range(n), [0])}, image_size=image_size)
    (batch,) = read_batches(tmp_path / "x.npz")
    assert batch.images.shape[1] <= min(96, image_size)
    assert batch.images.nbytes <= 2 * 2**20
    assert batch.images.shape[1] >= 32


def test_rejects_a_kept_sample_that_is_not_a_candidate(tmp_path):
    with pytest.raises(ValueError, match=r"choices\[1\] keeps sample 7"):
        save_gallery(
            tmp_path / "x.npz", Recorded(9), {0: ([1], [1]), 1: ([1, 2], [7])}, image_size=8
        )
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_last_layer_is_read_back(tmp_path, name):
    network = build_classifier(name, 5)
    save_last_layer(tmp_path / "x.npz", network)
    layer = read_last_layer(tmp_path / "x.npz")
    own = network.get_submodule(layer.name)
    assert layer.weight.shape == (5, 512)
    assert torch.equal(torch.from_numpy(layer.weight), own.weight.detach().reshape(5, -1))
    assert torch.equal(torch.from_numpy(layer.bias), own.bias.detach())


def test_layer_without_bias_in_half_precision(tmp_path):
    network = nn.Sequential(nn.Linear(3, 2, bias=False)).to(torch.bfloat16)
    save_last_layer(tmp_path / "x.npz", network)
    layer = read_last_layer(tmp_path / "x.npz")
    assert layer.weight.dtype == np.float32
    assert layer.bias.size == 0


@pytest.mark.parametrize(("method", "kept"), [("full", 20), ("fiedler", 4)])
def test_saves_and_records_artifacts(tmp_path, method, kept):
    data, config = data_set(), settings(epochs=1)
    network = build_classifier(config.model, 3, seed=0)
    trainer = Trainer(config, data.train, get_method(method), network, features=features_of(data))
    trainer.train_epoch(0)
    run = RunRecord(method=method, seed=0, needs=[], status="running", history=[])
    save_shown(tmp_path, data.train, trainer, run)
    batches = read_batches(tmp_path / run.gallery)
    assert [batch.number for batch in batches] == [0, 1]
    assert [int(batch.kept.sum()) for batch in batches] == [kept, kept]
    assert len({*batches[0].indices, *batches[1].indices}) == 40
    layer = read_last_layer(tmp_path / run.last_layer)
    own = trainer.model.get_submodule(layer.name).weight.detach()
    assert np.array_equal(layer.weight, own.reshape(3, -1).numpy())
