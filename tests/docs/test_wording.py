"""The phrases and names that the style guide rejects do not occur in code and pages."""

import ast
import re
from pathlib import Path

import pytest
from docs_helpers import BUILT, DOCS, ROOT

PHRASES = re.compile(
    r"""(?<!there[ ])\bis[ ]none\b              # lower case, because Python has "is None"
    |(?<![Tt]here[ ])\bis[ ]no[ ](?!longer\b|more\b)\w+
    |(?i:\bbut[ ]for\b
    |\b(go|goes|gone|going)[ ]on[ ](where|with)\b
    |\b(says?|said|speaks?|spoke)[ ]of\b
    |\b(nobody|somebody|whoever|likewise|told)\b
    |\bis[ ]up[ ]to[ ](?!date\b)\w+
    |\bon[ ]a[ ]par\b
    |\bof[ ]use[ ]to\b
    |\bso[ ]many\b)""",
    re.VERBOSE,
)
NAMES = {"told", "said", "came", "mine"}


def texts():
    """Return the files with code and pages, without the output of builds."""
    paths = set(ROOT.glob("*.md"))
    for folder in ("benchmarks", "docs", "integrations", "spectral_select", "tests"):
        paths |= {p for p in (ROOT / folder).rglob("*") if p.suffix in {".md", ".py", ".rst"}}
    built = {DOCS / folder for folder in BUILT}
    return sorted(p for p in paths - {Path(__file__)} if not built & {*p.parents})


def rejected_phrases(text):
    """Return the rejected phrases of a text, including those that continue on the next line."""
    return [match[0] for match in PHRASES.finditer(re.sub(r"\s+(# )?", " ", text))]


def rejected_names(code):
    """Return the rejected names of variables and parameters."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return sorted(NAMES & (names | {node.arg for node in nodes if isinstance(node, ast.arg)}))


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_rejected_phrases_or_names(path):
    text = path.read_text(encoding="utf-8")
    assert rejected_phrases(text) == []
    if path.suffix == ".py":
        assert rejected_names(text) == []


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("All entries are equal, but\n    for the last one.", ["but for"]),
        ("# What the graph says\n# of each label", ["says of"]),
        ("Likewise, it is none.", ["Likewise", "is none"]),
        ("value is None; there is no longer a lock. There is no store.", []),
    ],
)
def test_detects_rejected_phrases(text, phrases):
    assert rejected_phrases(text) == phrases


def test_detects_rejected_names():
    assert rejected_names("def f(mine):\n    told = mine\n    result = told") == ["mine", "told"]
