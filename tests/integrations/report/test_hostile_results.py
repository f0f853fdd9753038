"""Any replaced value in results.json gives a report, or one line that names file and key."""

import copy
import json

import pytest
from report_helpers import results, write_run

from spectral_select._cli.main import main

# Values of every type, some extreme, some hostile to code that draws, escapes or encodes text.
VALUES = [
    7, -1, 0, 1.5, 1e99, 10**30, float("inf"), True, None, "", "x" * 3000, "$\\frac{", "\ud800",
    "a\nb\0", "<script>", "../../x", [], [[1]], {}, {"a": {"b": [1]}},
]  # fmt: skip


def content():
    made = copy.deepcopy(results(methods=("random", "jest"), epochs=1))
    made |= {
        "hardware": {"gpu": None, "processor": "cpu", "cores": 2},
        "methods": ["random", "jest"],
    }
    made |= {
        "versions": {"python": "3"},
        "command": "train",
        "resumed": ["now"],
        "models": "models",
    }
    made["runs"][0] |= {"config": {"lr": 0.1}, "precompute_seconds": 1.0, "final_weights": "0"}
    return made


def paths(value, path=()):
    """Yield the path of every value inside `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*path, key))


PATHS = list(paths(content()))


def changed(path, change):
    made = content()
    parent = made
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return made


def check(path, change, folder, capsys):
    out = folder / "out"
    run = write_run(folder / "run", changed(path, change))
    status = main(["report", str(run), "--out", str(out)])
    message = capsys.readouterr().err
    if status == 0:
        assert message == ""
        (out / "report.html").read_text(encoding="utf-8")
    else:
        assert status == 2
        assert message.count("\n") == 1
        assert str(run) in message
        assert not out.exists()


def replace(value):
    return lambda parent, key: parent.__setitem__(key, copy.deepcopy(value))


def drop(parent, key):
    del parent[key]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_value_that_is_missing_or_replaced(path, tmp_path, capsys):
    value = VALUES[PATHS.index(path) % len(VALUES)]
    check(path, drop, tmp_path / "dropped", capsys)
    check(path, replace(value), tmp_path / "replaced", capsys)


@pytest.mark.slow
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_every_value_in_every_place(value, tmp_path, capsys):
    for k, path in enumerate(PATHS):
        check(path, replace(value), tmp_path / str(k), capsys)


@pytest.mark.parametrize("name", ["$\\frac{", "a $ and b $", "\udcff", "x" * 3000, "a\nb\0"])
def test_names_are_drawn_as_text(name, tmp_path, capsys):
    made = content()
    made["runs"][0]["method"] = made["data"]["name"] = made["config"]["model"] = name
    run = write_run(tmp_path / "run", made)
    assert main(["report", str(run), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == ""


def test_nesting_beyond_the_stack(tmp_path, capsys):
    run = write_run(tmp_path / "run", content())
    text = json.dumps(content())[:-1]
    for depth in (60, 500, 5000):
        nested = "[" * depth + "]" * depth
        (run / "results.json").write_text(f'{text}, "more": {nested}}}')
        assert main(["report", str(run), "--out", str(tmp_path / "out")]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert str(run) in message
