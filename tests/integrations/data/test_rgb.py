"""Images of every mode as 8-bit RGB, compared with known pixels."""

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.data.images import ImageFiles, UnreadableImageError
from spectral_select.integrations.data.rgb import as_rgb

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
GRAY = np.rint(RAMP * 255).astype(np.uint8)
RGB_RAMP = np.stack([GRAY, GRAY.T, 255 - GRAY], axis=2)


def saved(image, kind, **options):
    """Return the image after saving it in a file format and reading it back."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return Image.open(file)


def gray_of(image):
    rgb = np.asarray(as_rgb(image))
    assert (rgb == rgb[..., :1]).all()
    return rgb[..., 0]


class TestRange:
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
    def test_16_bit_gray_files(self, kind):
        values = np.rint(RAMP * 65535).astype(np.uint16)
        assert abs(gray_of(saved(Image.fromarray(values), kind)).astype(int) - GRAY).max() <= 1

    @pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
    def test_16_bit_gray_of_any_byte_order(self, mode):
        values = np.rint(RAMP * 65535).astype(">u2" if mode == "I;16B" else "<u2")
        image = Image.frombytes(mode, (8, 8), values.tobytes())
        assert abs(gray_of(image).astype(int) - GRAY).max() <= 1

    def test_16_bit_gray_keeps_all_gray_levels(self):
        values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
        assert np.array_equal(gray_of(Image.fromarray(values)).ravel(), np.arange(256))

    def test_gray_of_mode_i_in_png_files(self):
        # Older versions of Pillow read 16-bit PNG files in mode I.
        image = Image.fromarray(np.rint(RAMP * 65535).astype(np.int32))
        image.format = "PNG"
        assert abs(gray_of(image).astype(int) - GRAY).max() <= 1

    def test_12_bit_tiff(self):
        image = Image.fromarray(np.rint(RAMP * 4095).astype(np.uint16))
        image.tag_v2 = {258: (12,)}
        assert abs(gray_of(image).astype(int) - GRAY).max() <= 1

    def test_inverted_16_bit_tiff(self):
        image = Image.fromarray(np.rint(RAMP * 65535).astype(np.uint16))
        tiff = saved(image, "TIFF", tiffinfo={262: 0})
        assert tiff.tag_v2[262] == 0
        assert abs(255 - gray_of(tiff).astype(int) - GRAY).max() <= 1

    @pytest.mark.parametrize("values", [RAMP, RAMP * 0, RAMP > 0.5])
    def test_float_in_unit_range(self, values):
        image = saved(Image.fromarray(values.astype(np.float32)), "TIFF")
        assert image.mode == "F"
        assert np.array_equal(gray_of(image), np.rint(values * 255))

    @pytest.mark.parametrize("values", [RAMP * 255, RAMP * 2 - 1, np.where(RAMP > 0.9, np.nan, 0)])
    def test_rejects_float_outside_unit_range(self, values):
        with pytest.raises(ValueError, match=r"floating-point values range from .*expected \[0, 1"):
            as_rgb(Image.fromarray(values.astype(np.float32)))

    @pytest.mark.parametrize("kind", [None, "TIFF"])
    def test_rejects_32_bit_integers(self, kind):
        image = Image.fromarray(np.rint(RAMP * 255).astype(np.int32))
        with pytest.raises(ValueError, match="integers of unknown range; save it"):
            as_rgb(image if kind is None else saved(image, kind))

    def test_rejects_signed_tiff(self):
        image = Image.fromarray(GRAY)
        image.tag_v2 = {339: (2,)}
        with pytest.raises(ValueError, match="signed integers of unknown range"):
            as_rgb(image)

    def test_rejects_lab(self):
        with pytest.raises(ValueError, match="mode LAB is not supported; save it as 8-bit RGB"):
            as_rgb(saved(Image.new("LAB", (4, 4)), "TIFF"))

    @pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGBX", "YCbCr", "HSV"])
    def test_8_bit_modes_are_converted_as_pillow_does(self, mode):
        image = Image.fromarray(RGB_RAMP).convert(mode)
        assert np.array_equal(np.asarray(as_rgb(image)), np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize("mode", Image.MODES if hasattr(Image, "MODES") else ["RGB"])
    def test_every_mode_is_scaled_or_rejected(self, mode):
        if mode in ("I", "LAB"):
            with pytest.raises(ValueError, match="save it as 8-bit"):
                as_rgb(Image.new(mode, (4, 4)))
            return
        if mode.startswith("I;16") or mode == "F":
            white = Image.new(mode, (4, 4), 1 if mode == "F" else 65535)
        elif mode in ("La", "PA", "RGBa"):
            opaque = Image.new(mode[:-1], (4, 4), "white")
            opaque.putalpha(255)
            white = opaque if mode == "PA" else opaque.convert(mode)
        else:
            white = Image.new("RGB", (4, 4), "white").convert(mode)
        assert white.mode == mode
        assert np.array_equal(np.asarray(as_rgb(white)), np.full((4, 4, 3), 255))


class TestTransparency:
    @pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
    def test_hidden_color_is_replaced_by_white(self, mode):
        image = Image.new(mode[:-1], (4, 4))
        alpha = np.zeros((4, 4), np.uint8)
        alpha[:, 2:] = 255  # the image is black, with a transparent left half
        image.putalpha(Image.fromarray(alpha))
        image = image if image.mode == mode else image.convert(mode)
        found = np.asarray(as_rgb(image))
        assert (found[:, :2] == 255).all()
        assert (found[:, 2:] == 0).all()

    def test_half_transparent_color_is_blended(self):
        image = Image.new("RGBA", (2, 2), (255, 0, 0, 128))
        assert np.asarray(as_rgb(image))[0, 0].tolist() == [255, 127, 127]

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
    def test_transparent_color_of_png_files(self, mode):
        image = Image.fromarray(np.repeat(np.uint8([[0, 255]]), 2, axis=0)).convert(mode)
        key = (0, 0, 0) if mode == "RGB" else 0
        found = np.asarray(as_rgb(saved(image, "PNG", transparency=key)))
        assert (found == 255).all()

    def test_transparent_level_of_16_bit_png_files(self):
        image = Image.fromarray(np.uint16([[7, 9, 65535]]))
        image.info["transparency"] = 7
        assert gray_of(image).tolist() == [[255, 0, 255]]


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_images_are_turned_upright_once(self, orientation, kind):
        stored = Image.fromarray(RGB_RAMP[:5])
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = as_rgb(saved(stored, kind, exif=exif))
        # Where the first stored row and column are in the upright image, by the EXIF standard.
        upright = RGB_RAMP[:5]
        if orientation in (5, 6, 7, 8):
            upright = upright.swapaxes(0, 1)
        if orientation in (3, 4, 7, 8):
            upright = upright[::-1]
        if orientation in (2, 3, 6, 7):
            upright = upright[:, ::-1]
        assert np.array_equal(np.asarray(found), upright)
        assert np.array_equal(np.asarray(as_rgb(found)), upright)

    def test_input_image_is_unchanged(self):
        image = Image.fromarray(RGB_RAMP[:5])
        image.getexif()[0x0112] = 6
        assert as_rgb(image).size == (5, 8)
        assert image.size == (8, 5)

    @pytest.mark.parametrize("data", [b"", b"Exif\0\0MM", b"\xff" * 40])
    def test_damaged_exif_data_are_ignored(self, data):
        image = Image.fromarray(RGB_RAMP)
        image.info["exif"] = data
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.array_equal(np.asarray(as_rgb(image)), RGB_RAMP)


class TestArrays:
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    def test_tensors(self, dtype):
        tensor = torch.from_numpy(RGB_RAMP).permute(2, 0, 1)
        tensor = tensor if dtype == torch.uint8 else tensor.to(dtype) / 255
        assert np.array_equal(np.asarray(as_rgb(tensor)), RGB_RAMP)

    @pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1)])
    def test_gray_arrays(self, shape):
        assert np.array_equal(gray_of(GRAY.reshape(shape)), GRAY)
        assert np.array_equal(gray_of(GRAY.reshape(shape) * np.uint16(257)), GRAY)

    @pytest.mark.parametrize(
        ("image", "error", "message"),
        [
            (torch.full((3, 4, 4), 200.0), ValueError, "range from 200 to 200; expected"),
            (torch.zeros(3, 4, 4, dtype=torch.int64), ValueError, r"got int64 of shape \(3, 4, 4"),
            (np.zeros((4, 4), np.int16), ValueError, r"got int16 of shape \(4, 4\)"),
            (np.zeros(4, np.uint8), ValueError, r"got uint8 of shape \(4,\)"),
            ("photo.png", TypeError, "must be a PIL image, an array or a tensor; got str"),
        ],
    )
    def test_rejects_arrays_of_unknown_range(self, image, error, message):
        with pytest.raises(error, match=message):
            as_rgb(image)


def test_16_bit_files_give_distinct_images(tmp_path):
    (tmp_path / "a").mkdir()
    for i in range(4):
        Image.fromarray(np.full((6, 6), 8000 * i, np.uint16)).save(tmp_path / "a" / f"{i}.png")
    split = load_dataset(tmp_path, val_fraction=0, test_fraction=0).train
    levels = [np.asarray(split[i][0])[0, 0, 0] for i in range(4)]
    assert levels == [0, 31, 62, 93]


def test_error_names_rejected_files(tmp_path):
    Image.fromarray(np.full((4, 4), 2.0, np.float32)).save(tmp_path / "map.tif")
    with pytest.raises(UnreadableImageError, match=r"cannot read .*map\.tif: its floating-point"):
        ImageFiles(tmp_path, ["map.tif"]).load(0)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_number_of_pixels_is_bounded(tmp_path, monkeypatch):
    for kind in ("jpg", "png"):
        Image.new("RGB", (40, 30), (9, 9, 9)).save(tmp_path / f"large.{kind}")
    images = ImageFiles(tmp_path, ["large.jpg", "large.png"])
    assert [images.load(i).size for i in (0, 1)] == [(40, 30), (40, 30)]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    assert images.load(0).size == (20, 15)
    with pytest.raises(UnreadableImageError, match=r"large\.png: it has 40 × 30 pixels, more than"):
        images.load(1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for i in (0, 1):
        with pytest.raises(UnreadableImageError, match=r"large\.\w+: .*1200 pixels.*exceeds limit"):
            images.load(i)
