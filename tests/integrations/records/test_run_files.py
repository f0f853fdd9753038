import zipfile

import numpy as np
import pytest

from spectral_select.integrations.records.run_files import find_inside, read_arrays, run_name, slug


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "", None, 3])
def test_rejects_names_outside_the_folder(tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ValueError, match=r"outside|not a file name"):
        find_inside(tmp_path / "run", name)


def test_rejects_links_out_of_the_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "run" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="outside"):
        find_inside(tmp_path / "run", "link")


def test_reports_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone is missing"):
        find_inside(tmp_path, "gone")


def test_rejects_pickles(tmp_path):
    np.savez(tmp_path / "x.npz", weight=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickled objects"):
        read_arrays(tmp_path / "x.npz")


def test_rejects_damaged_archives(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="damaged"):
        read_arrays(path)
    np.savez_compressed(path, a=np.zeros(10**5))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged"):
        read_arrays(path)


def test_rejects_archives_larger_than_memory_allows(tmp_path):
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as file,
    ):
        for _ in range(600):
            file.write(bytes(2**20))
    with pytest.raises(ValueError, match="would need"):
        read_arrays(path)


def test_slugs_are_unique():
    names = ["a", "A", "a:b=1", "a-b-1", "a:b=10", "ä", "é", "", "x" * 100, "x" * 101]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(set(s) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") and s for s in slugs)


def test_file_names_are_unique():
    names = {run_name(method, seed) for method in ("jest", "jest:a=1") for seed in (0, 1, 10)}
    assert len(names) == 6
