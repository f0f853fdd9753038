"""The report of one or more folders of results: a page and its pictures."""

import os
from collections.abc import Sequence
from pathlib import Path

from spectral_select._utils.atomic_files import write_atomically
from spectral_select.integrations.records.results import read_results
from spectral_select.integrations.report.figures.drawing import Picture
from spectral_select.integrations.report.page import build_page
from spectral_select.integrations.report.parts import describe_section
from spectral_select.integrations.report.sections import Section, Source, pool

__all__ = ["FIGURES", "PAGE", "write_report"]

#: The page, and the folder of its pictures beside it.
PAGE, FIGURES = "report.html", "figures"


def write_report(runs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Path:
    """Write a page on one or more runs of ``spectral-select train``, with its pictures.

    Runs whose configuration and data agree are pooled over their seeds; others stand in
    sections of their own. The page, ``report.html``, has everything in it; its pictures
    are in the folder ``figures`` too. Needs matplotlib.

    Parameters
    ----------
    runs : sequence of path
        Folders with a ``results.json`` each.
    out : path
        Folder for the report, made if need be.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    FileNotFoundError
        If a folder has no ``results.json``.
    ValueError
        If one is not what ``spectral-select train`` writes, is given twice, or none of
        the runs finished an epoch.

    Examples
    --------
    >>> write_report([], "report")
    Traceback (most recent call last):
        ...
    ValueError: runs must name at least one folder of results; got none
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"out {out} is a file; expected a folder for the report")
    sources = _read(runs)
    sections = [section for section in pool(sources) if section.runs]
    if not sections:
        folders = ", ".join(str(source.folder) for source in sources)
        raise ValueError(f"nothing to report: no epoch was finished in {folders}")
    parts, pictures = [], []
    for number, section in enumerate(sections, start=1):
        part, drawn = describe_section(section, number)
        parts.append(part)
        pictures += drawn
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        _write(out / FIGURES / picture.name, picture.png)
    page = build_page(_title(sections), _lead(sections, pictures), parts)
    _write(out / PAGE, page.encode())
    return out / PAGE


def _read(runs: Sequence[str | os.PathLike[str]]) -> list[Source]:
    if not runs:
        raise ValueError("runs must name at least one folder of results; got none")
    sources: list[Source] = []
    seen: set[Path] = set()
    for run in runs:
        path = Path(run)
        folder = path if path.is_dir() else path.parent
        if folder.resolve() in seen:
            raise ValueError(f"{run} is given twice")
        seen.add(folder.resolve())
        sources.append(Source(folder, read_results(path)))
    return sources


def _title(sections: Sequence[Section]) -> str:
    names = list(dict.fromkeys(section.title for section in sections))
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"Selection methods compared: {', '.join(names[:2])}{more}"


def _lead(sections: Sequence[Section], pictures: Sequence[Picture]) -> str:
    n_runs = sum(len(runs) for section in sections for runs in section.runs.values())
    n_methods = len({method for section in sections for method in section.runs})
    return (
        f"{n_runs} training runs, {n_methods} methods, {len(pictures)} pictures. “Ours” is what "
        "was measured in these runs; figures marked as the paper's are those that the SALN "
        "paper prints (arXiv:2412.17069)."
    )


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
