import json
import re
import shlex
from pathlib import Path

from _accuracy_report import difference, sections

from spectral_select._cli.main import main
from spectral_select.integrations.report import read_results
from spectral_select.integrations.report.intervals import paired_difference

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_examples_run_one_after_the_other():
    names = {}
    for snippet in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(snippet, "README.md", "exec"), names)
    assert len(names["loader"]) == 12  # 359 of 1797 samples
    assert names["X_kept"].shape == (359, 64)


def test_command_lines_parse(capsys):
    commands = [shlex.split(line, comments=True) for line in README.splitlines()
                if line.startswith("spectral-select ") and "photos" in line]  # fmt: skip
    assert {command[1] for command in commands} == {"extract", "inspect"}
    for command in commands:
        # The folder does not exist, so a valid command fails with an error that names the folder.
        assert main(command[1:]) == 2
        assert "photos" in capsys.readouterr().err


def test_linked_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


# The results in each column of the table.
HEADS = {1: "heads_caltech-101"}
FINE_TUNED = {2: "caltech-101", 3: "cifar-10-jpeg"}
# Condition and method of each row of the table, in order.
ROWS = [
    ("as-is", "guided"),
    ("redundant", "guided"),
    ("wrong-labels", "guided"),
    ("long-tailed", "guided"),
    ("wrong-labels", "full"),
    ("as-is", "fiedler"),
]


def gain_of_heads(file, condition, method):
    results = json.loads((ROOT / f"benchmarks/results/{file}.json").read_text(encoding="utf-8"))
    (cells,) = [
        cells
        for name, share, budget, cells in sections(results)
        if (name, share, budget) == (condition, 0.2, "wall-clock")
    ]
    return difference(cells[method], cells["random"]).format(1, signed=True)


def gain_of_fine_tuning(data, condition, method):
    name = data if condition == "as-is" else f"{data}-{condition}"
    accuracy = {}
    # `full` ran in the sweep that measures time, whose other runs do not count here.
    for file in (f"finetune-{name}", f"finetune-{name}_turns", f"finetime-{name}-10"):
        if (path := ROOT / f"docs/results/{file}.json").exists():
            for run in read_results(path).runs:
                of_seeds = accuracy.setdefault(run.method, {})
                of_seeds.setdefault(run.seed, 100 * run.final.test.accuracy)
    if method not in accuracy:
        return "–"
    return paired_difference(accuracy[method], accuracy["random"]).format(1, signed=True)


def test_table_matches_the_committed_results():
    rows = re.findall(r"^\| `(\w+)`.*$", README, re.MULTILINE)
    assert rows == [method for _, method in ROWS]
    shown = [line.split(" | ") for line in README.splitlines() if line.startswith("| `")]
    for (condition, method), cells in zip(ROWS, shown, strict=True):
        cells[-1] = cells[-1].removesuffix(" |")
        for column, file in HEADS.items():
            assert cells[column] == gain_of_heads(file, condition, method), cells[0]
        for column, data in FINE_TUNED.items():
            assert cells[column] == gain_of_fine_tuning(data, condition, method), cells[0]


def test_readme_is_short():
    """One screen and a half, and no sentence of more than 25 words."""
    prose = re.sub(r"```.*?```|^\|[^\n]*$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) < 350
    text = re.sub(r"\]\([^)]*\)", "]", prose)
    for sentence in re.split(r"(?<=[.:?])\s|\n\n|\n- ", text):
        assert len(sentence.split()) <= 25, sentence
