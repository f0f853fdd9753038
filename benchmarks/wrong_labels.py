"""Compare find_wrong_labels with cleanlab and with nearest-neighbor votes.

    python benchmarks/wrong_labels.py digits wine breast_cancer iris --seeds 5
    python benchmarks/wrong_labels.py photos=STORE --seeds 2 --out photos.json
    python benchmarks/wrong_labels.py --table --out photos.json

Wrong labels are added in three ways (``_label_errors.py``), with shares of 5, 10, 20 and 40%. The
results contain the area under the ROC curve and the average precision of each ranking, the F1
score of the labels flagged by default, the estimated share of wrong labels, and the time in
seconds. cleanlab (``pip install cleanlab``) receives probabilities from logistic regression or
from 10 nearest neighbors, with five-fold cross-validation.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from _harness import table, write
from _label_errors import KINDS, with_errors
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from spectral_select import EmbeddingStore, find_wrong_labels

SHARES = (0.05, 0.1, 0.2, 0.4)
TABULAR = ("digits", "wine", "breast_cancer", "iris")
RESULTS = Path("benchmarks/results/wrong_labels.json")
N_NEIGHBORS = 10

Found = tuple[NDArray[Any], NDArray[np.bool_], float]  # suspicion, flags, estimated share


def ours(X: NDArray[Any], y: NDArray[np.int64]) -> Found:
    found = find_wrong_labels(X, y)
    return 1 - found.trust, found.wrong, found.noise_rate


def neighbors(X: NDArray[Any], y: NDArray[np.int64]) -> Found:
    """Let the ten nearest neighbors by cosine similarity vote, as in SimiFeat."""
    index = NearestNeighbors(n_neighbors=N_NEIGHBORS + 1, metric="cosine").fit(X)
    near = index.kneighbors(X, return_distance=False)[:, 1:]
    votes = np.stack([(y[near] == label).mean(1) for label in range(int(y.max()) + 1)], 1)
    rows = np.arange(len(y))
    flags = votes.argmax(1) != y
    return votes.max(1) - votes[rows, y] - votes[rows, y] / 100, flags, float(flags.mean())


def cleanlab(model: Any) -> Callable[[NDArray[Any], NDArray[np.int64]], Found]:
    """Return a function that finds wrong labels with a classifier and cleanlab's defaults."""
    from cleanlab.count import estimate_joint
    from cleanlab.filter import find_label_issues

    def find(X: NDArray[Any], y: NDArray[np.int64]) -> Found:
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        Z = StandardScaler().fit_transform(X)
        P = cross_val_predict(model, Z, y, cv=folds, method="predict_proba")
        flags = find_label_issues(y, P, n_jobs=1)
        share = 1 - float(np.trace(estimate_joint(y, P)))
        return 1 - P[np.arange(len(y)), y], flags, share

    return find


def methods() -> dict[str, Callable[[NDArray[Any], NDArray[np.int64]], Found]]:
    found: dict[str, Any] = {
        "find_wrong_labels": ours,
        "10 neighbors": neighbors,
    }
    try:
        import cleanlab as _  # noqa: F401
    except ImportError:
        print("cleanlab is not installed, so its columns are missing")
        return found
    found["cleanlab, logistic"] = cleanlab(LogisticRegression(max_iter=300))
    found["cleanlab, neighbors"] = cleanlab(KNeighborsClassifier(N_NEIGHBORS))
    return found


def load(source: str) -> tuple[str, NDArray[Any], NDArray[np.int64]]:
    """Return the name, features and labels of a scikit-learn dataset or of NAME=STORE."""
    if source in TABULAR:
        X, y = getattr(datasets, f"load_{source}")(return_X_y=True)
        return source, X.astype(np.float32), y.astype(np.int64)
    name, _, folder = source.partition("=")
    store = EmbeddingStore.open(folder)
    if store.labels is None:
        raise ValueError(f"{folder} has no labels")
    return name, np.asarray(store.features), np.asarray(store.labels)


def measure(find: Any, X: NDArray[Any], given: NDArray[np.int64], wrong: NDArray[np.bool_]) -> Any:
    start = perf_counter()
    suspicion, flags, share = find(X, given)
    seconds = perf_counter() - start
    top = np.argsort(-suspicion, kind="stable")[: wrong.sum()]
    both = 2 * float((flags & wrong).sum())
    return {
        "auroc": float(roc_auc_score(wrong, suspicion)),
        "ap": float(average_precision_score(wrong, suspicion)),
        "precision_at_k": float(wrong[top].mean()),
        "f1": both / max(int(flags.sum() + wrong.sum()), 1),
        "estimated_share": share,
        "seconds": seconds,
    }


def run(options: argparse.Namespace) -> None:
    cells: list[dict[str, Any]] = []
    for source in options.data:
        name, X, y = load(source)
        for kind in KINDS:
            for share in SHARES:
                for seed in range(options.seeds):
                    given = with_errors(X, y, kind, share, seed)
                    wrong = given != y
                    for method, find in methods().items():
                        found = measure(find, X, given, wrong)
                        cell = {"data": name, "kind": kind, "share": share, "seed": seed}
                        cell |= {"wrong": float(wrong.mean()), "method": method}
                        cells.append(cell | found)
        write(options.out, {"neighbors": N_NEIGHBORS, "cells": cells})
    show(cells)


def show(cells: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(cell["method"] for cell in cells))
    rows = [["data, errors", "wrong", *names]]
    groups: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["data"], cell["kind"], cell["share"]), []).append(cell)
    for (data, kind, _), group in groups.items():
        row = [f"{data}, {kind}", f"{np.mean([cell['wrong'] for cell in group]):.2f}"]
        for name in names:
            own = [cell for cell in group if cell["method"] == name]
            row.append(" / ".join(f"{np.mean([cell[key] for cell in own]):.3f}"
                                  for key in ("auroc", "ap", "f1", "estimated_share")))  # fmt: skip
        rows.append(row)
    print("AUROC / AP / F1 of the default flags / estimated share\n" + table(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", help=f"{', '.join(TABULAR)} or NAME=STORE")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="show the results in --out")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # from cleanlab and from models that did not converge
    if options.data:
        run(options)
    elif options.table:
        show(json.loads(options.out.read_text())["cells"])
    else:
        parser.error("data or --table is required")


if __name__ == "__main__":
    main()
