import json
import re
import shlex
from pathlib import Path

import pytest
from _accuracy_report import difference, sections

from spectral_select._cli.main import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_examples_run(snippet):
    names = {}
    exec(compile(snippet, "README.md", "exec"), names)
    if "X_kept" in names:
        assert names["X_kept"].shape == (351, 64)
    if "loader" in names:
        assert len(names["loader"]) == 12  # 359 of 1797 samples


def test_command_lines_parse(capsys):
    commands = [shlex.split(line, comments=True) for line in README.splitlines()
                if line.startswith("spectral-select ") and "photos" in line]  # fmt: skip
    assert {command[1] for command in commands} == {"extract", "select", "train", "report"}
    for command in commands:
        # The folder does not exist, so a valid command fails with an error that names the folder.
        assert main(command[1:]) == 2
        assert "photos" in capsys.readouterr().err


def test_linked_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for target in re.findall(r"^(\S+/?) {2,}\S", README.split("## Layout")[1], re.MULTILINE):
        assert (ROOT / target).exists(), target


def test_table_matches_the_committed_results():
    files = {"Caltech-101": "twenty_seeds_caltech-101", "CIFAR-10": "twenty_seeds_cifar-10"}
    rows = re.findall(r"^\| (Caltech-101|CIFAR-10) \| (\w+) \| (.*) \|$", README, re.MULTILINE)
    assert {method for _, method, _ in rows} >= {"fiedler", "guided"}
    for data, method, shown in rows:
        results = json.loads((ROOT / f"benchmarks/results/{files[data]}.json").read_text("utf-8"))
        expected = [
            difference(cells[method], cells["random"]).format(1, signed=True)
            for _, share, budget, cells in sections(results)
            if (share, budget) == (0.2, "wall-clock")
        ]
        assert shown.split(" | ") == expected, (data, method)
