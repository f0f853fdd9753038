"""Files are either complete or absent."""

import os
import stat

import pytest
from kill_helpers import killed_while_writing

from spectral_select._utils.atomic_files import remove_leftovers, write_atomically


def empty(file):
    pass


def test_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "file"

    def write(file):
        file.write(b"all")
        file.flush()
        assert not path.exists()

    write_atomically(path, write)
    assert path.read_text() == "all"


@pytest.mark.skipif(os.name != "posix", reason="no permission bits of this kind")
def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "own", empty)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "own")}
    assert len(modes) == 1


def test_rejects_unwritable_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        write_atomically(tmp_path / "nowhere" / "file", empty)
    with pytest.raises(IsADirectoryError, match="it is a folder; expected a file name"):
        write_atomically(tmp_path, empty)


def test_next_writer_removes_files_of_a_killed_one(tmp_path):
    path, other = tmp_path / "kept.txt", tmp_path / "kept.txt.gz"
    left = [killed_while_writing(path), killed_while_writing(other)]
    own = tmp_path / ".kept.txt.notes.tmp"
    own.touch()
    write_atomically(path, lambda file: file.write(b"all"))
    assert sorted(tmp_path.iterdir()) == sorted([path, left[1], own])
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, own])


def test_file_of_an_active_writer_is_kept(tmp_path):
    path = tmp_path / "file"

    def write(file):
        remove_leftovers(tmp_path)
        write_atomically(path, lambda inner: inner.write(b"first"))
        file.write(b"last")

    write_atomically(path, write)
    assert path.read_bytes() == b"last"
    assert list(tmp_path.iterdir()) == [path]
