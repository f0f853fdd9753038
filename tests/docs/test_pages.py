"""The Python code of the pages runs, command lines parse, and referenced files exist."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from docs_helpers import PAGES, ROOT, blocks, every_command_line, name, with_ray

from spectral_select._cli.main import _COMMANDS, _parser


def python(path):
    return blocks(path, {"python", "testsetup"})


WITH_PYTHON = [path for path in PAGES if python(path)]


@pytest.mark.parametrize("path", with_ray(WITH_PYTHON), ids=name)
def test_python_code_of_page_runs(path, tmp_path):
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
    """Return every command line of `spectral-select`, with its page."""
    return [
        (page, f"spectral-select {rest}")
        for page, lines in every_command_line().items()
        for line in lines
        for rest in re.findall(r"^(?:torchrun .*-m )?spectral.select (.*)", line)
    ]


@pytest.mark.parametrize(("page", "line"), commands())
def test_command_line_parses(page, line):
    arguments = shlex.split(line, comments=True)[1:]
    if arguments in (["--version"], ["COMMAND", "--help"]) or "--help" in arguments:
        return
    if arguments[0] in _COMMANDS and len(arguments) == 1:
        return  # the name of a command in a sentence
    options = _parser(arguments[0]).parse_args(arguments)
    assert options.command == arguments[0]


def test_pages_have_code_and_command_lines():
    assert len(WITH_PYTHON) > 10
    assert {line.split()[1] for _, line in commands()} >= {"extract", "select", "train"}


def test_referenced_files_exist():
    for path in PAGES:
        for target in re.findall(
            r"``((?:docs|benchmarks|tests)/[\w/.]+)``", path.read_text("utf-8")
        ):
            assert target.startswith("docs/_build") or (ROOT / target).exists(), (path, target)
