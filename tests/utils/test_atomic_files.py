"""Files are whole or absent."""

import json
import os
import stat

import pytest

from spectral_select._utils.atomic_files import (
    read_json_object,
    write_atomically,
    write_json_atomically,
)


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
    write_json_atomically(tmp_path / "own", {})
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "own")}
    assert len(modes) == 1


def test_where_it_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        write_json_atomically(tmp_path / "nowhere" / "file", {})
    with pytest.raises(IsADirectoryError, match="it is a folder; expected a file name"):
        write_json_atomically(tmp_path, {})


def test_json(tmp_path):
    path = tmp_path / "x.json"
    write_json_atomically(path, {"a": [1, "ü"]})
    assert read_json_object(path) == {"a": [1, "ü"]} == json.loads(path.read_text())
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json_atomically(path, {"a": float("nan")})
    assert read_json_object(path) == {"a": [1, "ü"]}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 200_000])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json is not JSON"):
        read_json_object(tmp_path / "x.json")


@pytest.mark.parametrize(("content", "kind"), [("[1]", "list"), ("null", "NoneType"), ("3", "int")])
def test_json_of_another_kind_is_named(tmp_path, content, kind):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=rf"x\.json holds a {kind}; expected a JSON object"):
        read_json_object(tmp_path / "x.json")
