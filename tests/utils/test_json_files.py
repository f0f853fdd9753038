"""JSON that is damaged or cannot be shown is rejected; the error names the file and the key."""

import json

import pytest

from spectral_select._utils.json_files import read_json_object, write_json_atomically


def test_json(tmp_path):
    path = tmp_path / "x.json"
    write_json_atomically(path, {"a": [1, "ü"]})
    assert read_json_object(path) == {"a": [1, "ü"]} == json.loads(path.read_text())
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json_atomically(path, {"a": float("nan")})
    assert read_json_object(path) == {"a": [1, "ü"]}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 200_000])
def test_error_names_damaged_json(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json is not JSON"):
        read_json_object(tmp_path / "x.json")


@pytest.mark.parametrize(("content", "kind"), [("[1]", "list"), ("null", "NoneType"), ("3", "int")])
def test_error_names_json_of_another_kind(tmp_path, content, kind):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=rf"x\.json holds a {kind}; expected a JSON object"):
        read_json_object(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1, {"b": Infinity}]}', r"has inf for a\[1\]\.b; expected a finite number"),
        ('{"a": -1e999}', "has -inf for a"),
        ('{"a": NaN}', "has nan for a"),
        ('{"a": 18446744073709551616}', "has an integer beyond 64 bits for a"),
        ('{"a": ' + "7" * 5000 + "}", "is not JSON"),
        ('{"a": ' + "[" * 500 + "]" * 500 + "}", "has more than 50 levels of nesting"),
        ('{"a": ' * 900 + "1" + "}" * 900, "has more than 50 levels of nesting"),
    ],
)
def test_rejects_values_that_cannot_be_shown(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=rf"x\.json {message}") as caught:
        read_json_object(tmp_path / "x.json")
    assert len(str(caught.value)) < 500
