"""``.. benchmark:: NAME`` shows a table of results from a script in ``benchmarks``.

The tables come from the committed JSON files, so that no number is typed by hand. This module also
contains helpers for the other directives.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).parents[1]
BENCHMARKS = DOCS.parent / "benchmarks" / "results"
# Inside the source folder, because Sphinx copies images from there.
PICTURES = DOCS / "_build" / "curves"
DOWNLOADS = DOCS / "_build" / "tables"
MAX_COLUMNS = 8  # wider tables do not fit on the page; offer them as a download


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Return a table in reStructuredText; each cell must be a single line of text."""
    if len(head) > MAX_COLUMNS:
        raise ValueError(
            f"the table {caption!r} has {len(head)} columns, at most {MAX_COLUMNS} fit"
        )
    lines = [f".. list-table:: {caption}".rstrip(), "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'-' if place else '* -'} {cell}" for place, cell in enumerate(row)]
    return "\n".join("  " + line if line.startswith("   - ") else line for line in lines) + "\n"


def download(name: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a CSV file for the reader to download; return the link to it."""
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with (DOWNLOADS / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return f":download:`{name}.csv </_build/tables/{name}.csv>`"


def seconds(value: float) -> str:
    """Format a time with about three significant digits."""
    if value >= 1:
        return f"{value:,.{0 if value >= 100 else 1}f} s"
    return f"{value * 1e3:.3g} ms"


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
    texts = []
    for key, measure in {"ap": "average precision of the ranking", "f1": "F1 of the flags"}.items():
        rows = []
        for (data, kind), cells in groups.items():
            row = [data, kind]
            for name in names:
                values = [cell[key] for cell in cells if cell["method"] == name]
                row.append(f"{sum(values) / len(values):.2f}")
            rows.append(row)
        texts.append(table(["data", "mistakes", *names], rows, measure))
    return "\n".join(texts)


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


def label_speed(results: Mapping[str, Any]) -> str:
    """Return the table of time and memory of find_wrong_labels."""
    rows = []
    for case in results["cases"]:
        above = (case["peak_bytes"] - case["features_bytes"]) / 2**30
        rows.append(
            [
                f"{case['rows']:,} × {case['features']}",
                case["dtype"] + (", memory-mapped" if case["mapped"] else ""),
                f"{case['classes']:,}",
                case["graph"],
                seconds(case["seconds"]),
                f"{case['seconds'] / case['gram_seconds']:,.1f}",
                f"{above:.2f} GiB",
            ]
        )
    head = ["n × d", "features", "classes", "graph", "time", "times Gram"]
    return table([*head, "memory above the features"], rows)


def backbones(results: Mapping[str, Any]) -> str:
    """Return the table of backbones and their speed."""
    rows = [
        [
            f"``{one['backbone']}``",
            f"{one['library']} {one['library_version']}",
            f"{one['dim']:,}",
            f"{one['parameters'] / 1e6:.1f} M",
            f"{float(format(one['network_images_per_second'], '.3g')):,g}",
            f"{float(format(one['preprocessing_images_per_second'], '.3g')):,g}",
        ]
        for one in results["backbones"]
    ]
    head = ["backbone", "library", "length", "parameters", "network, images/s"]
    return table([*head, "preprocessing, images/s"], rows)


def time_to_accuracy(results: Mapping[str, Any]) -> str:
    """Return the table of each method's cost of nearly reaching the accuracy of full training."""
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


TABLES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "solver-single": ("solver_speed", solver_single),
    "solver-fit": ("solver_speed", solver_fit),
    "solver-epoch": ("solver_speed", solver_epoch),
    "solver-memory": ("solver_speed", solver_memory),
    "solver-gpu": ("solver_on_gpu", solver_on_gpu),
    "wrong-labels": ("wrong_labels", wrong_labels),
    "wrong-labels-images": ("wrong_labels_images", wrong_labels),
    "label-speed": ("label_speed", label_speed),
    "backbones": ("backbone_speed", backbones),
    "outliers": ("outliers", outliers),
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
    """Register the directive."""
    app.add_directive("benchmark", Benchmark)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
