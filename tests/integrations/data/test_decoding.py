import numpy as np
import pytest
import torch
from PIL import Image
from train_helpers import Recorded

from spectral_select.integrations.data import decoding as decoded
from spectral_select.integrations.data.decoding import DecodedImages, resize_and_crop


def test_decodes_requested_images_once():
    dataset = Recorded(30)
    images = DecodedImages(dataset, 8, cache_bytes=10**6)
    first = images.take([4, 2, 4])
    assert sorted(dataset.loaded) == [2, 4]
    again = images.take([2, 7])
    assert sorted(dataset.loaded) == [2, 4, 7]
    assert images.n_decoded == 3
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[1], again[0])


def test_is_on_the_device_if_it_fits(monkeypatch):
    room = {"meta": 30 * 3 * 8 * 8}
    monkeypatch.setattr(decoded, "cache_room", lambda device: room[device.type])
    images = DecodedImages(Recorded(30), 8, cache_bytes=10**6, device=torch.device("meta"))
    assert images.resident
    assert images.take([4, 2]).device.type == "meta"
    room["meta"] -= 1
    images = DecodedImages(Recorded(30), 8, cache_bytes=10**6, device=torch.device("meta"))
    assert not images.resident
    assert not images.forgets


def test_fill_decodes_ahead_of_time():
    dataset = Recorded(30)
    images = DecodedImages(dataset, 8, cache_bytes=10**6)
    images.fill([])
    images.fill(np.arange(5, 25))
    images.take([5, 24])
    assert sorted(dataset.loaded) == list(range(5, 25))
    forgetful = DecodedImages(dataset, 8, cache_bytes=0)
    forgetful.fill([1, 2])
    assert len(dataset.loaded) == 20


def test_keeps_nothing_beyond_cache_bytes():
    dataset = Recorded(30)
    images = DecodedImages(dataset, 8, cache_bytes=30 * 3 * 8 * 8 - 1)
    assert torch.equal(images.take([4]), images.take([4]))
    assert dataset.loaded == [4, 4]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_images_keep_the_requested_order(n_threads):
    dataset = Recorded(30)
    images = DecodedImages(dataset, 20, cache_bytes=10**6, n_threads=n_threads)
    order = np.random.default_rng(0).permutation(30)
    taken = images.take(order)
    images.close()
    expected = np.stack([dataset.pixels[i][:, 2:22] for i in order])
    assert np.array_equal(taken.permute(0, 2, 3, 1).numpy(), expected)


def test_errors_while_decoding_name_the_image():
    class Broken(Recorded):
        def __getitem__(self, index):
            raise ValueError(f"cannot read image {index}")

    images = DecodedImages(Broken(30), 8, cache_bytes=10**6, n_threads=2)
    with pytest.raises(ValueError, match="cannot read image"):
        images.take(np.arange(10))
    images.close()


def test_crops_the_center():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    assert (resize_and_crop(Image.fromarray(wide), 10) == 200).all()
    assert (resize_and_crop(Image.fromarray(wide.transpose(1, 0, 2)), 10) == 200).all()


def test_accepts_tensors_and_gray_images():
    assert resize_and_crop(torch.zeros(3, 9, 12), 6).shape == (6, 6, 3)
    assert resize_and_crop(Image.new("L", (9, 12), 7), 6).tolist() == [[[7] * 3] * 6] * 6


def test_rejects_images_of_unknown_range_by_index():
    class Integers(Recorded):
        def __getitem__(self, index):
            return Image.new("I", (9, 9)), 0

    images = DecodedImages(Integers(30), 8, cache_bytes=10**6)
    with pytest.raises(ValueError, match="cannot read image 7 in the dataset: its values are 32"):
        images.take([7])
