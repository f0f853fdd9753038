"""Time (relative to the Gram product that any filter needs) and memory of find_wrong_labels.

    python benchmarks/label_speed.py

Each case runs in a separate process, on one thread. The Gram product is X.T @ X in single
precision. Memory is the increase in peak resident memory, measured from before the features are
opened, so it includes the features. Memory-mapped features are first written to a temporary
folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
from _harness import median, peak_resident_bytes, table, write

from spectral_select import find_wrong_labels

RESULTS = Path("benchmarks/results/label_speed.json")

# Rows, features, classes, landmarks, dtype, whether the features are memory-mapped.
CASES = (
    (50_000, 512, 100, 0, "float32", False),
    (50_000, 512, 100, 1024, "float32", False),
    (50_000, 64, 2_000, 1024, "float32", False),
    (200_000, 64, 5_000, 1024, "float32", False),
    (1_000_000, 256, 1_000, 1024, "float32", True),
    (1_000_000, 256, 1_000, 1024, "float16", True),
    (1_000_000, 256, 1_000, 1024, "int8", True),
)
REPEATS = 3  # for cases with at most 100,000 rows
BLOCK = 50_000


def blocks(n: int, d: int, n_classes: int, dtype: str) -> Iterator[tuple]:
    """Yield blocks of nonnegative rows from overlapping classes, as after a ReLU, with labels."""
    rng = np.random.default_rng(0)
    centers, mix = rng.standard_normal((n_classes, 32)), rng.standard_normal((32, d)) / 6
    for start in range(0, n, BLOCK):
        labels = rng.integers(0, n_classes, min(BLOCK, n - start))
        rows = np.maximum((centers[labels] + rng.standard_normal((len(labels), 32))) @ mix, 0)
        scale = 30 if dtype == "int8" else 1
        yield np.minimum(scale * rows, 127).astype(dtype), labels


def make(folder: str, n: int, d: int, n_classes: int, dtype: str) -> None:
    """Write features and labels."""
    out = np.lib.format.open_memmap(Path(folder, "features.npy"), "w+", np.dtype(dtype), (n, d))
    labels = []
    for number, (rows, given) in enumerate(blocks(n, d, n_classes, dtype)):
        out[number * BLOCK : number * BLOCK + len(rows)] = rows
        labels.append(given)
    np.save(Path(folder, "labels.npy"), np.concatenate(labels))


def measure(case: list) -> dict[str, float | str]:
    """Measure one case in this process."""
    n, d, n_classes, n_landmarks, dtype, mapped = case
    with tempfile.TemporaryDirectory() as folder:
        # Create the features in a separate process, whose memory is not measured.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(make, folder, n, d, n_classes, dtype).result()
        before = peak_resident_bytes()
        X = np.load(Path(folder, "features.npy"), mmap_mode="r" if mapped else None)
        labels = np.load(Path(folder, "labels.npy"))
        some = np.asarray(X[:20_000], np.float32)
        gram = []
        for _ in range(7):
            start = perf_counter()
            some.T @ some
            gram.append(perf_counter() - start)
        seconds = []
        for _ in range(1 if n > 100_000 else REPEATS):
            start = perf_counter()
            found = find_wrong_labels(X, labels, n_landmarks=n_landmarks)
            seconds.append(perf_counter() - start)
        peak = peak_resident_bytes() - before
        return {
            "graph": found.graph,
            "seconds": median(seconds),
            "gram_seconds": median(gram) * n / len(some),
            "peak_bytes": peak,
            "features_bytes": n * d * np.dtype(dtype).itemsize,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", help="number of the case to run")
    parser.add_argument("--case", help="measure a case in this process and print it")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(json.loads(options.case))))
        return
    cases = CASES if options.only is None else (CASES[int(options.only)],)
    names = ("rows", "features", "classes", "landmarks", "dtype", "mapped")
    results = []
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    for case in cases:
        command = [sys.executable, __file__, "--case", json.dumps(case)]
        run = subprocess.run(
            command, env={**os.environ, **threads}, check=True, capture_output=True, text=True
        )
        results.append(dict(zip(names, case, strict=True)) | json.loads(run.stdout))
        print(results[-1], flush=True)
    write(options.out, {"cases": results})
    rows = [
        ["rows x features x classes", "landmarks", "graph", "seconds", "Gram", "above features"]
    ]
    for one in results:
        above = (one["peak_bytes"] - one["features_bytes"]) / 2**30
        shape = f"{one['rows']:,} x {one['features']} x {one['classes']:,} {one['dtype']}"
        ratio = one["seconds"] / one["gram_seconds"]
        rows.append([shape, str(one["landmarks"]), one["graph"], f"{one['seconds']:.1f}",
                     f"{ratio:.1f}", f"{above:.2f} GiB"])  # fmt: skip
    print(table(rows))


if __name__ == "__main__":
    main()
