"""What the page says of one section: which tables, which pictures, in what order."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from spectral_select.integrations.records.run_files import find_inside, slug
from spectral_select.integrations.report.figures.bars import draw_costs
from spectral_select.integrations.report.figures.chosen_batches import (
    ShownBatch,
    draw_batch,
    read_gallery,
)
from spectral_select.integrations.report.figures.curves import (
    draw_against_time,
    draw_by_epoch,
    draw_method,
)
from spectral_select.integrations.report.figures.dots import draw_ends
from spectral_select.integrations.report.figures.drawing import Picture
from spectral_select.integrations.report.figures.last_layer import (
    LastLayer,
    draw_weights,
    read_last_layer,
)
from spectral_select.integrations.report.page import Part
from spectral_select.integrations.report.paper import (
    SETTING,
    SOURCE,
    PaperData,
    differences,
    paper_data,
    printed_method,
)
from spectral_select.integrations.report.sections import Run, Section
from spectral_select.integrations.report.tables import (
    cost_table,
    facts,
    paper_tables,
    summary_table,
)

__all__ = ["describe_section"]

_T = TypeVar("_T")


def describe_section(section: Section, number: int) -> tuple[Part, list[Picture]]:
    """Return the part of the page on a section, and its pictures.

    Parameters
    ----------
    section : Section
        Runs of one configuration.
    number : int
        Its place on the page, from 1.

    Returns
    -------
    Part
        The part.
    list of Picture
        The pictures in it.
    """
    prefix = f"{number}"
    paper, same_data = paper_data(section.results["data"]["name"])
    seeds = section.seeds
    among = f"{len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
    title = f"{section.title}, {among}"
    whole = Part(title, f"s{number}", short=title)
    whole.say(_setting(section))
    whole.warn(section.notes)
    pictures: list[Picture] = []
    for build in (_summary, _paper, _costs, _curves, _gallery, _weights, _provenance):
        part, drawn = build(section, f"s{number}", prefix, paper, same_data)
        whole.parts.append(part)
        pictures += drawn
    return whole, pictures


_Built = tuple[Part, list[Picture]]


def _setting(section: Section) -> str:
    config, data = section.results["config"], section.results["data"]
    counts = data.get("count") or {}
    said = [f"{counts[k]:,} images to {v}" for k, v in _PURPOSES.items() if k in counts]
    said += [f"{data['n_classes']} classes"] if "n_classes" in data else []
    for key, words in (
        ("image_size", "{} px"),
        ("epochs", "{} epochs"),
        ("candidate_size", "{} candidates a step"),
    ):
        if key in config:
            said.append(words.format(config[key]))
    if isinstance(config.get("filter_ratio"), int | float):
        said.append(f"{config['filter_ratio']:.0%} of them discarded")
    return f"{', '.join(said)}. Seeds: {', '.join(map(str, section.seeds))}."


_PURPOSES = {"train": "train on", "val": "validate", "test": "test"}


def _summary(
    section: Section, anchor: str, prefix: str, paper: PaperData, same_data: bool
) -> _Built:
    part = Part("Results", f"{anchor}-results", short="results")
    part.tabulate(summary_table(section))
    if len(section.seeds) > 1:
        part.say(
            "± is half of the 95% interval of Student's t over the seeds. Differences are "
            "taken seed by seed, over runs trained to the end; ▲ and ▼ mark those whose whole "
            "interval lies above or below 0. No correction is made for looking at several."
        )
    else:
        part.say("One seed only: no interval, and no difference can be told from chance.")
    part.say(
        "Accuracy is that after the last epoch: none was chosen by looking at test images. "
        "Training is the loop with its waits for selection and images, without evaluation; "
        "all charged adds what a method computes beforehand, and the features and the reference "
        "model that it needs."
    )
    pictures = [draw_ends(section, prefix), draw_against_time(section, prefix)]
    part.show(pictures)
    return part, pictures


def _paper(section: Section, anchor: str, prefix: str, paper: PaperData, same_data: bool) -> _Built:
    numbers = sorted(n for pair in paper.tables.values() for n in pair)
    title = f"The paper's tables {numbers[0]} to {numbers[-1]}"
    part = Part(title, f"{anchor}-paper", short=title[0].lower() + title[1:])
    if not same_data:
        part.warn(
            [
                f"A stand-in: ours was run on {section.data_name}, the paper's figures are of "
                f"{paper.name}. They stand beside each other for orientation; the numbers "
                "themselves cannot be compared."
            ]
        )
    part.say(
        f"The paper's figures ({SOURCE}) are as printed, of {paper.name}: {SETTING}. It gives "
        "no spread, does not say whether its times include the features, and calls fiedler "
        "SALN and full standard training."
    )
    part.tabulate(*paper_tables(section, paper))
    part.say(
        "Ours: train is measured on all training images, unchanged, after the last epoch; "
        "time is that of the training loop, features and reference model not included (they "
        "are under costs)."
    )
    unlike = differences(section.results, same_data, paper)
    if unlike:
        part.say("Where ours is not the paper's setting:")
        part.list(unlike)
    return part, []


def _costs(section: Section, anchor: str, prefix: str, paper: PaperData, same_data: bool) -> _Built:
    part = Part("Costs", f"{anchor}-costs", short="costs")
    part.tabulate(cost_table(section))
    part.say(
        "Epoch / full: median time of an epoch over that of the same epoch of full. "
        "Selection, share: part of the training loop spent waiting for it; its work may be "
        "done beside the loop. Amortized: the cost of features and of a reference model "
        "split evenly among the runs above that share them. A question mark: not recorded."
    )
    picture = draw_costs(section, prefix)
    part.show([picture])
    return part, [picture]


def _curves(
    section: Section, anchor: str, prefix: str, paper: PaperData, same_data: bool
) -> _Built:
    part = Part("Accuracy and loss by epoch", f"{anchor}-curves", short="curves")
    figures = sorted(paper.curves.values())
    part.say(
        f"The paper's figures {figures[0]} to {figures[-1]} are of this kind. Trained on: the "
        "running mean over the epoch's batches, that is, over the samples that the method "
        "chose, changed at random. Mean over the seeds, band from lowest to highest."
    )
    pictures = [draw_by_epoch(section, prefix, what) for what in ("accuracy", "loss")]
    for method in section.runs:
        name = printed_method(method)
        counterpart = f"figure {paper.curves[name]}" if name else None
        pictures += [
            draw_method(section, method, f"{prefix}-{slug(method)}", what, counterpart)
            for what in ("accuracy", "loss")
        ]
    part.show(pictures)
    return part, pictures


def _gallery(
    section: Section, anchor: str, prefix: str, paper: PaperData, same_data: bool
) -> _Built:
    part = Part("What was chosen", f"{anchor}-gallery", short="gallery")
    found, notes = _files(section, "gallery", read_gallery)
    pictures, whole = [], []
    for method in section.runs:
        if method not in found:
            continue
        run, batches = found[method]
        chosen: list[ShownBatch] = [batch for batch in batches if not batch.kept.all()]
        whole += [] if chosen else [method]
        pictures += [
            draw_batch(
                batch,
                method,
                run.seed,
                f"{prefix}-{slug(method)}-batch",
                f"as the paper's figure {paper.gallery}",
            )
            for batch in chosen
        ]
    if pictures:
        part.say(
            "Framed: trained on. Faded: discarded. All methods see the same candidates. The "
            f"paper's figure {paper.gallery} marks the upper half of a batch; here it is what "
            "the run kept. The order is that of the batch."
        )
        part.show(pictures)
    if whole:
        part.say(f"Every candidate was kept by: {', '.join(whole)}.")
    part.warn(notes)
    return part, pictures


def _weights(
    section: Section, anchor: str, prefix: str, paper: PaperData, same_data: bool
) -> _Built:
    part = Part("Weights of the last layer", f"{anchor}-weights", short="weights")
    found, notes = _files(section, "last_layer", read_last_layer)
    pictures: list[Picture] = []
    if found:
        seeds = {run.seed for run, _ in found.values()}
        part.say(
            f"After the last epoch of seed {', '.join(map(str, sorted(seeds)))}; colors and "
            "axes are the same for all methods. The paper's figures 9 and 10 show SALN's on "
            "Oxford-IIIT Pet."
        )
        layers: dict[str, LastLayer] = {method: layer for method, (_, layer) in found.items()}
        names = {method: f"{prefix}-{slug(method)}" for method in layers}
        pictures = draw_weights(layers, names)
        part.show(pictures)
    part.warn(notes)
    return part, pictures


def _files(
    section: Section, key: str, read: Callable[[Path], _T]
) -> tuple[dict[str, tuple[Run, _T]], list[str]]:
    """Return the first readable file of each method, and what is wrong with the others."""
    found: dict[str, tuple[Run, _T]] = {}
    notes, silent = [], []
    for method, runs in section.runs.items():
        named = [run for run in runs if run.record.get(key) is not None]
        if not named:
            silent.append(method)
        for run in named:
            try:
                found[method] = (run, read(find_inside(run.source.folder, run.record[key])))
            except (ValueError, OSError) as error:
                notes.append(f"Not shown of {method}, seed {run.seed}: {error}.")
            else:
                break
    if silent:
        notes.append(f"Not recorded by these runs: {', '.join(silent)}.")
    return found, notes


def _provenance(
    section: Section, anchor: str, prefix: str, paper: PaperData, same_data: bool
) -> _Built:
    part = Part("How it was run", f"{anchor}-run", short="how it was run")
    for source in section.sources:
        part.state(facts(source.results), f"Run folder {source.folder}")
    return part, []
