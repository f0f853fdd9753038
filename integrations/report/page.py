"""The report page: one self-contained HTML file. Its figures are also written as PNG files."""

import os
from collections.abc import Sequence
from pathlib import Path

from spectral_select._utils.atomic_files import write_atomically
from spectral_select.integrations.records.results import read_results
from spectral_select.integrations.report.page_sections import PageSection, build_section
from spectral_select.integrations.report.run_groups import ResultsFolder, RunGroup, group_runs
from spectral_select.integrations.report.saln_paper import SETTING, SOURCE

__all__ = ["FIGURES", "PAGE", "write_report"]

#: Names of the page and of the folder for its figures.
PAGE, FIGURES = "report.html", "figures"


def write_report(runs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Path:
    """Write a page about one or more runs of ``spectral-select train``, with figures.

    Runs with the same configuration and data are pooled over their seeds; each configuration
    gets its own section. The page, ``report.html``, is self-contained. Its figures are also
    written as files to the folder ``figures``. Requires jinja2 and matplotlib.

    Parameters
    ----------
    runs : sequence of path
        Folders that each contain a ``results.json``.
    out : path
        Folder for the report, created if necessary.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FileNotFoundError
        If a folder has no ``results.json``.
    ValueError
        If a file was not written by ``spectral-select train``, if a folder is given twice, or
        if no run finished an epoch.

    Examples
    --------
    >>> write_report([], "report")
    Traceback (most recent call last):
        ...
    ValueError: runs must contain at least one results folder; got none
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"out {out} is a file; expected a folder for the report")
    sources = _read(runs)
    groups = [group for group in group_runs(sources) if group.runs]
    if not groups:
        folders = ", ".join(str(source.folder) for source in sources)
        raise ValueError(f"nothing to report: no epoch is complete in {folders}")
    sections = [build_section(group, number) for number, group in enumerate(groups, start=1)]
    page = _render(sections)
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    for figure in (figure for section in sections for figure in section.figures):
        _write(out / FIGURES / figure.name, figure.png)
    _write(out / PAGE, page.encode(errors="replace"))  # a folder's name is not always UTF-8
    return out / PAGE


def _read(runs: Sequence[str | os.PathLike[str]]) -> list[ResultsFolder]:
    if not runs:
        raise ValueError("runs must contain at least one results folder; got none")
    sources: dict[Path, ResultsFolder] = {}
    for path in (file for run in runs for file in _results_files(Path(run))):
        if path.resolve() in sources:
            raise ValueError(f"runs contains {path} twice")
        folder = path if path.is_dir() else path.parent
        sources[path.resolve()] = ResultsFolder(folder, read_results(path))
    return list(sources.values())


def _results_files(run: Path) -> list[Path]:
    """Return the results files in a folder: one, or one per filter ratio for a sweep."""
    if run.is_dir():
        file = run / "results.json"
        return [file] if file.exists() else sorted(run.glob("results-f*.json")) or [run]
    return [run]


def _render(sections: Sequence[PageSection]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = [
        run for section in sections for by_seed in section.group.runs.values() for run in by_seed
    ]
    return templates.get_template("report.html").render(
        title=_title([section.group for section in sections]),
        sections=sections,
        n_runs=len(runs),
        n_methods=len({run.method for run in runs}),
        n_figures=sum(len(section.figures) for section in sections),
        paper_source=SOURCE,
        paper_setting=SETTING,
    )


def _title(groups: Sequence[RunGroup]) -> str:
    names = list(dict.fromkeys(group.title for group in groups))
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"Comparison of selection methods: {', '.join(names[:2])}{more}"


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
