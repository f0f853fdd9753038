import pytest

from spectral_select.integrations.commands.sweep_plan import read_plan

FILE = """
[sweep]
dataset = "digits"
methods = ["full", "random", "fiedler:laplacian=symmetric", "gstds:start=0.9,end=0.1"]
seeds = [0, 3]
filter_ratios = [0.5, 0.8]

[train]
epochs = 2
image-size = 24
channels_last = true
amp = true

[method.random]
lr = 0.05
"""


def plan(tmp_path, text=FILE):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return read_plan(path)


def test_every_method_runs_with_every_seed_and_relevant_ratio(tmp_path):
    found = plan(tmp_path)
    pairs = {(run.method, run.seed, run.ratios) for run in found.runs}
    both = (0.5, 0.8)
    expected = {
        (method, seed, ratios)
        for seed in (0, 3)
        for method, all_ratios in {
            "full": [both],
            "random": [(0.5,), (0.8,)],
            "fiedler:laplacian=symmetric": [(0.5,), (0.8,)],
            "gstds:start=0.9,end=0.1": [both],
        }.items()
        for ratios in all_ratios
    }
    assert pairs == expected
    assert len(pairs) == len(found.runs) == len({run.folder for run in found.runs})


def test_options_become_arguments(tmp_path):
    by_folder = {run.folder: run.arguments for run in plan(tmp_path).runs}
    common = ("--epochs=2", "--image-size=24", "--channels-last", "--amp")
    assert by_folder["runs/full-seed3"] == (
        *("digits", "--methods", "full", "--seeds", "3"),
        *common,
    )
    assert by_folder["runs/random-f0.5-seed0"] == (
        *("digits", "--methods", "random", "--seeds", "0"),
        *common,
        "--lr=0.05",
        "--filter-ratio=0.5",
    )
    assert "runs/fiedler-laplacian=symmetric-f0.8-seed3" in by_folder


def test_additions_to_the_file_keep_existing_runs(tmp_path):
    before = {run.folder: run.arguments for run in plan(tmp_path).runs}
    more = FILE.replace("[0, 3]", "[1, 0, 3]").replace("[0.5, 0.8]", "[0.2, 0.5, 0.8]")
    after = {run.folder: run.arguments for run in plan(tmp_path, more).runs}
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_runs_with_shared_inputs_come_first(tmp_path):
    needs = [len(run.needs) for run in plan(tmp_path).runs]
    assert needs == sorted(needs, reverse=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[sweep]", "[sweep", "is not TOML"),
        ("[train]", "[training]", "tables may contain sweep, train, method; got 'training'"),
        ("seeds", "seed", r"\[sweep\] may contain dataset, .*; got 'seed'"),
        ('dataset = "digits"', "", r"\[sweep\] lacks dataset"),
        ('dataset = "digits"', "dataset = 3", "dataset must be a string; got 3"),
        ('"random", ', '"magic", ', "method must be one of full.*; got 'magic'"),
        ('"random", ', '"full", ', "methods must not contain duplicates"),
        ('"random", ', "1, ", "methods must be a list of strings"),
        ("[0, 3]", "[0, 0]", "seeds must be a list of distinct nonneg"),
        ("[0, 3]", "[-1]", "seeds must be a list of distinct nonneg"),
        ("[0, 3]", "[]", "seeds must be a list of distinct nonneg"),
        ("[0, 3]", "[true]", "seeds must be a list of distinct nonneg"),
        ("[0.5, 0.8]", "[0.5, 1.0]", r"filter_ratios must be in \[0, 1\)"),
        ("[0.5, 0.8]", '["a"]', "filter_ratios must be a list of distinct numbers"),
        ("epochs = 2", "out = 'x'", r"\[train\]: out is set by the sweep"),
        ("epochs = 2", "epochs = [2]", "epochs must be a string, number or boolean"),
        ("[method.random]", "[method.stratified]", "'stratified'.* is not one of the methods"),
        ("[method.random]\nlr = 0.05", "[method]\nrandom = 1", "random must be a table; got 1"),
    ],
)
def test_rejects_invalid_files(tmp_path, old, new, message):
    assert old in FILE
    with pytest.raises(ValueError, match=message):
        plan(tmp_path, FILE.replace(old, new))


def test_rejects_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_plan(tmp_path / "none.toml")
