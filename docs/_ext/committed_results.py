"""Tables and figures from the committed JSON files, so that no number is typed by hand.

``.. training-results:: PATTERN…`` writes one section for each group of runs that
``spectral-select train`` stored in ``docs/results``, from the files whose names match.
``.. paper-results::`` compares these runs with the numbers in the SALN paper.
``.. training-table:: FILE`` shows a short table for one file. ``.. benchmark:: NAME`` shows a table
of results from a script in ``benchmarks``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean, median
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from spectral_select.integrations.report import FORMAT, Results, draw_curves, read_results
from spectral_select.integrations.report.costs import cost_of
from spectral_select.integrations.report.intervals import mean_interval
from spectral_select.integrations.report.run_groups import (
    ResultsFolder,
    RunGroup,
    group_runs,
    relative_seconds,
)
from spectral_select.integrations.report.saln_paper import comparable, differences, paper_data
from spectral_select.integrations.report.tables import Table, paper_tables, summary_table

DOCS = Path(__file__).parents[1]
RESULTS = DOCS / "results"
BENCHMARKS = DOCS.parent / "benchmarks" / "results"
# Inside the source folder, because Sphinx copies images from there.
PICTURES = DOCS / "_build" / "curves"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Return a table in reStructuredText; each cell must be a single line of text."""
    lines = [f".. list-table:: {caption}".rstrip(), "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'-' if place else '* -'} {cell}" for place, cell in enumerate(row)]
    return "\n".join("  " + line if line.startswith("   - ") else line for line in lines) + "\n"


def training_results() -> list[tuple[Path, Results]]:
    """Return the committed training results with their paths."""
    return [
        (path, read_results(path))
        for path in sorted(RESULTS.glob("*.json"))
        if json.loads(path.read_text(encoding="utf-8")).get("format") == FORMAT
    ]


def seconds(value: float) -> str:
    """Format a time with about three significant digits."""
    if value >= 1:
        return f"{value:,.{0 if value >= 100 else 1}f} s"
    return f"{value * 1e3:.3g} ms"


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


def committed_groups(patterns: Sequence[str] = ("*",)) -> list[RunGroup]:
    """Return the committed runs, grouped by configuration and dataset."""
    groups = group_runs(
        [
            ResultsFolder(path, results)
            for path, results in training_results()
            if any(fnmatch(path.stem, pattern) for pattern in patterns)
        ]
    )
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
    return [title, "~" * len(title), ""]


def training_section(group: RunGroup) -> str:
    """Return the setting, commands, table and curves for one group."""
    lines = [*heading(group), setting(group), *group.notes, ""]
    for source in group.sources:
        lines += [".. code-block:: text", "", f"   {source.results.command}", ""]
    lines += [to_rst(summary_table(group)), ""]
    for source in group.sources:
        name = source.folder.stem
        PICTURES.mkdir(parents=True, exist_ok=True)
        draw_curves(source.results, PICTURES / f"{name}.png")
        lines += [
            f".. figure:: /_build/curves/{name}.png",
            f"   :alt: Accuracy and loss of {group.title} by method, epoch and time",
            "",
            f"All numbers: :download:`{name}.json </results/{name}.json>`.",
            "",
        ]
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


def solver_single(results: Mapping[str, Any]) -> str:
    """Return the table for single batches."""
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


def solver_fit(results: Mapping[str, Any]) -> str:
    """Return the table for `FiedlerBatchSelector.fit`, with the slowest case of each size."""
    cases: dict[str, list[Mapping[str, Any]]] = {}
    for case in results["fit"]:
        cases.setdefault(f"{case['n']:,} × {case['d']:,}", []).append(case)
    rows = []
    for size, seeds in cases.items():
        worst = max(seeds, key=lambda case: case["times_gram"])
        times = (seconds(median(worst["seconds"][name])) for name in ("gram", "ours"))
        rows.append([size, *times, f"{worst['times_gram']:.2f}"])
    return table(["n × d", "Gram product", "fit", "times Gram"], rows)


def solver_epoch(results: Mapping[str, Any]) -> str:
    """Return the table for many batches in one call."""
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
    """Return the table of memory use, for features in memory and memory-mapped features."""
    memory, stream = results["memory"], results["stream"]
    rows = [
        [
            f"{memory['n']:,} × {memory['d']:,}, in memory",
            f"peak memory {memory['times_features']:.2f} times the size of the features",
        ],
        [
            f"{stream['n']:,} × {stream['d']:,}, memory-mapped",
            f"{seconds(stream['seconds'])}, {stream['resident_gib']:.2f} GiB resident, "
            f"{stream['n_iter']} iterations",
        ],
    ]
    return table(["features", "cost"], rows)


def solver_on_gpu(results: Mapping[str, Any]) -> str:
    """Return the table for the solver on a GPU."""
    rows = []
    for case in results["results"]:
        times = (median(values) for values in case["seconds"].values())
        rows.append(
            [
                f"{case['batches']} × {case['n']:,} × {case['d']:,}",
                *map(seconds, times),
                f"{case['times_faster_than_cpu']:.2f}",
            ]
        )
    head = ["batches × n × d", "Gram product, GPU", "spectral_select, GPU", "spectral_select, CPU"]
    return table([*head, "CPU / GPU"], rows, results["gpu"])


def wrong_labels(results: Mapping[str, Any]) -> str:
    """Return the table on finding wrong labels, averaged over noise shares and seeds."""
    names = ("find_wrong_labels", "cleanlab, logistic")
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in results["cells"]:
        groups.setdefault((cell["data"], cell["kind"]), []).append(cell)
    rows = []
    for (data, kind), cells in groups.items():
        row = [data, kind]
        for key in ("ap", "f1"):
            for name in names:
                values = [cell[key] for cell in cells if cell["method"] == name]
                row.append(f"{sum(values) / len(values):.2f}")
        rows.append(row)
    measures = [f"{measure}, {name}" for measure in ("AP", "F1") for name in names]
    return table(["data", "mistakes", *measures], rows)


def outliers(results: Mapping[str, Any]) -> str:
    """Return the table of the average precision of planted outliers."""
    methods = list(dict.fromkeys(cell["method"] for cell in results["cells"]))
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in results["cells"]:
        rows.setdefault((cell["data"], cell["outliers"]), []).append(f"{cell['ap']:.2f}")
    return table(["data", "outliers", *methods], [[*key, *row] for key, row in rows.items()])


def sampler_cost(part: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function that builds the table for one part of the sampler results."""

    def make(results: Mapping[str, Any]) -> str:
        rows = [
            [case["batches"], f"{case['batches_per_second']:,.1f}", f"{case['waiting_share']:.1%}"]
            for case in results[part]
        ]
        return table(["selection", "batches per second", "share of time spent waiting"], rows)

    return make


def time_to_accuracy(results: Mapping[str, Any]) -> str:
    """Return the table of what each method costs to come close to full training's accuracy."""
    rows = []
    for part in results["reached"]:
        for entry in part["methods"]:
            shares = [entry["cost_share"], entry["seconds_share"]]
            rows.append(
                [
                    part["condition"],
                    f"{part['aim']:.1%}",
                    f"``{entry['method']}``",
                    str(entry["epochs"] or "–"),
                    *("not reached" if share is None else f"{share:.2f}" for share in shares),
                ]
            )
    head = ["condition", "target accuracy", "method", "epochs", "cost relative to full"]
    return table([*head, "time relative to full"], rows, results["data"]["name"])


def backbones(results: Mapping[str, Any]) -> str:
    """Return the table of backbones and their speed."""
    rows = [
        [
            f"``{one['backbone']}``",
            f"{one['library']} {one['library_version']}",
            f"{one['dim']:,}",
            f"{one['parameters'] / 1e6:.1f} M",
            f"{one['network_images_per_second']:.3g}",
            f"{one['preprocessing_images_per_second']:.3g}",
        ]
        for one in results["backbones"]
    ]
    head = ["backbone", "library", "embedding length", "parameters", "network, images/s"]
    return table([*head, "preprocessing, images/s"], rows)


TABLES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "solver-single": ("solver_speed", solver_single),
    "solver-fit": ("solver_speed", solver_fit),
    "solver-epoch": ("solver_speed", solver_epoch),
    "solver-memory": ("solver_speed", solver_memory),
    "solver-gpu": ("solver_on_gpu", solver_on_gpu),
    "wrong-labels": ("wrong_labels", wrong_labels),
    "wrong-labels-images": ("wrong_labels_images", wrong_labels),
    "outliers": ("outliers", outliers),
    "backbones": ("backbone_speed", backbones),
    "sampler-training": ("sampler_overhead", sampler_cost("training")),
    "sampler-loader": ("sampler_overhead", sampler_cost("loader")),
    "time-caltech-101": ("time_caltech-101", time_to_accuracy),
    "time-cifar-10": ("time_cifar-10", time_to_accuracy),
}


def provenance(results: Mapping[str, Any]) -> str:
    """Describe the command, hardware and versions of a benchmark in one sentence."""
    hardware, versions = results["hardware"], results["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("python", "numpy", "scipy"))
    return (
        f"``{results['command']}`` on {hardware['cores']} cores ({hardware['cpu']}), "
        f"{hardware['memory_gib']} GiB; {packages}."
    )


class TrainingResults(SphinxDirective):
    """A section for each group of committed runs."""

    optional_arguments = 1
    final_argument_whitespace = True
    make = staticmethod(training_section)

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        groups = committed_groups((self.arguments or ["*"])[0].split())
        if not groups:
            raise ExtensionError(f"no training results in {RESULTS}")
        for source in (source for group in groups for source in group.sources):
            self.env.note_dependency(str(source.folder))
        text = "\n".join(self.make(group) for group in groups)
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


class Benchmark(SphinxDirective):
    """One table of committed benchmark results; ``NAME-about`` shows their provenance."""

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
