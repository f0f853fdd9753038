"""Made-up training results, in the form of results.json."""

import json
from pathlib import Path

from train_helpers import data_set

from spectral_select.integrations.report import FORMAT, Results
from spectral_select.integrations.report.run_groups import ResultsFolder, group_runs

SECONDS = {"full": 10.0, "random": 2.0, "fiedler": 2.5, "jest": 5.0}
NEEDS = {"fiedler": ["features"], "jest": ["fresh", "reference"]}


def epoch(number, method, seed):
    seconds = SECONDS[method.partition(":")[0]] * (1 + number)
    measured = {"count": 50, "accuracy": 0.5 + 0.1 * number + 0.01 * seed, "loss": 1.5 - number}
    return {
        "epoch": number,
        "steps": 7,
        "samples": 7 * (100 if method == "full" else 20),
        "lr": 0.1,
        "filter_ratio": 0.0 if method == "full" else 0.8,
        "loss": 2.0 - number,
        "accuracy": 0.4,
        "decoded": 3,
        "seconds": {
            "total": seconds,
            "selection": 0.25,
            "waiting": 0.1,
            "loading": 0.5,
            "training": seconds - 0.6,
            "evaluation": 1.0,
        },
        "val": measured,
        "test": measured,
    }


def results(methods=("full", "random", "fiedler"), seeds=(0,), epochs=2, status="complete"):
    """Return the content of a results.json."""
    runs = []
    for seed in seeds:
        for method in methods:
            history = [epoch(number, method, seed) for number in range(epochs)]
            final = None
            if status == "complete":
                final = {
                    "train": {"count": 100, "accuracy": 0.987, "loss": 0.0123},
                    "val": history[-1]["val"],
                    "test": history[-1]["test"],
                }
            runs.append(
                {
                    "method": method,
                    "seed": seed,
                    "needs": NEEDS.get(method.partition(":")[0], []),
                    "status": status,
                    "initial_weights": "0" * 64,
                    "history": history,
                    "final": final,
                }
            )
    return {
        "format": FORMAT,
        "status": status,
        "seeds": list(seeds),
        "config": {
            "model": "resnet18",
            "image_size": 32,
            "candidate_size": 100,
            "filter_ratio": 0.8,
        },
        "data": data_set().describe(),
        "features": {"source": "pixel values", "seconds": 33.0, "dim": 64},
        "reference": {"source": "resnet18 on 200 images", "seconds": 80.0},
        "runs": runs,
    }


def groups(*contents):
    """Return the groups of runs in results, each from a separate folder."""
    records = [Results.from_json(content) for content in contents]
    return group_runs([ResultsFolder(Path(f"run{i}"), one) for i, one in enumerate(records)])


def write_run(folder, content):
    """Write results.json into a new folder and return the folder."""
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(content))
    return folder
