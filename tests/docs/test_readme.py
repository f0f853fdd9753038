import json
import re
import shlex
from pathlib import Path

import pytest
from _accuracy_report import difference, sections

from spectral_select._cli.main import main
from spectral_select.integrations.report import read_results
from spectral_select.integrations.report.run_groups import (
    ResultsFolder,
    final_test_accuracy,
    group_runs,
)

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
    assert {command[1] for command in commands} == {"extract", "inspect"}
    for command in commands:
        # The folder does not exist, so a valid command fails with its name.
        assert main(command[1:]) == 2
        assert "photos" in capsys.readouterr().err


def test_linked_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


CONDITIONS = {
    "as is": ("as-is", ""),
    "near-copies": ("redundant", "-redundant"),
    "20% wrong labels": ("wrong-labels", "-wrong-labels"),
}
FILES = {"Caltech-101": ("caltech-101", "caltech-101"), "CIFAR-10": ("cifar-10", "cifar-10-jpeg")}


def on_embeddings(data, condition, method):
    path = ROOT / f"benchmarks/results/twenty_seeds_{FILES[data][0]}.json"
    (cells,) = (
        cells
        for name, share, budget, cells in sections(json.loads(path.read_text("utf-8")))
        if (name, share, budget) == (CONDITIONS[condition][0], 0.2, "wall-clock")
    )
    return difference(cells[method], cells["random"]).format(1, signed=True)


def of_networks(data, condition):
    """Return the gain of guided, over a fifth of each batch and five seeds."""
    stem = FILES[data][1] + CONDITIONS[condition][1]
    paths = [ROOT / f"docs/results/{name}.json" for name in (stem, f"{stem}_turns")]
    sources = [ResultsFolder(path, read_results(path)) for path in paths if path.exists()]
    (group,) = group_runs(sources)
    assert len(group.seeds) == 5
    gain = group.difference("guided", "random", final_test_accuracy)
    return gain.format(1, scale=100, signed=True)


def test_table_matches_the_committed_results():
    rows = re.findall(r"^\| ([\w-]+), ([^|]+) \| (.*) \|$", README, re.MULTILINE)
    assert len(rows) == 6
    for data, condition, shown in rows:
        expected = [on_embeddings(data, condition, name) for name in ("guided", "fiedler")]
        assert shown.split(" | ") == [*expected, of_networks(data, condition)]


def test_sentences_are_short():
    prose = re.sub(
        r"```.*?```|^[|#][^\n]*$|!\[.*?\]\(.*?\)", "\n\n", README, flags=re.DOTALL | re.M
    )
    prose = re.sub(r"\]\([^)]*\)|\*\*|\[|^- ", "", prose, flags=re.M)
    for sentence in re.split(r"[.:](?:\s|$)|\n\n", prose):
        assert len(sentence.split()) <= 25, sentence
