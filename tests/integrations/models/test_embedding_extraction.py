"""Extraction: the right rows in the right order, even after kills."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from multiprocessing import resource_sharer

import numpy as np
import pytest
import torch
from image_helpers import write_images
from torch import nn

from spectral_select import EmbeddingStore
from spectral_select._utils.folders import StoreError
from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.data.images import UnreadableImageError
from spectral_select.integrations.models.backbones import build_backbone
from spectral_select.integrations.models.embedding_extraction import (
    check_device,
    default_workers,
    extract_embeddings,
)


@pytest.fixture(scope="module")
def network():
    return build_backbone("squeezenet1_1", "random", image_size=32)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits").val


@pytest.fixture
def photos(tmp_path):
    return write_images(tmp_path / "photos", ("cat", "dog"), 20, size=(20, 24), name="{:02}.png")


class Tiny(nn.Module):
    """Returns the mean of each channel, and counts calls."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return images.float().mean((2, 3)) * self.scale


def to_tensor(image):
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())


def test_rows_are_outputs_of_the_backbone_in_order(network, digits, tmp_path):
    backbone, transform, dim = network
    store = extract_embeddings(digits, backbone, tmp_path, transform=transform, batch_size=50)
    batch = torch.stack([transform(digits[i][0]) for i in range(len(digits))])
    with torch.inference_mode():
        expected = backbone(batch).numpy()
    assert store.features.shape == (144, dim)
    np.testing.assert_allclose(store.features, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(store.labels, digits.labels)
    store.check_matches(digits)
    with pytest.raises(StoreError, match="144 embeddings, but the dataset has 1294"):
        store.check_matches(load_dataset("digits").train)
    assert store.meta["backbone"] == "squeezenet1_1"
    assert store.meta["weights"] == "random (seed 0)"
    assert store.meta["dataset"] == "digits"
    assert store.meta["split"] == "val"


@pytest.mark.parametrize("options", [{"batch_size": 7}, {"num_workers": 2}, {"block_size": 5}])
def test_result_does_not_depend_on_batching(digits, tmp_path, options):
    plain = extract_embeddings(digits, Tiny(), tmp_path / "a", transform=to_tensor)
    other = extract_embeddings(digits, Tiny(), tmp_path / "b", transform=to_tensor, **options)
    np.testing.assert_array_equal(plain.features, other.features)


def test_second_call_only_opens_the_store(digits, tmp_path):
    first, second = Tiny(), Tiny()
    store = extract_embeddings(digits, first, tmp_path, transform=to_tensor)
    assert store.n_written == 144
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    store = extract_embeddings(digits, second, tmp_path, transform=to_tensor)
    assert store.n_written == 0
    assert second.calls == 1, "one image, to learn the dimension of a module from elsewhere"
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before


def test_rejects_another_network_or_split(digits, tmp_path):
    extract_embeddings(digits, Tiny(), tmp_path, transform=to_tensor)
    other = Tiny()
    nn.init.zeros_(other.scale)
    with pytest.raises(StoreError, match="hash of the weights"):
        extract_embeddings(digits, other, tmp_path, transform=to_tensor)
    with pytest.raises(StoreError, match="fingerprint of the data"):
        extract_embeddings(
            load_dataset("digits", seed=1).val, Tiny(), tmp_path, transform=to_tensor
        )
    with pytest.raises(StoreError, match="was computed in float32, not bfloat16"):
        extract_embeddings(digits, Tiny(), tmp_path, transform=to_tensor, precision="bfloat16")
    store = extract_embeddings(digits, other, tmp_path, transform=to_tensor, overwrite=True)
    assert not store.features.any()


def test_mixed_precision_is_close(network, digits, tmp_path):
    backbone, transform, _ = network
    options = {"transform": transform, "batch_size": 144}
    exact = extract_embeddings(digits, backbone, tmp_path / "a", **options)
    mixed = extract_embeddings(digits, backbone, tmp_path / "b", precision="bfloat16", **options)
    assert mixed.features.dtype == np.float32
    assert mixed.meta["precision"] == "bfloat16"
    a, b = (x.features / np.linalg.norm(x.features, axis=1, keepdims=True) for x in (exact, mixed))
    assert ((a * b).sum(1) > 0.999).all()


def test_any_dataset_and_module(tmp_path):
    x, y = torch.rand(10, 3, 4, 4), torch.arange(10)
    store = extract_embeddings(torch.utils.data.TensorDataset(x, y), Tiny(), tmp_path)
    np.testing.assert_allclose(store.features, x.mean((2, 3)), rtol=1e-6)
    assert store.labels is None
    assert store.meta["backbone"] == "Tiny"


def test_keeps_global_random_state(digits, tmp_path):
    before = torch.random.get_rng_state()
    extract_embeddings(digits, Tiny(), tmp_path, transform=to_tensor, num_workers=1)
    assert torch.equal(before, torch.random.get_rng_state())


class TestBadInput:
    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_names_unreadable_image_and_keeps_the_rest(self, photos, tmp_path, num_workers):
        victim = photos / "dog" / "09.png"  # not one of the images that are compared
        whole = victim.read_bytes()
        victim.write_bytes(whole[:50] + bytes(len(whole) - 50))  # keep the file size
        split = load_dataset(photos, val_fraction=0, test_fraction=0).train
        options = {"transform": to_tensor, "batch_size": 4, "block_size": 4}
        with pytest.raises(UnreadableImageError, match=r"^cannot read the image .*dog/09\.png: \w"):
            extract_embeddings(split, Tiny(), tmp_path / "s", num_workers=num_workers, **options)
        with pytest.raises(StoreError, match="has not finished"):
            EmbeddingStore.open(tmp_path / "s")
        victim.write_bytes(whole)
        resumed = extract_embeddings(split, Tiny(), tmp_path / "s", **options)
        assert resumed.n_written == 40 - 28
        straight = extract_embeddings(split, Tiny(), tmp_path / "t", **options)
        np.testing.assert_array_equal(resumed.features, straight.features)

    def test_names_image_whose_embedding_is_not_finite(self, photos, tmp_path):
        split = load_dataset(photos, val_fraction=0, test_fraction=0).train
        network = Tiny()
        nn.init.constant_(network.scale, float("nan"))
        with pytest.raises(ValueError, match=r"the embedding of .*cat/00\.png contains NaN"):
            extract_embeddings(split, network, tmp_path / "s", transform=to_tensor)

    def test_rejects_empty_split(self, tmp_path):
        empty = load_dataset("digits", val_fraction=0).val
        with pytest.raises(ValueError, match="the dataset is empty"):
            extract_embeddings(empty, Tiny(), tmp_path / "s", transform=to_tensor)
        assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_size": 0}, r"batch_size must be .*; got 0"),
            ({"block_size": -1}, r"block_size must be .*; got -1"),
            ({"num_workers": -1}, "num_workers must be a nonnegative integer; got -1"),
            ({"precision": "int8"}, "precision must be 'auto' or one of float32.*got 'int8'"),
            ({"device": "gpu"}, "device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got 'gpu'"),
            ({"device": "cuda:99"}, "device 'cuda:99' does not exist: PyTorch sees"),
        ],
    )
    def test_rejects_arguments_out_of_range(self, digits, tmp_path, options, message):
        with pytest.raises(ValueError, match=message):
            extract_embeddings(digits, Tiny(), tmp_path / "s", transform=to_tensor, **options)
        assert not (tmp_path / "s").exists()

    def test_rejects_module_that_returns_no_vectors(self, digits, tmp_path):
        with pytest.raises(ValueError, match=r"of shape \(n, d\); got \(1, 3, 8, 8\)"):
            extract_embeddings(digits, nn.Identity(), tmp_path / "s", transform=to_tensor)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_resumed_after_kills_gives_the_same_bytes(photos, tmp_path):
    script = (
        "import sys, time, torch, numpy as np\n"
        "from torch import nn\n"
        "from spectral_select.integrations.data.datasets import load_dataset\n"
        "from spectral_select.integrations.models.embedding_extraction import extract_embeddings\n"
        "class Slow(nn.Module):\n"
        "    dim, name, weights_hash = 3, 'slow', 'x'\n"
        "    def forward(self, images):\n"
        "        time.sleep(0.02)\n"
        "        return images.float().mean((2, 3))\n"
        "def to_tensor(image):\n"
        "    return torch.from_numpy(np.array(image).transpose(2, 0, 1))\n"
        "if __name__ == '__main__':\n"
        "    split = load_dataset(sys.argv[1], val_fraction=0, test_fraction=0).train\n"
        "    print('ready', flush=True)\n"
        "    extract_embeddings(split, Slow(), sys.argv[2], transform=to_tensor,\n"
        "                       batch_size=1, block_size=1, num_workers=1)\n"
        "    print('done', flush=True)\n"
    )
    (tmp_path / "extract.py").write_text(script)

    def start(out):
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "extract.py"), str(photos), str(out)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    class Same(nn.Module):
        dim, name, weights_hash = 3, "slow", "x"

        def forward(self, images):
            return images.float().mean((2, 3))

    split = load_dataset(photos, val_fraction=0, test_fraction=0).train
    options = {"transform": to_tensor, "batch_size": 1, "block_size": 1}
    extract_embeddings(split, Same(), tmp_path / "straight", **options)
    moments = random.Random(0)
    for _ in range(2):
        with start(tmp_path / "killed") as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0.0, 0.35))
            process.kill()
        if not (tmp_path / "killed" / "meta.json").exists() and (tmp_path / "killed").exists():
            with pytest.raises(StoreError, match="not a complete embedding store"):
                EmbeddingStore.open(tmp_path / "killed")
    with start(tmp_path / "killed") as process:
        assert process.stdout.read() == "ready\ndone\n"
    for name in ("embeddings.npy", "labels.npy"):
        one, other = (tmp_path / run / name for run in ("straight", "killed"))
        assert one.read_bytes() == other.read_bytes(), name
    one, other = (EmbeddingStore.open(tmp_path / run).meta for run in ("straight", "killed"))
    assert one.keys() == other.keys()
    assert {k for k in one if one[k] != other[k]} <= {"seconds"}


def test_workers_are_silent_when_interrupted_while_a_batch_is_taken(
    digits, tmp_path, capfd, monkeypatch
):
    def interrupted(ident):
        with socket.socket(socket.AF_UNIX) as reader:
            reader.connect(ident[0])
        time.sleep(0.5)  # for the worker to notice
        raise KeyboardInterrupt

    sharer = resource_sharer._resource_sharer  # through which workers hand over tensors
    monkeypatch.setattr(sharer, "get_connection", interrupted)
    backbone, transform, _ = build_backbone("squeezenet1_1", "random", image_size=32)
    with pytest.raises(KeyboardInterrupt):
        extract_embeddings(digits, backbone, tmp_path / "s", transform=transform, num_workers=1)
    assert capfd.readouterr().err == ""


def test_devices():
    assert check_device("cpu") == torch.device("cpu")
    assert check_device(torch.device("cpu")) == torch.device("cpu")
    assert check_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert default_workers(torch.device("cpu")) in (0, 1)
    assert 1 <= default_workers(torch.device("cuda")) <= 16


def test_progress_is_silent_by_default(digits, tmp_path, capsys):
    extract_embeddings(digits, Tiny(), tmp_path / "a", transform=to_tensor)
    assert capsys.readouterr() == ("", "")
    extract_embeddings(digits, Tiny(), tmp_path / "b", transform=to_tensor, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "144/144" in captured.err
    assert "images/s" in captured.err
