"""What the documentation shows: its pages, their blocks of code and their command lines."""

import re
import textwrap
from pathlib import Path

from spectral_select._cli.main import _COMMANDS, _parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Made by the build: the reference's pages, and the gallery's out of its scripts.
BUILT = {"_build", "examples", "reference"}
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.rst"), *DOCS.rglob("*.md")]
    if path.relative_to(DOCS).parts[0] not in BUILT
)
PROGRAMS = ("spectral-select", "torchrun", "python", "pip", "make")


def name(path):
    return path.relative_to(DOCS).as_posix()


def blocks(path, kinds):
    """Return the blocks of code of some kinds in a page, in order."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        found = re.findall(r"^(?:```(\w*)|<!-- (\w+))\n(.*?)^(?:```|-->)", text, re.DOTALL | re.M)
        return [code for fence, comment, code in found if (fence or comment) in kinds]
    # A block ends at the first line that is not indented.
    pattern = r"^\.\. (?:code-block:: (\w+)|(testsetup)::)\n((?:\n| {3}.*\n)*)"
    found = re.findall(pattern, text + "\n", re.M)
    return [textwrap.dedent(code) for kind, setup, code in found if (kind or setup) in kinds]


def command_lines(path):
    """Return the command lines of a page: those in blocks, in order, then those in sentences."""
    # README's blocks of commands have no language: GitHub would color them as a script.
    lines = _joined("\n".join(blocks(path, {"console", "text", ""})))
    text = path.read_text(encoding="utf-8")
    quoted = r"`(python benchmarks/[^`]+)`|``((?:spectral-select|python|pip|make) [^`]+)``"
    inline = [" ".join((one or two).split()) for one, two in re.findall(quoted, text)]
    return [line for line in lines if line.split(" ")[0] in PROGRAMS] + inline


def help_examples(command):
    """Return the command lines that the help of a command shows."""
    # A parser adds the arguments of one command only, and has the others beside it.
    (commands,) = (a for a in _parser(command)._actions if a.dest == "command")
    lines = _joined(commands.choices[command].epilog or "")
    return [line for line in lines if line.split(" ")[0] in PROGRAMS]


def every_command_line():
    """Return all command lines by where they stand, in order."""
    found = {"README.md": command_lines(ROOT / "README.md")}
    found |= {name(path): command_lines(path) for path in PAGES}
    found["--help"] = [
        line.strip()
        for line in _joined(_parser(None).epilog)
        if line.startswith("spectral-select ") and "COMMAND" not in line
    ]
    found |= {f"{command} --help": help_examples(command) for command in _COMMANDS}
    return {page: lines for page, lines in found.items() if lines}


def _joined(text):
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [line.strip().removeprefix("$ ") for line in lines]
