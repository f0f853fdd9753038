"""Tables and figures for the results of ``spectral-select train`` in ``docs/results``.

``.. training-results:: PATTERN ...`` writes one section for each group of runs in matching files.
``.. paper-results::`` compares all runs with the numbers in the SALN paper. ``.. training-table::
FILE`` shows a short table for one file.
"""

import json
import shlex
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean, median
from typing import Any

from committed_results import DOCS, PICTURES, download, seconds, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from spectral_select.integrations.report import FORMAT, Results, read_results
from spectral_select.integrations.report.costs import cost_of
from spectral_select.integrations.report.figures.curves import draw_against_time
from spectral_select.integrations.report.intervals import mean_interval
from spectral_select.integrations.report.run_groups import (
    ResultsFolder,
    RunGroup,
    final_test_accuracy,
    group_runs,
    relative_seconds,
)
from spectral_select.integrations.report.saln_paper import comparable, differences, paper_data
from spectral_select.integrations.report.tables import Table, paper_tables, summary_table

RESULTS = DOCS / "results"
CODE_WIDTH = 79  # characters; longer lines are cut off at the edge of the page


def training_results() -> list[tuple[Path, Results]]:
    """Return the committed training results with their paths."""
    return [
        (path, read_results(path))
        for path in sorted(RESULTS.glob("*.json"))
        if json.loads(path.read_text(encoding="utf-8")).get("format") == FORMAT
    ]


def training_table(results: Results) -> str:
    """Return the table for one comparison."""
    by_method = ResultsFolder(RESULTS, results).runs_by_method()
    rows = []
    for method, runs in by_method.items():
        ratios = relative_seconds(runs, by_method.get("full", []))
        selection = mean(sum(run.seconds("selection")) + cost_of(run).precompute for run in runs)
        accuracy, loss = (
            mean_interval(run.final("test", quantity) for run in runs)
            for quantity in ("accuracy", "loss")
        )
        rows.append(
            [
                f"``{method}``",
                f"{mean(run.n_samples for run in runs):,.0f}",
                f"{mean(run.n_steps for run in runs):,.0f}",
                seconds(mean(sum(run.seconds()) for run in runs)),
                f"{median(ratios):.2f}" if ratios else "–",
                seconds(selection) if method != "full" else "–",
                accuracy.format(1, scale=100) if accuracy else "–",
                loss.format(3) if loss else "–",
            ]
        )
    head = ["method", "samples trained on", "steps", "wall-clock", "epoch time relative to full"]
    return table([*head, "selection", "test accuracy (%)", "test loss"], rows)


def committed_groups() -> list[RunGroup]:
    """Return the committed runs, grouped by configuration and dataset."""
    groups = group_runs([ResultsFolder(path, results) for path, results in training_results()])
    return [group for group in groups if group.runs]


def to_rst(content: Table) -> str:
    """Convert a table from the report to reStructuredText."""
    # A list table has a single header row, so group names are added to the column names.
    above = [name for name, n_columns in content.groups for _ in range(n_columns)]
    above = above or [""] * len(content.head)
    head = [
        f"{name}, {group}" if group else name
        for name, group in zip(content.head, above, strict=True)
    ]
    marks = {"above": " ▲", "below": " ▼"}
    rows = [
        [
            f"``{row.name}``" + (f" ({row.remark})" if row.remark else ""),
            *(cell.text + marks.get(cell.kind, "") for cell in row.cells),
        ]
        for row in content.rows
    ]
    return table(head, rows, content.caption)


def setting(group: RunGroup) -> str:
    """Describe the data, configuration and hardware of a group in one sentence."""
    results = group.results
    config, data, hardware = results.config, results.data, results.hardware or {}
    seeds = group.seeds
    return (
        f"{(data.count or {})['train']:,} training images in {data.n_classes} classes at "
        f"{config['image_size']} px, weights {config['weights']}, {config['epochs']} epochs; "
        f"{config['candidate_size']} candidates per step, {config['filter_ratio']:.0%} of them "
        "discarded; "
        + (f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds")
        + f"; {hardware.get('gpu') or hardware['processor']}, {hardware['cores']} cores."
    )


def heading(group: RunGroup) -> list[str]:
    """Return the title of a group, with its file names if the title is not unique."""
    title = group.title
    if sum(other.title == title for other in committed_groups()) > 1:
        title += f" ({', '.join(source.folder.stem for source in group.sources)})"
    return [title, "-" * len(title), ""]


def wrapped(command: str) -> list[str]:
    """Return the lines of a long command, continued with backslashes.

    Options start on a new line if they do not fit.
    """
    lines = [""]
    for word in shlex.split(command):
        word = shlex.quote(word)
        if len(lines[-1]) + len(word) + 3 > CODE_WIDTH:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def all_numbers(group: RunGroup) -> str:
    """Return the links to the table of all runs, and to its source files."""
    head = ["file", "method", "seed", "complete", "epochs", "steps", "samples"]
    head += ["training seconds", "total seconds", "test accuracy", "test loss"]
    rows = [
        [
            source.folder.name,
            *(run.method, run.seed, run.complete, run.n_epochs, run.n_steps, run.n_samples),
            *(sum(run.seconds()), cost_of(run).total, final_test_accuracy(run)),
            run.final("test", "loss"),
        ]
        for source in group.sources
        for run in source.runs
        if run.n_epochs
    ]
    names = [source.folder.stem for source in group.sources]
    links = [download(names[0], head, rows)]
    links += [f":download:`{name}.json </results/{name}.json>`" for name in names]
    return f"All runs: {', '.join(links)}."


def training_section(group: RunGroup) -> str:
    """Return the setting, commands, table and curves for one group."""
    name = group.sources[0].folder.stem
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = draw_against_time(group, name)
    (PICTURES / picture.name).write_bytes(picture.png)
    lines = [
        *heading(group),
        setting(group),
        *group.notes,
        "",
        to_rst(summary_table(group)),
        "",
        f".. figure:: /_build/curves/{picture.name}",
        f"   :alt: {picture.alt}",
        "   :width: 520px",
        "",
        f"   {picture.caption}",
        "",
        all_numbers(group),
        "",
        ".. dropdown:: Commands",
        "",
    ]
    for source in group.sources:
        code = [f"      {line}" for line in wrapped(source.results.command)]
        lines += ["   .. code-block:: text", "", *code, ""]
    return "\n".join(lines)


def paper_section(group: RunGroup) -> str:
    """Return the results of one group next to the numbers in the paper."""
    if not comparable(group.results.data.name):
        return ""
    paper, same_data = paper_data(group.results.data.name)
    lines = [*heading(group), setting(group), ""]
    if not same_data:
        lines += [
            ".. warning::",
            "",
            f"   These runs use {group.data_name}, whereas the paper uses {paper.name}, so the "
            "numbers cannot be compared.",
            "",
        ]
    lines += ["Differences from the paper's setting:", ""]
    lines += [f"- {text}" for text in differences(group.results, same_data, paper)] + [""]
    lines += [to_rst(content) + "\n" for content in paper_tables(group, paper)]
    return "\n".join(lines)


class TrainingResults(SphinxDirective):
    """A section for each group of committed runs, from files that match a pattern or from all."""

    optional_arguments = 20
    make = staticmethod(training_section)

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        groups = committed_groups()
        stems = [[source.folder.stem for source in group.sources] for group in groups]
        for pattern in self.arguments:
            if not any(fnmatch(stem, pattern) for of_group in stems for stem in of_group):
                raise ExtensionError(f"no training results named {pattern} in {RESULTS}")
        wanted = self.arguments or ["*"]
        shown = [
            group
            for group, of_group in zip(groups, stems, strict=True)
            if any(fnmatch(stem, pattern) for stem in of_group for pattern in wanted)
        ]
        for source in (source for group in shown for source in group.sources):
            self.env.note_dependency(str(source.folder))
        text = "\n".join(self.make(group) for group in shown)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class PaperResults(TrainingResults):
    """The same sections, compared with the numbers in the SALN paper."""

    make = staticmethod(paper_section)


class TrainingTable(SphinxDirective):
    """The table for one committed training-results file, named without its suffix."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        path = RESULTS / f"{self.arguments[0]}.json"
        self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(training_table(read_results(path)))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("training-results", TrainingResults)
    app.add_directive("paper-results", PaperResults)
    app.add_directive("training-table", TrainingTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
