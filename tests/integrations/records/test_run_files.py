import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from spectral_select.integrations.records.run_files import find_inside, read_arrays, slug
from spectral_select.integrations.report.figures.chosen_batches import draw_batch, read_gallery
from spectral_select.integrations.report.figures.last_layer import draw_weights, read_last_layer


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "", None, 3])
def test_nothing_outside_the_folder_is_read(tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ValueError, match=r"outside|not the name"):
        find_inside(tmp_path / "run", name)


def test_no_link_leads_out(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "run" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="outside"):
        find_inside(tmp_path / "run", "link")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone is missing"):
        find_inside(tmp_path, "gone")


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", weight=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays(tmp_path / "x.npz")


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="damaged"):
        read_arrays(path)
    np.savez_compressed(path, a=np.zeros(10**5))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged"):
        read_arrays(path)


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as file,
    ):
        for _ in range(600):
            file.write(bytes(2**20))
    with pytest.raises(ValueError, match="would take"):
        read_arrays(path)


def test_methods_have_different_file_names():
    names = ["a", "A", "a:b=1", "a-b-1", "a:b=10", "ä", "é", "", "x" * 100, "x" * 101]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(set(s) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") and s for s in slugs)


def arrays(n=6):
    rng = np.random.default_rng(0)
    return {
        "images_0": rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8),
        "kept_0": np.arange(n) < 2,
        "labels_0": np.arange(n) % 3,
        "indices_0": np.arange(n),
    }


def test_the_images_kept_stand_out(tmp_path):
    np.savez(tmp_path / "g.npz", **arrays())
    (batch,) = read_gallery(tmp_path / "g.npz")
    picture = draw_batch(batch, "fiedler", 3, "1-fiedler", "as figure 7")
    assert "2 of 6 kept, of 2 of the batch's 3 classes" in picture.caption
    drawn = np.asarray(Image.open(BytesIO(picture.png)).convert("RGB"), dtype=int)
    cells = drawn.reshape(1, drawn.shape[0], drawn.shape[1], 3)[0]
    pitch = (cells.shape[1] + 4) // 6
    means = [cells[4:64, k * pitch + 4 : k * pitch + 64].mean() for k in range(6)]
    assert max(means[:2]) < min(means[2:])  # the others are faded towards white
    corners = [tuple(cells[1, k * pitch + 1]) for k in range(6)]
    assert len(set(corners[:2])) == 1
    assert set(corners[2:]) == {(255, 255, 255)}


@pytest.mark.parametrize(
    "change",
    [
        {"kept_0": np.arange(6)},
        {"images_0": np.zeros((5, 8, 8, 3), np.uint8)},
        {"images_0": np.zeros((6, 8, 8, 3))},
        {"labels_0": np.zeros(6)},
        {"indices_0": np.zeros((6, 1), int)},
    ],
)
def test_a_gallery_of_another_shape_is_refused(tmp_path, change):
    np.savez(tmp_path / "g.npz", **arrays() | change)
    with pytest.raises(ValueError, match="no thumbnails"):
        read_gallery(tmp_path / "g.npz")


def test_a_gallery_without_a_part_is_refused(tmp_path):
    found = arrays()
    del found["labels_0"]
    np.savez(tmp_path / "g.npz", **found)
    with pytest.raises(ValueError, match="lacks labels_0"):
        read_gallery(tmp_path / "g.npz")
    np.savez(tmp_path / "g.npz", weight=np.ones(2))
    with pytest.raises(ValueError, match="no batch"):
        read_gallery(tmp_path / "g.npz")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), "no matrix"),
        (np.ones((2, 2), int), "no matrix"),
        (np.full((2, 2), np.nan), "diverged"),
    ],
)
def test_weights_that_are_none_are_refused(tmp_path, weight, message):
    np.savez(tmp_path / "w.npz", weight=weight, bias=np.ones(2), name=np.array("fc"))
    with pytest.raises(ValueError, match=message):
        read_last_layer(tmp_path / "w.npz")


def test_zero_weights_are_drawn(tmp_path):
    np.savez(tmp_path / "w.npz", weight=np.zeros((2, 4)), bias=np.empty(0), name=np.array("fc"))
    layer = read_last_layer(tmp_path / "w.npz")
    heat_map, histogram = draw_weights({"full": layer}, {"full": "1-full"})
    assert heat_map.name == "1-full-heat-map.png"
    assert "2 × 4 weights of layer fc" in heat_map.alt
    assert histogram.png.startswith(b"\x89PNG")
