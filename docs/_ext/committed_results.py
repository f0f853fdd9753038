"""Tables and pictures out of the committed JSON, so that no number is typed into a page.

``.. training-results::`` makes sections of the files in ``docs/results`` that
``spectral-select train`` wrote, and ``.. paper-results::`` sets them beside the SALN paper's
figures; ``.. training-table:: FILE`` is a short table of one of them. ``.. benchmark:: NAME``
makes a table of what a script in ``benchmarks`` wrote.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from spectral_select.integrations.report import FORMAT, draw_curves, read_results, summarize
from spectral_select.integrations.report.paper import differences, paper_data
from spectral_select.integrations.report.sections import Section, Source, pool
from spectral_select.integrations.report.tables import Table, paper_tables, summary_table

DOCS = Path(__file__).parents[1]
RESULTS = DOCS / "results"
BENCHMARKS = DOCS.parent / "benchmarks" / "results"
# Inside the source folder, because Sphinx copies images from there.
PICTURES = DOCS / "_build" / "curves"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Return a table in reStructuredText; every cell is text on one line."""
    lines = [f".. list-table:: {caption}".rstrip(), "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'-' if place else '* -'} {cell}" for place, cell in enumerate(row)]
    return "\n".join("  " + line if line.startswith("   - ") else line for line in lines) + "\n"


def training_results() -> list[tuple[Path, dict[str, Any]]]:
    """Return the results of training runs that are committed, by file name."""
    found = []
    for path in sorted(RESULTS.glob("*.json")):
        if json.loads(path.read_text(encoding="utf-8")).get("format") == FORMAT:
            found.append((path, read_results(path)))
    return found


def seconds(value: float) -> str:
    """Return a time with three digits that count."""
    if value >= 1:
        return f"{value:,.{0 if value >= 100 else 1}f} s"
    return f"{value * 1e3:.3g} ms"


def spread(values: Sequence[float], scale: float = 1.0, digits: int = 1) -> str:
    """Return the mean, and the standard deviation over the seeds if there are several."""
    if not values:
        return "–"
    text = f"{mean(values) * scale:.{digits}f}"
    return text + (f" ± {stdev(values) * scale:.{digits}f}" if len(values) > 1 else "")


def training_table(results: Mapping[str, Any]) -> str:
    """Return the table of one comparison."""
    rows = [
        [
            f"``{row['method']}``",
            f"{mean(row['samples']):,.0f}",
            f"{mean(row['steps']):,.0f}",
            seconds(mean(row["total"])),
            f"{median(row['relative']):.2f}" if row["relative"] else "–",
            seconds(mean(row["selection"])) if row["method"] != "full" else "–",
            spread(row["test"][0], 100),
            spread(row["test"][1], digits=3),
        ]
        for row in summarize(results)
    ]
    head = ["method", "samples trained on", "steps", "wall-clock", "epoch / full", "selection"]
    return table([*head, "test accuracy, %", "test loss"], rows)


def sections() -> list[Section]:
    """Return the committed runs, those of one configuration and dataset together."""
    found = pool([Source(path, results) for path, results in training_results()])
    return [section for section in found if section.runs]


def to_rst(found: Table) -> str:
    """Return a table of the report's, in reStructuredText."""
    width = len(found.head)
    head = list(found.head)
    place = 0
    for name, columns in found.groups:  # list tables have one row of heads
        for k in range(place, place + columns):
            head[k] = f"{head[k]}, {name}" if name else head[k]
        place += columns
    marks = {"above": " ▲", "below": " ▼"}
    rows = []
    for name, remark, cells in found.rows:
        first = f"``{name}``" + (f" ({remark})" if remark else "")
        texts = [cell.text + marks.get(cell.kind, "") for cell in cells]
        rows.append([first, *texts, *[""] * (width - 1 - len(texts))])
    return table(head, rows, found.caption)


def setting(section: Section) -> str:
    """Return what the runs of a section have in common, in a sentence."""
    results = section.results
    config, data, hardware = results["config"], results["data"], results["hardware"]
    seeds = section.seeds
    return (
        f"{data['count']['train']:,} training images of {data['n_classes']} classes at "
        f"{config['image_size']} px, weights {config['weights']}, {config['epochs']} epochs; "
        f"{config['candidate_size']} candidates a step, of which a share of "
        f"{config['filter_ratio']:.0%} is discarded; "
        + (f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds")
        + f"; {hardware.get('gpu') or hardware['processor']}, {hardware['cores']} cores."
    )


def heading(section: Section) -> list[str]:
    """Return the title of a section, told from others of the same network and data."""
    title = section.title
    if sum(other.title == title for other in sections()) > 1:
        title += f" ({', '.join(source.folder.stem for source in section.sources)})"
    return [title, "-" * len(title), ""]


def training_section(section: Section) -> str:
    """Return what one section came to: its setting, commands, table and curves."""
    lines = [*heading(section), setting(section), *section.notes, ""]
    for source in section.sources:
        lines += [".. code-block:: text", "", f"   {source.results['command']}", ""]
    lines += [to_rst(summary_table(section)), ""]
    for source in section.sources:
        name = source.folder.stem
        PICTURES.mkdir(parents=True, exist_ok=True)
        draw_curves(source.results, PICTURES / f"{name}.png")
        lines += [
            f".. figure:: /_build/curves/{name}.png",
            f"   :alt: Accuracy and loss of {section.title} by method, epoch and time",
            "",
            f"All numbers: :download:`{name}.json </results/{name}.json>`.",
            "",
        ]
    return "\n".join(lines)


def paper_section(section: Section) -> str:
    """Return one section's figures beside those that the paper prints."""
    paper, same_data = paper_data(section.results["data"]["name"])
    lines = [*heading(section), setting(section), ""]
    if not same_data:
        lines += [
            ".. warning::",
            "",
            f"   A stand-in: ours is of {section.data_name}, the paper's figures are of "
            f"{paper.name}. The numbers cannot be compared.",
            "",
        ]
    lines += ["Where ours is not the paper's setting:", ""]
    lines += [f"- {text}" for text in differences(section.results, same_data, paper)] + [""]
    lines += [to_rst(found) + "\n" for found in paper_tables(section, paper)]
    return "\n".join(lines)


def solver_single(results: Mapping[str, Any]) -> str:
    """Return the table of single batches."""
    rows = []
    for case in results["single"]:
        faster = case["times_faster_than_algorithm_1"]
        slow = case["slow_seconds"]
        rows.append(
            [
                f"{case['n']:,} × {case['d']:,}",
                seconds(median(case["seconds"]["gram"])),
                seconds(median(case["seconds"]["ours"])),
                seconds(median(slow["algorithm_1"])) if slow else "–",
                f"{faster:.3g}" if faster else "–",
                f"{case['times_gram']:.2f}",
                str(case["n_iter"] or "dense"),
            ]
        )
    head = ["n × d", "Gram product", "spectral_select", "Algorithm 1"]
    return table([*head, "times faster", "times Gram", "iterations"], rows)


def solver_epoch(results: Mapping[str, Any]) -> str:
    """Return the table of many batches in one call."""
    epoch = results["epoch"]
    fast, slow = epoch["seconds"], epoch["slow_seconds"]
    rows = [
        ["Gram products alone", seconds(median(fast["gram"]))],
        ["spectral_select", seconds(median(fast["ours"]))],
        ["Algorithm 1, batch by batch", seconds(median(slow["algorithm_1"]))],
    ]
    times = f"{epoch['times_gram']:.2f} times the Gram products, "
    times += f"{epoch['times_faster_than_algorithm_1']:.1f} times faster than Algorithm 1."
    return table(["many batches in one call", "median"], rows) + "\n" + times + "\n"


def solver_memory(results: Mapping[str, Any]) -> str:
    """Return the table of memory, and of a memory-mapped array."""
    memory, stream = results["memory"], results["stream"]
    rows = [
        [
            f"{memory['n']:,} × {memory['d']:,}, in memory",
            f"peak memory {memory['times_features']:.2f} times that of the features",
        ],
        [
            f"{stream['n']:,} × {stream['d']:,}, memory-mapped",
            f"{seconds(stream['seconds'])}, {stream['resident_gib']:.2f} GiB resident, "
            f"{stream['n_iter']} iterations",
        ],
    ]
    return table(["features", "cost"], rows)


def sampler_cost(part: str) -> Callable[[Mapping[str, Any]], str]:
    """Return the function that makes the table of one part of the sampler's results."""

    def make(results: Mapping[str, Any]) -> str:
        rows = [
            [case["batches"], f"{case['batches_per_second']:,.1f}", f"{case['waiting_share']:.1%}"]
            for case in results[part]
        ]
        return table(["batches chosen", "batches a second", "share of time waited for"], rows)

    return make


def time_to_accuracy(results: Mapping[str, Any]) -> str:
    """Return what each method spends to come near to training on everything."""
    rows = []
    for part in results["reached"]:
        for found in part["methods"]:
            shares = [found["cost_share"], found["seconds_share"]]
            rows.append(
                [
                    part["condition"],
                    f"{part['aim']:.1%}",
                    f"``{found['method']}``",
                    str(found["epochs"] or "–"),
                    *("not reached" if share is None else f"{share:.2f}" for share in shares),
                ]
            )
    head = ["condition", "accuracy aimed at", "method", "epochs", "cost / full"]
    return table([*head, "seconds / full"], rows, results["data"]["name"])


TABLES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "solver-single": ("solver_speed", solver_single),
    "solver-epoch": ("solver_speed", solver_epoch),
    "solver-memory": ("solver_speed", solver_memory),
    "sampler-training": ("sampler_overhead", sampler_cost("training")),
    "sampler-loader": ("sampler_overhead", sampler_cost("loader")),
    "time-caltech-101": ("time_caltech-101", time_to_accuracy),
    "time-cifar-10": ("time_cifar-10", time_to_accuracy),
}


def provenance(results: Mapping[str, Any]) -> str:
    """Return what a benchmark was run with, in one sentence."""
    hardware, versions = results["hardware"], results["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("python", "numpy", "scipy"))
    return (
        f"``{results['command']}`` on {hardware['cores']} cores ({hardware['cpu']}), "
        f"{hardware['memory_gib']} GiB; {packages}."
    )


class TrainingResults(SphinxDirective):
    """A section for each configuration whose results are committed."""

    make = staticmethod(training_section)

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        found = sections()
        if not found:
            raise ExtensionError(f"no training results in {RESULTS}")
        for source in (source for section in found for source in section.sources):
            self.env.note_dependency(str(source.folder))
        text = "\n".join(self.make(section) for section in found)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class PaperResults(TrainingResults):
    """The same sections, each beside what the SALN paper prints."""

    make = staticmethod(paper_section)


class TrainingTable(SphinxDirective):
    """The table of one committed file of training results, named without its ending."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        path = RESULTS / f"{self.arguments[0]}.json"
        self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(training_table(read_results(path)))


class Benchmark(SphinxDirective):
    """One table of a benchmark's committed results, or ``about`` it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        name = self.arguments[0]
        about = name.removesuffix("-about")
        file, make = TABLES.get(name, (about, provenance))
        path = BENCHMARKS / f"{file}.json"
        self.env.note_dependency(str(path))
        text = make(json.loads(path.read_text(encoding="utf-8")))
        return self.parse_text_to_nodes(text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("training-results", TrainingResults)
    app.add_directive("paper-results", PaperResults)
    app.add_directive("training-table", TrainingTable)
    app.add_directive("benchmark", Benchmark)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
