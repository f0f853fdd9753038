"""CONTRIBUTING.md describes every folder of the code, and no other."""

import re

import pytest
from docs_helpers import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LIBRARY, INTEGRATIONS = (
    re.findall(r"^\| `([\w/]+)` \|", part, re.MULTILINE) for part in TEXT.split("`integrations/`")
)


@pytest.mark.parametrize(
    ("named", "root"), [(LIBRARY, "spectral_select"), (INTEGRATIONS, "integrations")]
)
def test_tables_name_every_package(named, root):
    # spectral_select/integrations is a link to the folder of the second table.
    files = [path.relative_to(ROOT / root) for path in (ROOT / root).glob("**/__init__.py")]
    folders = {path.parent.as_posix() for path in files if path.parts[0] != "integrations"} - {"."}
    assert sorted(named) == sorted(folders)
