"""The tables, figures and notes for one group of runs, arranged by the page's template."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from spectral_select.integrations.records.run_files import find_inside, slug
from spectral_select.integrations.report.figures.accuracy_dots import draw_final_accuracy
from spectral_select.integrations.report.figures.cost_bars import draw_costs
from spectral_select.integrations.report.figures.curves import (
    draw_against_time,
    draw_by_epoch,
    draw_method,
)
from spectral_select.integrations.report.figures.drawing import Picture
from spectral_select.integrations.report.figures.last_layer import draw_weights, read_last_layer
from spectral_select.integrations.report.figures.selected_batches import draw_batch, read_batches
from spectral_select.integrations.report.run_groups import Run, RunGroup
from spectral_select.integrations.report.saln_paper import (
    PaperData,
    comparable,
    differences,
    paper_data,
    printed_method,
)
from spectral_select.integrations.report.tables import (
    Table,
    cost_table,
    facts,
    paper_tables,
    summary_table,
)

__all__ = ["PageSection", "build_section"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class PageSection:
    """The content of one section of the page, except its prose.

    Attributes
    ----------
    group : RunGroup
        The runs.
    anchor : str
        The target for links to the section.
    paper : PaperData
        The paper's results that the runs are compared with.
    compares_with_paper : bool
        Whether the runs use one of the paper's datasets or a copy of CIFAR-10. Otherwise the
        page does not show the paper's numbers.
    same_data : bool
        Whether the runs use exactly the paper's dataset.
    differences : list of str
        Differences between the runs and the paper's setting.
    summary, costs : Table
        Results and costs by method.
    paper_tables : list of Table
        Results next to the paper's.
    result_figures, curve_figures, batch_figures, layer_figures : list of Picture
        Figures by subsection.
    cost_figure : Picture
        The costs as bars.
    kept_everything : list of str
        Methods that kept all samples in the recorded batches.
    layer_seeds : list of int
        Seeds of the networks whose last layer is shown.
    batch_notes, layer_notes : list of str
        Reasons why files are missing from the page.
    setups : list of tuple
        For each results folder, a caption, and the folder's configuration as (name, text) pairs.
    """

    group: RunGroup
    anchor: str
    paper: PaperData
    compares_with_paper: bool
    same_data: bool
    differences: list[str]
    summary: Table
    paper_tables: list[Table]
    costs: Table
    result_figures: list[Picture]
    cost_figure: Picture
    curve_figures: list[Picture]
    batch_figures: list[Picture]
    kept_everything: list[str]
    batch_notes: list[str]
    layer_figures: list[Picture]
    layer_seeds: list[int]
    layer_notes: list[str]
    setups: list[tuple[str, list[tuple[str, str]]]]

    @property
    def title(self) -> str:
        """Network, dataset and seeds."""
        seeds = self.group.seeds
        return f"{self.group.title}, " + (
            f"{len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
        )

    @property
    def paper_title(self) -> str:
        """The title of the comparison with the paper, with the paper's table numbers."""
        numbers = [number for pair in self.paper.tables.values() for number in pair]
        return f"The paper’s tables {min(numbers)} to {max(numbers)}"

    @property
    def unit(self) -> str:
        """Plural noun for the samples: "images", or another noun for samples without pictures."""
        return str(self.group.results.data.extra.get("unit", "images"))

    @property
    def setting(self) -> str:
        """Data and configuration in two sentences."""
        setting, data = self.group.results.setting, self.group.results.data
        counts = data.count or {}
        names = (("train", "training"), ("val", "validation"), ("test", "test"))
        parts = [f"{counts[key]:,} {name} {self.unit}" for key, name in names if key in counts]
        parts += [f"{data.n_classes} classes"] if data.n_classes is not None else []
        for number, unit in (
            (setting.image_size, "px"),
            (setting.epochs, "epochs"),
            (setting.candidate_size, "candidates per step"),
        ):
            parts += [f"{number} {unit}"] if number is not None else []
        if setting.filter_ratio is not None:
            parts.append(f"{setting.filter_ratio:.0%} of them discarded")
        return f"{', '.join(parts)}. Seeds: {', '.join(map(str, self.group.seeds))}."

    @property
    def figures(self) -> list[Picture]:
        """All figures, in the order of the page."""
        return [
            *self.result_figures,
            self.cost_figure,
            *self.curve_figures,
            *self.batch_figures,
            *self.layer_figures,
        ]


def build_section(group: RunGroup, number: int) -> PageSection:
    """Return the content of a section.

    Parameters
    ----------
    group : RunGroup
        Runs with the same configuration.
    number : int
        Position of the section on the page, counted from 1; file names start with it.
    """
    prefix = str(number)
    name = group.results.data.name
    paper, same_data = paper_data(name)
    compares = comparable(name)
    counterpart = paper.batch_figure if compares else None
    batches, batch_notes = _read_files(group, lambda run: run.record.gallery, read_batches)
    selected = {
        method: (run, [batch for batch in recorded if not batch.kept.all()])
        for method, (run, recorded) in batches.items()
    }
    layers, layer_notes = _read_files(group, lambda run: run.record.last_layer, read_last_layer)
    return PageSection(
        group=group,
        anchor=f"s{number}",
        paper=paper,
        compares_with_paper=compares,
        same_data=same_data,
        differences=differences(group.results, same_data, paper),
        summary=summary_table(group),
        paper_tables=paper_tables(group, paper),
        costs=cost_table(group),
        result_figures=[draw_final_accuracy(group, prefix), draw_against_time(group, prefix)],
        cost_figure=draw_costs(group, prefix),
        curve_figures=_curve_figures(group, prefix, paper if compares else None),
        batch_figures=[
            draw_batch(batch, run, f"{prefix}-{slug(method)}-batch", counterpart)
            for method, (run, shown) in selected.items()
            for batch in shown
        ],
        kept_everything=[method for method, (_, shown) in selected.items() if not shown],
        batch_notes=batch_notes,
        layer_figures=draw_weights(
            {method: layer for method, (_, layer) in layers.items()}, prefix
        ),
        layer_seeds=sorted({run.seed for run, _ in layers.values()}),
        layer_notes=layer_notes,
        setups=[(f"Folder {source.folder}", facts(source.results)) for source in group.sources],
    )


def _curve_figures(group: RunGroup, prefix: str, paper: PaperData | None) -> list[Picture]:
    figures = [draw_by_epoch(group, prefix, quantity) for quantity in ("accuracy", "loss")]
    for method in group.runs:
        name = printed_method(method)
        number = paper.curves[name] if paper is not None and name else None
        figures += [
            draw_method(group, method, f"{prefix}-{slug(method)}", quantity, number)
            for quantity in ("accuracy", "loss")
        ]
    return figures


def _read_files(
    group: RunGroup, name_of: Callable[[Run], str | None], read: Callable[[Path], _T]
) -> tuple[dict[str, tuple[Run, _T]], list[str]]:
    """Return the first readable file for each method, and notes on missing or unreadable files."""
    files: dict[str, tuple[Run, _T]] = {}
    notes, without = [], []
    for method, runs in group.runs.items():
        named = [run for run in runs if name_of(run) is not None]
        if not named:
            without.append(method)
        for run in named:
            try:
                files[method] = (run, read(find_inside(run.source.folder, name_of(run))))
            except (ValueError, OSError) as error:
                notes.append(f"{method}, seed {run.seed}, is not shown: {error}.")
            else:
                break
    if without:
        notes.append(f"Nothing was recorded for {', '.join(without)}.")
    return files, notes
