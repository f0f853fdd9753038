"""Speed of the Fiedler vector on a GPU, compared with the Gram product and with the CPU.

    python benchmarks/solver_on_gpu.py    # under a minute

The features are the same as in solver_speed.py. Three functions are timed in turn in one process.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import alternate, spread, table, write
from solver_speed import clusters, gram, ratio

from spectral_select import fiedler_vector

# Batches, rows, columns.
SHAPES = [
    (391, 128, 2048),
    (156, 320, 512),
    (1, 128, 2048),
    (1, 2048, 2048),
    (1, 4096, 512),
    (1, 50_000, 512),
]


def measure(b: int, n: int, d: int) -> dict[str, Any]:
    stack = clusters(b * n, d).reshape(b, n, d)
    X = stack if b > 1 else stack[0]
    tensor = torch.from_numpy(X).cuda()

    def on_gpu(function: Any) -> Any:
        def run() -> None:
            function(tensor)
            torch.cuda.synchronize()

        return run

    seconds = alternate(
        {
            "gram_gpu": on_gpu(gram),
            "fiedler_gpu": on_gpu(fiedler_vector),
            "fiedler_cpu": lambda: fiedler_vector(X),
        },
        7,
    )
    there, here = fiedler_vector(tensor), fiedler_vector(X)
    cosines = np.abs(np.sum(there.vector.cpu().numpy() * here.vector, -1))
    return {
        "batches": b, "n": n, "d": d, "seconds": seconds,
        "times_gram_gpu": ratio(seconds, "fiedler_gpu", "gram_gpu"),
        "times_faster_than_cpu": ratio(seconds, "fiedler_cpu", "fiedler_gpu"),
        "lowest_cosine_with_cpu": float(np.min(cosines)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/solver_on_gpu.json"))
    arguments = parser.parse_args()
    results = [measure(*shape) for shape in SHAPES]
    rows = [["b x n x d", "ms: Gram, GPU", "ours, GPU", "ours, CPU", "CPU / GPU", "cosine"]]
    rows += [
        [
            f"{each['batches']} x {each['n']} x {each['d']}",
            *(spread(values) for values in each["seconds"].values()),
            f"{each['times_faster_than_cpu']:.2f}",
            f"{each['lowest_cosine_with_cpu']:.6f}",
        ]
        for each in results
    ]
    print(table(rows))
    write(arguments.out, {"gpu": torch.cuda.get_device_name(), "results": results})


if __name__ == "__main__":
    main()
