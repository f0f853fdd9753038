"""The pages of the documentation, their code blocks and their command lines."""

import re
import textwrap
from pathlib import Path

import pytest

from spectral_select._cli.main import _COMMANDS, _parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Folders that the build writes.
BUILT = {"_build", "examples", "reference"}
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.rst"), *DOCS.rglob("*.md")]
    if path.relative_to(DOCS).parts[0] not in BUILT
)
PROGRAMS = ("spectral-select", "torchrun", "python", "pip", "make")


def name(path):
    return path.relative_to(DOCS).as_posix()


def with_ray(pages):
    """Return test parameters; the page that starts Ray runs only in `make test-ray`."""
    marks = [pytest.mark.ray, pytest.mark.filterwarnings("default")]
    return [pytest.param(p, marks=marks if str(p).endswith("howto/ray.rst") else ()) for p in pages]


def blocks(path, kinds):
    """Return the code blocks of the given kinds in a page, in order."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        matches = re.findall(r"^(?:```(\w*)|<!-- (\w+))\n(.*?)^(?:```|-->)", text, re.DOTALL | re.M)
        return [code for fence, comment, code in matches if (fence or comment) in kinds]
    # A block ends at the first line without indentation.
    pattern = r"^\.\. (?:code-block:: (\w+)|(testsetup)::)\n((?:\n| {3}.*\n)*)"
    matches = re.findall(pattern, text + "\n", re.M)
    return [textwrap.dedent(code) for kind, setup, code in matches if (kind or setup) in kinds]


def command_lines(path):
    """Return the command lines of a page: first those in blocks, then those in sentences."""
    # The command blocks of README have no language, so that GitHub does not highlight them.
    lines = _joined("\n".join(blocks(path, {"console", "text", ""})))
    text = path.read_text(encoding="utf-8")
    quoted = r"`(python benchmarks/[^`]+)`|``((?:spectral-select|python|pip|make) [^`]+)``"
    inline = [" ".join((one or two).split()) for one, two in re.findall(quoted, text)]
    return [line for line in lines if line.split(" ")[0] in PROGRAMS] + inline


def help_examples(command):
    """Return the command lines in the help of a command."""
    # The parser adds the arguments of one command only.
    (commands,) = (a for a in _parser(command)._actions if a.dest == "command")
    lines = _joined(commands.choices[command].epilog or "")
    return [line for line in lines if line.split(" ")[0] in PROGRAMS]


def every_command_line():
    """Return the command lines of each page and each help text."""
    lines = {"README.md": command_lines(ROOT / "README.md")}
    lines |= {name(path): command_lines(path) for path in PAGES}
    lines["--help"] = [
        line.strip()
        for line in _joined(_parser(None).epilog)
        if line.startswith("spectral-select ") and "COMMAND" not in line
    ]
    lines |= {f"{command} --help": help_examples(command) for command in _COMMANDS}
    return {page: shown for page, shown in lines.items() if shown}


def _joined(text):
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [line.strip().removeprefix("$ ") for line in lines]
