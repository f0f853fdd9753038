"""Write intersphinx inventories from a list of names, so that builds need no network."""

import zlib
from pathlib import Path


def write_inventories(names: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Write one ``objects.inv`` for each project in `names`; return the intersphinx mapping.

    For each project, the list contains a line ``[project] URL``, followed by lines
    ``ROLE NAME PAGE``. In PAGE, ``$`` stands for the name.
    """
    mapping: dict[str, tuple[str, str]] = {}
    lines: dict[str, list[str]] = {}
    for line in names.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            project, url = line[1:].split("] ")
            mapping[project] = (url, str(folder / f"{project}.inv"))
            lines[project] = []
        else:
            role, name, page = line.split()
            lines[project].append(f"{name} py:{role} 1 {page} -\n")
    folder.mkdir(parents=True, exist_ok=True)
    for project, (_, path) in mapping.items():
        head = (
            "# Sphinx inventory version 2\n"
            f"# Project: {project}\n# Version: \n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        Path(path).write_bytes(head.encode() + zlib.compress("".join(lines[project]).encode()))
    return mapping
