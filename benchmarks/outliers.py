"""Compare how highly planted outliers rank by degree, Fiedler vector and nearest neighbors.

    python benchmarks/outliers.py digits wine breast_cancer
    python benchmarks/outliers.py photos=STORE other=STORE --out photos.json

There are three kinds of planted outliers, each 3% of the rows: random rows with the mean and
spread of each feature, rows that combine features of different samples and, for two image sets,
samples from the other set. The script reports the area under the ROC curve and the average
precision, as means over seeds.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _harness import table, write
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from spectral_select import EmbeddingStore, fiedler_vector, inspect_dataset
from spectral_select._dataset_graph.similarity_graph import Rows, unit_rows

RESULTS = Path("benchmarks/results/outliers.json")
TABULAR = ("digits", "wine", "breast_cancer")
SHARE = 0.03

Scores = NDArray[np.float64]


def ours(X: NDArray[Any]) -> Scores:
    return inspect_dataset(X).outlier_score


def degree(X: NDArray[Any]) -> Scores:
    """Score rows by how low their degree is in the graph of cosine similarities."""
    unit = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
    return np.asarray(-(unit @ unit.sum(0)), np.float64)


def fiedler(X: NDArray[Any]) -> Scores:
    """Score rows by the magnitude of their entries in the Fiedler vector, as Algorithm 1 does."""
    return np.abs(fiedler_vector(X).vector)


def neighbors(k: int) -> Callable[[NDArray[Any]], Scores]:
    """Score standardized rows of unit length by the mean distance to their k nearest rows."""

    def scores(X: NDArray[Any]) -> Scores:
        rows = unit_rows(Rows(X)[slice(None)])
        near = NearestNeighbors(n_neighbors=k + 1).fit(rows).kneighbors(rows)[0]
        return np.asarray(near[:, 1:].mean(1), np.float64)

    return scores


METHODS: dict[str, Callable[[NDArray[Any]], Scores]] = {
    "inspect_dataset": ours,
    "degree, cosine": degree,
    "Fiedler vector": fiedler,
    "1 neighbor": neighbors(1),
    "10 neighbors": neighbors(10),
}


def planted(
    X: NDArray[Any], kind: str, others: NDArray[Any] | None, seed: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the rows with outliers added, and a mask of the outliers."""
    rng = np.random.default_rng(seed)
    m = max(3, round(SHARE * len(X)))
    if kind == "random":
        odd = rng.normal(X.mean(0), X.std(0), (m, X.shape[1]))
    elif kind == "mixed":
        odd = np.column_stack([rng.permutation(column)[:m] for column in X.T])
    else:
        assert others is not None
        odd = others[rng.permutation(len(others))[:m]]
    is_odd = np.r_[np.zeros(len(X), bool), np.ones(len(odd), bool)]
    return np.vstack([X, odd]).astype(np.float32), is_odd


def load(source: str) -> tuple[str, NDArray[Any]]:
    """Return the name and features of a scikit-learn dataset or of NAME=STORE."""
    if source in TABULAR:
        return source, getattr(datasets, f"load_{source}")().data
    name, _, folder = source.partition("=")
    return name, np.asarray(EmbeddingStore.open(folder).features)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help=f"{', '.join(TABULAR)}, or two of NAME=STORE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    sets = dict(load(source) for source in options.data)
    stores = [name for name in sets if name not in TABULAR]
    cells = []
    for name, X in sets.items():
        others = next((sets[other] for other in stores if other != name), None)
        kinds = ["random", "mixed"] + (["other images"] if name in stores and others is not None
                                       else [])  # fmt: skip
        for kind in kinds:
            for method, score in METHODS.items():
                both = []
                for seed in range(options.seeds):
                    rows, is_odd = planted(X, kind, others, seed)
                    scores = score(rows)
                    both.append((roc_auc_score(is_odd, scores),
                                 average_precision_score(is_odd, scores)))  # fmt: skip
                area, precision = np.mean(both, axis=0)
                cell = {"data": name, "outliers": kind, "method": method}
                cells.append(cell | {"auroc": float(area), "ap": float(precision)})
    write(options.out, {"share": SHARE, "seeds": options.seeds, "cells": cells})
    rows = [["data, outliers", *METHODS]]
    for name, kind in dict.fromkeys((cell["data"], cell["outliers"]) for cell in cells):
        own = [cell for cell in cells if (cell["data"], cell["outliers"]) == (name, kind)]
        rows.append([f"{name}, {kind}", *(f"{c['auroc']:.2f} / {c['ap']:.2f}" for c in own)])
    print("AUROC / AP\n" + table(rows))


if __name__ == "__main__":
    main()
