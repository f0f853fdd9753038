"""What the documentation tells a reader to run does run, and its tables say what the JSON says."""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from spectral_select._cli import _COMMANDS, _parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Made by the build: the reference's pages, and the gallery's out of its scripts.
BUILT = {"_build", "examples", "reference"}
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.rst"), *DOCS.rglob("*.md")]
    if path.relative_to(DOCS).parts[0] not in BUILT
)


def name(path):
    return path.relative_to(DOCS).as_posix()


def blocks(path, kinds):
    """Return the blocks of code of some kinds in a page, in order."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        found = re.findall(r"^(?:```(\w+)|<!-- (\w+))\n(.*?)^(?:```|-->)", text, re.DOTALL | re.M)
        return [code for fence, comment, code in found if (fence or comment) in kinds]
    # A block ends at the first line that is not indented.
    pattern = r"^\.\. (?:code-block:: (\w+)|(testsetup)::)\n((?:\n| {3}.*\n)*)"
    found = re.findall(pattern, text + "\n", re.M)
    return [textwrap.dedent(code) for kind, setup, code in found if (kind or setup) in kinds]


def python(path):
    return blocks(path, {"python", "testsetup"})


WITH_PYTHON = [path for path in PAGES if python(path)]


@pytest.mark.parametrize("path", WITH_PYTHON, ids=name)
def test_the_snippets_of_a_page_run_one_after_the_other(path, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("\n".join(python(path)), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]


def commands():
    """Return every command line in the pages that starts the program."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        lines = "\n".join(blocks(path, {"console", "text"})).replace("\\\n", " ").splitlines()
        lines = [line.strip().removeprefix("$ ") for line in lines]
        lines += re.findall(r"``(spectral-select [^`]+)``", text)
        found += [(name(path), line) for line in lines if line.startswith("spectral-select ")]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_line_is_understood(page, line):
    arguments = shlex.split(line, comments=True)[1:]
    if arguments in (["--version"], ["COMMAND", "--help"]) or "--help" in arguments:
        return
    if arguments[0] in _COMMANDS and len(arguments) == 1:
        return  # the name of the command, in a sentence
    options = _parser(arguments[0]).parse_args(arguments)
    assert options.command == arguments[0]


def test_there_is_something_to_test():
    assert len(WITH_PYTHON) > 10
    assert {line.split()[1] for _, line in commands()} >= {"extract", "select", "train"}


def test_links_to_files_of_the_repository_are_right():
    for path in PAGES:
        for target in re.findall(
            r"``((?:docs|benchmarks|tests)/[\w/.]+)``", path.read_text("utf-8")
        ):
            assert target.startswith("docs/_build") or (ROOT / target).exists(), (path, target)
