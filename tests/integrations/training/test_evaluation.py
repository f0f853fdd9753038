import pytest
import torch
from train_helpers import data_set, settings

from spectral_select.integrations.data.decoding import DecodedImages
from spectral_select.integrations.runtime.distributed import Ranks
from spectral_select.integrations.training.evaluation import evaluate
from spectral_select.integrations.training.inputs import network_input


class Brightness(torch.nn.Module):
    """Distinguishes images by their mean color."""

    def forward(self, images):
        return images.mean((2, 3))


class Part(Ranks):
    """One of several ranks, whose sums are not combined with those of other ranks."""

    def sum(self, values):
        self.__dict__["given"] = list(values)
        return self.given


def test_ranks_evaluate_every_image_once_between_them():
    data, config = data_set(n_test=1000), settings()
    images = DecodedImages(data.test, config.image_size, cache_bytes=10**8)
    whole = evaluate(Brightness(), images, data.test.labels, config)
    ranks = [Part(3, rank) for rank in range(3)]
    for rank in ranks:
        evaluate(Brightness(), images, data.test.labels, config, rank)
    loss, right = (sum(values) for values in zip(*(rank.given for rank in ranks), strict=True))
    assert right / 1000 == whole.accuracy
    assert loss / 1000 == pytest.approx(whole.loss, rel=1e-9)


def test_images_are_changed_by_draws_and_only_by_them():
    config = settings(channels_last=True)
    pixels = torch.randint(0, 256, (4, 3, 24, 24), dtype=torch.uint8)
    plain = network_input(pixels, config, None)
    assert plain.is_contiguous(memory_format=torch.channels_last)
    unchanged = network_input(pixels, config, torch.full((4, 6), 0.5))
    torch.testing.assert_close(unchanged, plain, atol=1e-4, rtol=0)
    assert not torch.allclose(network_input(pixels, config, torch.zeros(4, 6)), plain, atol=0.1)
