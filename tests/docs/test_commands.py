"""Every command line of README, the documentation and ``--help`` runs."""

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from docs_helpers import PAGES as PAGE_FILES
from docs_helpers import ROOT, blocks, every_command_line, with_ray
from hub_helpers import hub_images
from PIL import Image
from pyarrow import csv
from safetensors.torch import save_file
from sentence_helpers import write_sentence_model
from text_helpers import write_texts
from torchvision.models import get_model

from spectral_select._cli.main import _COMMANDS, main
from spectral_select.integrations.commands.sweep_plan import read_plan

LINES = every_command_line()

# Options appended to those in the documentation; the last value of an option counts. They
# reduce sizes, replace downloaded weights with random weights, and disable progress bars. A
# network or file named in the documentation is kept.
EXTRACT = {
    "--backbone": "squeezenet1_1",
    "--weights": "random",
    "--image-size": "32",
    "--workers": "0",
}
TRAIN = {
    "--model": "squeezenet1_1",
    "--weights": "random",
    "--image-size": "24",
    "--epochs": "1",
    "--candidate-size": "20",
    "--backbone": "squeezenet1_1",
    "--backbone-weights": "random",
    "--backbone-size": "24",
}
# Datasets of features, for which the options of networks do not apply.
FEATURES = (".store", ".csv", ".npy", ".npz", ".parquet")
FEW = ["--train-size=60", "--val-fraction=0.02", "--test-fraction=0.02"]

# Constants and options that make each script in benchmarks/ run on small data.
BENCHMARKS = {
    "solver_speed": (
        {
            "SINGLE": {(64, 32): (5, 2)},
            "FIT": {(64, 32): 2.7},
            "EPOCH": (3, 64, 32),
            "MEMORY": (500, 16),
            "STREAM": (500, 16),
        },
        [],
    ),
    "sampler_overhead": (
        {"CANDIDATES": 40, "KEPT": 8, "WIDTH": 16, "N_SAMPLES": 2000},
        ["--batches=2", "--repeats=1"],
    ),
    "backbone_speed": (
        {"NETWORKS": ("squeezenet1_1", "timm:test_vit"), "SIZE": 32, "BATCH": 2, "REPEATS": 1},
        [],
    ),
    "parity": ({}, ["--sizes", "64", "--batches", "5"]),
    "accuracy_vs_budget": (
        {},
        [
            *("--methods", "random", "fiedler", "--conditions", "as-is", "--shares", "0.5"),
            *("--budgets", "steps", "--seeds", "2", "--tuning-seeds", "1", "--rates", "0.001"),
            *("--epochs", "1", "--candidate-size", "20"),
        ],
    ),
}

# Command lines that a page assumes to have been run.
SETUP = {
    "evidence/how_measured.rst": [
        "spectral-select extract photos --out train.store",
        "spectral-select extract photos --split test --out test.store",
    ],
    "--help": ["spectral-select extract photos --out photos.store"],
    "inspect --help": [
        "spectral-select extract texts.jsonl --label-column topic --out texts.store",
        "spectral-select extract photos --out photos.store",
        "spectral-select extract photos --out train.store",
        "spectral-select extract photos --split test --out test.store",
    ],
    "select --help": ["spectral-select extract photos --out store"],
    "train --help": ["spectral-select extract photos --out photos.store"],
    "report --help": [
        f"spectral-select train digits --methods random --seeds {seed} --out runs/{run}"
        for run, seed in (("demo", 0), ("seed0", 0), ("seed1", 1))
    ],
}

# Prefixes of command lines that are not run, with the reason.
NOT_RUN = {
    "make": "CI runs them",
    "pip": "CI and tests/package/test_install.py install the package",
    "python -m venv": "the Makefile does the same",
    "spectral-select extract cifar10": "torchvision checks the checksums of the download",
    "spectral-select extract photos --out dino.store": "the model is on a hub",
    "spectral-select extract photos --out clip.store": "the model is on a hub",
    "spectral-select extract photos --out vit.store": "the model is on a hub",
    "torchrun --nproc-per-node=4 -m spectral_select train photos --out runs/b": "a page runs it",
}


def arguments_of(line):
    return shlex.split(line, comments=True)


def is_run(line):
    """Return whether a line is a complete command that can run here."""
    names_a_command = line.removeprefix("spectral-select ") in _COMMANDS
    words = arguments_of(line)
    return not names_a_command and not any(
        words[: len(prefix.split())] == prefix.split() for prefix in NOT_RUN
    )


PAGES = {page: kept for page, lines in LINES.items() if (kept := list(filter(is_run, lines)))}


def write_photos(_):
    rng = np.random.default_rng(0)
    for label, name in enumerate(("beach", "forest", "street")):
        folder = Path("photos", name)
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 150, (30, 40, 3))
            pixels[..., label] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:02}.jpg")


def write_oxford_pet(_):
    """Write Oxford-IIIT Pet in the layout of torchvision."""
    images, annotations = (Path("data/oxford-iiit-pet", name) for name in ("images", "annotations"))
    images.mkdir(parents=True)
    annotations.mkdir()
    for part, numbers in (("trainval", range(60)), ("test", range(60, 70))):
        lines = []
        for i in numbers:
            breed = ("Bombay", "Pug")[i % 2]
            Image.new("RGB", (30, 30), (i, 90, 0)).save(images / f"{breed}_{i}.jpg")
            lines.append(f"{breed}_{i} {i % 2 + 1} 1 1\n")
        (annotations / f"{part}.txt").write_text("".join(lines))


def table():
    return np.random.default_rng(0).random((700, 16), dtype=np.float32)


def write_parquet(path):
    topics = [f"topic {i % 3}" for i in range(700)]
    texts = [f"text {i}" for i in range(700)]
    columns = {"embedding": list(table()), "topic": topics, "text": texts}
    pq.write_table(pa.table(columns), path)


def write_embedding_files(path):
    Path(path).mkdir(exist_ok=True)
    rows, labels = table(), np.arange(len(table())) % 3
    for number, part in enumerate(np.array_split(np.arange(len(rows)), 2)):
        columns = {"id": part, "embedding": list(rows[part]), "label": labels[part]}
        pq.write_table(pa.table(columns), Path(path, f"part-{number}.parquet"))


def write_csv(path):
    columns = {f"x{i}": column for i, column in enumerate(table()[:90].T)}
    csv.write_csv(pa.table(columns | {"kind": [f"kind {i % 3}" for i in range(90)]}), path)


def write_weights(path):
    network = path.split(".")[0].replace("squeezenet", "squeezenet1_0")
    save_file(get_model(network).state_dict(), path)


def write_sweep(path):
    """Write the sweep file from the pages, with fewer and smaller runs."""
    (shown,) = (code for page in PAGE_FILES for code in blocks(page, {"toml"}))
    plan = tomllib.loads(shown)
    assert read_plan_text(shown).runs
    options = "\n".join(
        f'{option.removeprefix("--")} = "{value}"'
        for option, value in TRAIN.items()
        if not option.startswith("--backbone")
    )
    Path(path).write_text(
        f"""
        [sweep]
        dataset = "{plan["sweep"]["dataset"]}"
        methods = {plan["sweep"]["methods"][1:3]}
        seeds = [0]
        filter_ratios = [0.5]
        [train]
        features = "{plan["train"]["features"]}"
        {options}
        """
    )


def read_plan_text(text):
    with NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        return read_plan(Path(file.name))


# Files that command lines need but do not write, by a pattern in the command line.
INPUTS = {
    r"\bphotos(?= |$)": ("photos", write_photos),
    r"\boxford-pet\b": ("data", write_oxford_pet),
    r"\w+\.npy\b": (None, lambda path: np.save(path, table())),
    r"\w+\.npz\b": (None, lambda path: np.savez(path, emb=table())),
    r"\w+\.parquet\b": (None, write_parquet),
    r"\w+\.safetensors\b": (None, write_weights),
    r"\w+\.toml\b": (None, write_sweep),
    r"\btexts\.jsonl\b": ("texts.jsonl", lambda path: write_texts(Path(path))),
    r"\bst:\S+": ("all-MiniLM-L6-v2", lambda path: write_sentence_model(Path(path))),
    r"\bhf-dataset:pets\b": ("pets", lambda path: hub_images(60).save_to_disk(path)),
    r"\btable\.csv\b": ("table.csv", write_csv),
    r"embeddings/\*\.parquet": ("embeddings", write_embedding_files),
}


def write_inputs(lines):
    without_outputs = [re.sub(r"--out \S+", "", line) for line in lines]
    for pattern, (path, write) in INPUTS.items():
        for word in {w for line in without_outputs for w in re.findall(pattern, line)}:
            write(path or word)


def smaller(command, arguments):
    """Return options that make a command small."""
    if command == "extract" and "texts.jsonl" in arguments:
        return ["--no-progress"]
    if command == "train" and arguments[1].endswith(FEATURES):
        return ["--epochs=1", "--candidate-size=20", "--no-progress"]
    if command == "extract":
        keep = {"--backbone"} & {*arguments}
        keep |= {"--weights"} if "--weights" in arguments else set()
        more = ["--train-size=20"] if "digits" in arguments else []
        changed = EXTRACT
    elif command == "train":
        keep = set()
        if "--features" in arguments:  # these options apply only without features
            keep = {"--backbone", "--backbone-weights", "--backbone-size"}
        more = FEW if "digits" in arguments else []
        more = [*more, "--no-download"]
        changed = TRAIN
    else:
        return []
    more.append("--no-progress")
    return [
        *more,
        *(f"{option}={value}" for option, value in changed.items() if option not in keep),
    ]


def run_program(arguments):
    assert main([*arguments, *smaller(arguments[0], arguments)]) == 0, arguments


def run_torchrun(arguments):
    """Run two ranks instead of four, on a free port."""
    ranks, *rest = arguments
    assert ranks.startswith("--nproc-per-node=")
    assert rest[:3] == ["-m", "spectral_select", "train"]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *(*rest, *smaller("train", rest)),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]


def run_benchmark(arguments, monkeypatch):
    """Run a script from benchmarks/ in this process, on small arrays."""
    path, *rest = arguments
    module = importlib.import_module(path.removeprefix("benchmarks/").removesuffix(".py"))
    assert module.__file__ == str(ROOT / path)
    constants, options = BENCHMARKS[module.__name__]
    for constant, value in constants.items():
        assert hasattr(module, constant)
        monkeypatch.setattr(module, constant, value)
    monkeypatch.setattr(sys, "argv", [path, *rest, *options])
    assert not module.main()


def run(line, monkeypatch):
    program, *arguments = arguments_of(line)
    if program == "spectral-select":
        run_program(arguments)
    elif program == "torchrun":
        run_torchrun(arguments)
    else:
        assert program == "python"
        run_benchmark(arguments, monkeypatch)
    if "--out" in arguments:
        assert Path(arguments[arguments.index("--out") + 1]).exists(), line


@pytest.mark.parametrize("page", with_ray(PAGES))
def test_command_lines_of_page_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    lines = [*SETUP.get(page, []), *PAGES[page]]
    write_inputs(lines)
    for line in lines:
        try:
            run(line, monkeypatch)
        except AssertionError as error:
            out, err = capsys.readouterr()
            raise AssertionError(f"{line}\n{out[-500:]}{err[-1000:]}") from error


def test_every_command_is_run():
    lines = [line for page_lines in PAGES.values() for line in page_lines]
    started = {tuple(arguments_of(line)[:2]) for line in lines}
    assert started >= {("spectral-select", command) for command in _COMMANDS}
    scripts = ("parity", "sampler_overhead", "solver_speed")
    assert started >= {("python", f"benchmarks/{name}.py") for name in scripts}
    assert any(line.startswith("torchrun ") for line in lines)


def test_excluded_command_lines_are_valid():
    lines = [line for page_lines in LINES.values() for line in page_lines]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for prefix in NOT_RUN:
        assert any(line.startswith(prefix) for line in lines), prefix
    for program, *rest in map(arguments_of, lines):
        if program == "make":
            assert re.search(rf"^{rest[0]}:", makefile, re.M), rest
        if program == "pip":
            assert rest[0] == "install"
            named = re.findall(r"[\w-]+", rest[1].partition("[")[2])
            assert {*named} <= {*extras["optional-dependencies"]}
