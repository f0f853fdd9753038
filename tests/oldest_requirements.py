"""Print the oldest versions that pyproject.toml claims, as constraints for pip.

``make test-oldest`` installs them. Arguments are the extras to take along with the
dependencies of the core; without any, every extra is taken.
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_FLOOR = re.compile(r"(?P<name>[\w.-]+)(\[[\w,-]+\])?>=(?P<version>\d+(\.\d+)*)")


def oldest_requirements(project, extras=None):
    """Return ``{name: oldest version}`` of the project's dependencies and of its extras.

    Parameters
    ----------
    project : dict
        The table ``[project]`` of a pyproject.toml.
    extras : sequence of str, optional
        Extras to take; by default all.

    Returns
    -------
    dict of str
        The oldest version that each dependency's requirement admits.

    Raises
    ------
    ValueError
        If a requirement is not ``name>=version``, or two of them differ for one name.
    """
    optional = project["optional-dependencies"]
    requirements = list(project["dependencies"])
    for extra in optional if extras is None else extras:
        requirements += optional[extra]
    oldest = {}
    for requirement in requirements:
        if requirement.startswith(project["name"] + "["):  # an extra made of other extras
            continue
        floor = _FLOOR.fullmatch(requirement)
        if floor is None:
            raise ValueError(f"requirement must be of the form name>=version, got {requirement!r}")
        name, version = floor["name"], floor["version"]
        if oldest.setdefault(name, version) != version:
            raise ValueError(f"{name} has two lower bounds: {oldest[name]} and {version}")
    return oldest


def main(extras):
    """Print the constraints, if this is the oldest Python that is claimed."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    python = project["requires-python"].removeprefix(">=")
    running = ".".join(map(str, sys.version_info[:2]))
    if running != python:
        raise SystemExit(f"the oldest Python that is claimed is {python}, this is {running}")
    for name, version in oldest_requirements(project, extras or None).items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    main(sys.argv[1:])
