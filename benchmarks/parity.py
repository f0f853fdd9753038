"""Compare the selector with Algorithm 1 on random batches of real embeddings.

    python benchmarks/parity.py FEATURES.store [FEATURES.npy ...]

The selector receives float32 features; the reference is Algorithm 1 in float64. If the relative
gap (λ₃ − λ₂) / λ₂ exceeds 1e-4, the vector is well defined, and both must keep the same rows.
"""

import argparse
from pathlib import Path

import numpy as np
from _harness import table, write
from algorithm_1 import algorithm_1

from spectral_select import FiedlerBatchSelector
from spectral_select._features.readers import read_features


def compare(X: np.ndarray, size: int, batches: int) -> dict[str, float]:
    """Compare the kept rows in `batches` random batches of `size` rows."""
    rng = np.random.default_rng(size)
    rows = np.stack([rng.permutation(len(X))[:size] for _ in range(batches)])
    selector = FiedlerBatchSelector(candidate_size=size).fit(X[rows.ravel()])
    equal, gaps = [], []
    for batch, support in zip(rows, selector.support_.reshape(batches, size), strict=True):
        kept, gap = algorithm_1(X[batch].astype(np.float64))
        equal.append(set(kept.tolist()) == set(np.flatnonzero(support).tolist()))
        gaps.append(gap)
    defined = np.array(gaps) > 1e-4
    return {
        "size": size,
        "batches": batches,
        "well_defined": int(defined.sum()),
        "equal_where_well_defined": float(np.mean(np.array(equal)[defined])),
        "smallest_gap": float(min(gaps)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", nargs="+", type=Path, help="embedding stores or files")
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 64, 320, 640])
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/parity.json"))
    arguments = parser.parse_args()
    head = ["features", "batch size", "well defined", "of these, equal", "smallest gap"]
    rows, results = [head], []
    for path in arguments.features:
        try:
            X = np.asarray(read_features(path), np.float32)
        except (OSError, ValueError) as error:
            parser.error(str(error))
        for size in arguments.sizes:
            if size > len(X):
                print(f"{path} has only {len(X)} rows, so batches of {size} are skipped")
                continue
            result = compare(X, size, arguments.batches if size <= 320 else 40)
            results.append({"features": path.name, **result})
            rows.append([
                path.name, str(size), f"{result['well_defined']} of {result['batches']}",
                f"{result['equal_where_well_defined']:.2%}", f"{result['smallest_gap']:.1e}",
            ])  # fmt: skip
    print(table(rows))
    write(arguments.out, {"results": results})


if __name__ == "__main__":
    main()
