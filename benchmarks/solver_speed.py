"""Speed of the Fiedler vector, compared with Algorithm 1, the Gram product and scikit-learn.

    python benchmarks/solver_speed.py                 # everything, about 5 minutes
    python benchmarks/solver_speed.py --only single   # single, fit, epoch, memory or stream
    python benchmarks/solver_speed.py --only fit --out fit.json

Features are synthetic: nonnegative, float32, in 10 clusters. Algorithm 1 of arXiv:2412.17069
runs in NumPy and float64. The Gram product, which any method needs, is computed in float32:
X·Xᵀ, or XᵀX if n > 2d. The two functions in a ratio are timed in turn in one process. The
ratio is computed within each turn, and the median is reported.
"""

import argparse
import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _harness import alternate, spread, table, write
from algorithm_1 import algorithm_1
from sklearn.manifold import spectral_embedding
from sklearn.metrics.pairwise import cosine_similarity
from threadpoolctl import threadpool_limits

from spectral_select import FiedlerBatchSelector, fiedler_vector

# n, d: minimum speed-up over Algorithm 1, and maximum multiple of the Gram product.
SINGLE = {
    (128, 2048): (5, 2.0),
    (512, 2048): (5, 1.5),
    (1024, 2048): (9, 1.4),
    (2048, 2048): (15, 1.4),
    (4096, 512): (700, 1.5),
    (50_000, 512): (None, 5.0),
}
# n, d: maximum multiple of the Gram product for `fit`, on one thread.
FIT = {
    (128, 2048): 2.7,
    (512, 512): 1.5,
    (512, 2048): 1.5,
    (1024, 2048): 1.5,
    (2048, 2048): 1.5,
    (4096, 512): 1.5,
}
FIT_SEEDS = 3
EPOCH = (391, 128, 2048)  # batches of n x d: an epoch of CIFAR-10
MEMORY = (50_000, 512)
STREAM = (1_000_000, 256)


def clusters(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Return nonnegative float32 features in 10 clusters."""
    rng = np.random.default_rng(seed)
    centers = np.abs(rng.standard_normal((10, d), dtype=np.float32))
    X = rng.standard_normal((n, d), dtype=np.float32)
    X *= 0.5
    X += centers[rng.integers(10, size=n)]
    return np.abs(X, out=X)


def gram(X: np.ndarray) -> np.ndarray:
    n, d = X.shape[-2:]
    transposed = X.swapaxes(-1, -2)
    return transposed @ X if n > 2 * d else X @ transposed


def embedding(X: np.ndarray) -> np.ndarray:
    return spectral_embedding(cosine_similarity(X), n_components=1, drop_first=True, random_state=0)


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> float:
    pairs = zip(seconds[above], seconds[below], strict=True)
    return float(np.median([a / b for a, b in pairs]))


def single() -> list[dict[str, Any]]:
    """Measure `fiedler_vector` on single batches."""
    results, rows = [], [["n x d", "ms: Gram", "ours", "Algorithm 1", "embedding", "x faster",
                          "at least", "ours / Gram", "at most"]]  # fmt: skip
    for (n, d), (faster, multiple) in SINGLE.items():
        X = clusters(n, d)
        # Time only two functions together, because busy-waiting threads of other libraries
        # (SciPy's BLAS, torch) would slow them down.
        ours, product = functools.partial(fiedler_vector, X), functools.partial(gram, X)
        seconds = alternate({"gram": product, "ours": ours}, 41 if n <= 1024 else 11)
        slow: dict[str, list[float]] = {}
        if n <= 4096:
            wide, turns = X.astype(np.float64), 21 if n <= 512 else 7 if n <= 2048 else 3
            reference = functools.partial(algorithm_1, wide)
            slow = alternate({"algorithm_1": reference, "ours": ours}, turns)
            slow["embedding"] = alternate({"_": functools.partial(embedding, X)}, turns)["_"]
        speedup = ratio(slow, "algorithm_1", "ours") if slow else None
        share = ratio(seconds, "ours", "gram")
        result = fiedler_vector(X)
        results.append({
            "n": n, "d": d, "seconds": seconds, "slow_seconds": slow,
            "times_faster_than_algorithm_1": speedup, "times_gram": share,
            "bar_faster": faster, "bar_gram": multiple,
            "n_iter": result.n_iter, "status": result.status.name,
        })  # fmt: skip
        rows.append([
            f"{n} x {d}", spread(seconds["gram"]), spread(seconds["ours"]),
            spread(slow["algorithm_1"]) if slow else "-",
            spread(slow["embedding"]) if slow else "-",
            f"{speedup:.1f}" if speedup else "-", str(faster or "-"), f"{share:.2f}",
            f"{multiple}",
        ])  # fmt: skip
    print("\nOne batch\n" + table(rows))
    return results


def fit() -> list[dict[str, Any]]:
    """Measure `FiedlerBatchSelector.fit` on single batches, on one thread.

    If float32 rounding makes it uncertain which rows are kept, `fit` also refines the vector in
    float64. This depends on the data, so several arrays of each size are measured.
    """
    results, rows = [], [["n x d", "seed", "ms: Gram", "fit", "fit / Gram", "at most"]]
    with threadpool_limits(1):
        for (n, d), multiple in FIT.items():
            for seed in range(FIT_SEEDS):
                X = clusters(n, d, seed)
                functions = {
                    "gram": functools.partial(gram, X),
                    "ours": functools.partial(FiedlerBatchSelector().fit, X),
                }
                seconds = alternate(functions, 41 if n <= 1024 else 11)
                share = ratio(seconds, "ours", "gram")
                results.append({"n": n, "d": d, "seed": seed, "seconds": seconds,
                                "times_gram": share, "bar_gram": multiple})  # fmt: skip
                times = [spread(seconds["gram"]), spread(seconds["ours"])]
                rows.append([f"{n} x {d}", str(seed), *times, f"{share:.2f}", f"{multiple}"])
    print("\nOne batch through fit, one thread\n" + table(rows))
    return results


def epoch(device: str) -> dict[str, Any]:
    """Measure `FiedlerBatchSelector.fit` on many batches in one call."""
    batches, n, d = EPOCH
    X = clusters(batches * n, d)
    stack = X.reshape(batches, n, d)

    def each_gram() -> None:
        for batch in stack:
            batch @ batch.T

    def ours() -> FiedlerBatchSelector:
        return FiedlerBatchSelector(candidate_size=n).fit(X)

    seconds = alternate({"gram": each_gram, "gram_stacked": lambda: gram(stack), "ours": ours}, 9)
    wide = stack.astype(np.float64)
    slow = alternate(
        {"algorithm_1": lambda: [algorithm_1(batch) for batch in wide], "ours": ours}, 5
    )
    tensors = alternate(_tensor_functions(stack, device), 9) if device != "none" else {}
    fastest = min(("gram", "gram_stacked"), key=lambda name: np.median(seconds[name]))
    summary = {
        "times_gram": ratio(seconds, "ours", fastest),
        "times_faster_than_algorithm_1": ratio(slow, "algorithm_1", "ours"),
        "bar_gram": 1.3,
        "bar_faster": 6,
    }
    rows = [[f"{batches} batches of {n} x {d}", "ms"]]
    rows += [[name, spread(values)] for name, values in seconds.items()]
    rows += [["algorithm_1", spread(slow["algorithm_1"])]]
    rows += [[name, spread(values)] for name, values in tensors.items()]
    rows += [["ours / Gram (at most 1.3)", f"{summary['times_gram']:.2f}"],
             ["x faster than Algorithm 1 (at least 6)",
              f"{summary['times_faster_than_algorithm_1']:.1f}"]]  # fmt: skip
    if tensors:
        summary["tensors_times_gram"] = ratio(tensors, f"ours_{device}", f"gram_{device}")
        rows.append([f"ours / Gram on {device} tensors", f"{summary['tensors_times_gram']:.2f}"])
    print("\nAn epoch in one call\n" + table(rows))
    return {"seconds": seconds, "slow_seconds": slow, "tensor_seconds": tensors, **summary}


def _tensor_functions(stack: np.ndarray, device: str) -> dict[str, Any]:
    import torch

    tensors = torch.from_numpy(stack).to(device)

    def waited(function: Any) -> Any:
        def run() -> None:
            function()
            if device == "cuda":
                torch.cuda.synchronize()

        return run

    return {
        f"gram_{device}": waited(lambda: tensors @ tensors.mT),
        f"ours_{device}": waited(lambda: fiedler_vector(tensors)),
    }


def peak_memory() -> dict[str, Any]:
    """Measure the peak memory of a solve with n > 2d, relative to the size of the features."""
    n, d = MEMORY
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        np.save(path, clusters(n, d))
        code = f"""
import sys, numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
from _harness import peak_resident_bytes
from spectral_select import fiedler_vector
fiedler_vector(np.random.default_rng(0).random((600, 100)))  # load what is needed on first use
X = np.load({str(path)!r})
before = peak_resident_bytes()
fiedler_vector(X)
print(before, peak_resident_bytes(), X.nbytes)
"""
        command = [sys.executable, "-c", code]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after, size = map(int, out.stdout.split())
    share = 1 + (after - before) / size
    print(f"\n{n} x {d}: peak memory {share:.2f} x the features (under 2.5)")
    return {"n": n, "d": d, "times_features": share}


def stream() -> dict[str, Any]:
    """Measure `fiedler_vector` on a memory-mapped array of clusters, as a single batch."""
    n, d = STREAM
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        X = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
        for start in range(0, n, 50_000):
            X[start : start + 50_000] = clusters(min(50_000, n - start), d, seed=start)
        X.flush()
        del X
        code = f"""
import sys, time, numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
from _harness import peak_resident_bytes
from spectral_select import fiedler_vector
X = np.load({str(path)!r}, mmap_mode="r")
start = time.perf_counter()
result = fiedler_vector(X)
seconds = time.perf_counter() - start
print(seconds, peak_resident_bytes() / 2**30, result.n_iter,
      result.status.name, result.error_bound)
"""
        out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.split()  # fmt: skip
    seconds, gib, n_iter, status, bound = out
    print(f"\n{n} x {d} memory-mapped: {float(seconds):.1f} s (under 60), "
          f"{float(gib):.2f} GiB resident (under 1.5 GB = 1.40 GiB), {n_iter} iterations, "
          f"{status}")  # fmt: skip
    return {"n": n, "d": d, "seconds": float(seconds), "resident_gib": float(gib),
            "n_iter": int(n_iter), "status": status, "error_bound": float(bound)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("single", "fit", "epoch", "memory", "stream")
    parser.add_argument("--only", choices=parts, help="run only one part")
    parser.add_argument("--device", default="cpu", help="device for tensors; none skips them")
    parser.add_argument(
        "--out", type=Path, help="default: benchmarks/results/solver_speed.json, for all parts"
    )
    arguments = parser.parse_args()
    chosen = [arguments.only] if arguments.only else parts
    runs = {
        "single": single,
        "fit": fit,
        "epoch": lambda: epoch(arguments.device),
        "memory": peak_memory,
        "stream": stream,
    }
    results = {name: runs[name]() for name in chosen}
    if arguments.out or not arguments.only:
        write(arguments.out or Path("benchmarks/results/solver_speed.json"), results)


if __name__ == "__main__":
    main()
