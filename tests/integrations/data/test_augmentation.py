import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from spectral_select.integrations.data.augmentation import N_DRAWS, Augmentation, normalize

OFF = {"flip": 0, "degrees": 0, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
COLUMN = {"flip": 0, "degrees": 1, "brightness": 2, "contrast": 3, "saturation": 4, "hue": 5}


def batch(n=6, height=12, width=12):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0))


def draws(n=6, seed=1):
    return torch.rand(n, N_DRAWS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "amount", "oracle"),
    [
        ("brightness", 0.4, lambda x, s: reference.adjust_brightness(x, 1 + 0.4 * s)),
        ("contrast", 0.4, lambda x, s: reference.adjust_contrast(x, 1 + 0.4 * s)),
        ("saturation", 0.4, lambda x, s: reference.adjust_saturation(x, 1 + 0.4 * s)),
        ("hue", 0.4, lambda x, s: reference.adjust_hue(x, 0.4 * s)),
    ],
)
def test_color_jitter_equals_torchvision(name, amount, oracle):
    images, table = batch(), draws()
    changed = Augmentation(**{**OFF, name: amount})(images, table)
    signed = 2 * table[:, COLUMN[name]] - 1
    expected = torch.stack(
        [oracle(image, float(s)) for image, s in zip(images, signed, strict=True)]
    )
    torch.testing.assert_close(changed, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(12, 12), (10, 16)])
def test_rotation_equals_torchvision(height, width):
    images, table = batch(height=height, width=width), draws()
    changed = Augmentation(**{**OFF, "degrees": 30})(images, table)
    angles = 30 * (2 * table[:, COLUMN["degrees"]] - 1)
    bilinear = reference.InterpolationMode.BILINEAR
    expected = torch.stack(
        [
            reference.rotate(image, float(angle), interpolation=bilinear)
            for image, angle in zip(images, angles, strict=True)
        ]
    )
    # At the border, torchvision blends in outside pixels with a separate mask, so leave it out.
    inner = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(changed[inner], expected[inner], atol=1e-4, rtol=0)


def test_flips_images_with_small_draws():
    images, table = batch(), draws()
    changed = Augmentation(**{**OFF, "flip": 0.5})(images, table)
    flipped = table[:, 0] < 0.5
    assert 0 < flipped.sum() < len(images)
    torch.testing.assert_close(changed[flipped], images[flipped].flip(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(changed[~flipped], images[~flipped], atol=1e-5, rtol=0)


def test_change_does_not_depend_on_the_batch():
    images, table, augment = batch(), draws(), Augmentation()
    together = augment(images, table)
    alone = torch.cat([augment(images[i : i + 1], table[i : i + 1]) for i in range(len(images))])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_output_is_in_range_and_input_is_unchanged():
    images, table = batch(n=40), draws(n=40)
    before = images.clone()
    changed = Augmentation()(images, table)
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
    assert torch.equal(images, before)


def test_normalize_equals_torchvision():
    images = batch()
    expected = reference.normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(normalize(images.clone()), expected)
