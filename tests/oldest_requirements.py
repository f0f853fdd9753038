"""Print the oldest versions that pyproject.toml allows, as constraints for pip.

``make test-oldest`` installs these versions. Arguments are the extras to include besides the
core dependencies; without arguments, all extras are included.
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_FLOOR = re.compile(r"(?P<name>[\w.-]+)(\[[\w,-]+\])?>=(?P<version>\d+(\.\d+)*)")


def oldest_requirements(project, extras=None):
    """Return ``{name: oldest version}`` for the dependencies of the project and its extras.

    Parameters
    ----------
    project : dict
        The table ``[project]`` of a pyproject.toml.
    extras : sequence of str, optional
        Extras to include; by default, all.

    Returns
    -------
    dict of str
        The oldest version allowed by each requirement.

    Raises
    ------
    ValueError
        If a requirement is not ``name>=version``, or two requirements for one name differ.
    """
    optional = project["optional-dependencies"]
    requirements = list(project["dependencies"])
    for extra in optional if extras is None else extras:
        requirements += optional[extra]
    oldest = {}
    for requirement in requirements:
        if requirement.startswith(project["name"] + "["):  # an extra that combines other extras
            continue
        floor = _FLOOR.fullmatch(requirement)
        if floor is None:
            raise ValueError(f"requirement must be of the form name>=version, got {requirement!r}")
        name, version = floor["name"], floor["version"]
        if oldest.setdefault(name, version) != version:
            raise ValueError(f"{name} has two lower bounds: {oldest[name]} and {version}")
    return oldest


def main(extras):
    """Print the constraints, if this is the oldest supported Python version."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    python = project["requires-python"].removeprefix(">=")
    running = ".".join(map(str, sys.version_info[:2]))
    if running != python:
        raise SystemExit(f"the oldest Python that is claimed is {python}, this is {running}")
    for name, version in oldest_requirements(project, extras or None).items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    main(sys.argv[1:])
