"""Cost of the samplers: time that training waits for selection, and batches per second.

    python benchmarks/sampler_overhead.py             # about 5 minutes on 2 cores
    python benchmarks/sampler_overhead.py --quick     # a quick check, under a minute
    python benchmarks/sampler_overhead.py --scheduler # only the last measurement

The data are synthetic 32 px images (uint8, in memory) with 2048-d float32 features in 10
clusters. Batches of 128 are selected from 640 candidates. There are three measurements:

- training: an epoch of torchvision's ResNet-18 with SGD, with three kinds of batches in turn:
  selected in advance by a background thread, selected on request, and drawn by a random
  BatchSampler with the same number and size of batches. The share of time spent waiting is the
  sampler's `timings.wait_seconds` divided by the epoch's wall-clock time;
- loader: the same loaders without training;
- scheduler: seconds that `GuidedSampler` needs to schedule an epoch that visits a fifth of
  1,281,167 samples: for consecutive epochs, and for the first epoch of a new process that
  resumes.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import median, spread, table, write
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler
from torchvision.models import resnet18

from spectral_select import FiedlerBatchSelector, SpectralBatchSampler
from spectral_select._samplers.stride_scheduler import StrideScheduler

CANDIDATES, KEPT, WIDTH, CLASSES = 640, 128, 2048, 10
MOST_WAITING = 0.01
N_SAMPLES, SHARE = 1_281_167, 0.2  # ImageNet-1k
N_EPOCHS, RESUMED = 12, (3, 90, 1000)


class Images(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Random 32 px images, loaded a batch at a time."""

    def __init__(self, n: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)
        self.labels = torch.randint(CLASSES, (n,), generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[indices].float().div_(255), self.labels[indices]


def features(n: int) -> np.ndarray:
    """Return nonnegative float32 features in 10 clusters."""
    rng = np.random.default_rng(0)
    centers = np.abs(rng.standard_normal((CLASSES, WIDTH), dtype=np.float32))
    X = rng.standard_normal((n, WIDTH), dtype=np.float32)
    X *= 0.5
    X += centers[rng.integers(CLASSES, size=n)]
    return np.abs(X, out=X)


def samplers(X: np.ndarray, selector: Any) -> dict[str, Any]:
    """Return the samplers to compare."""
    n_batches = len(X) // CANDIDATES
    options = {"features": X, "selector": selector, "drop_last": True}
    return {
        "ahead": SpectralBatchSampler(None, KEPT, **options),
        "when asked": SpectralBatchSampler(None, KEPT, prefetch=0, **options),
        "random": BatchSampler(
            RandomSampler(range(len(X)), num_samples=n_batches * KEPT), KEPT, drop_last=True
        ),
    }


def trainer() -> Callable[[torch.Tensor, torch.Tensor], None]:
    """Return a function that performs one training step."""
    torch.manual_seed(0)
    model = resnet18(num_classes=CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def epochs(
    choices: dict[str, Any], dataset: Images, step: Callable[..., None], repeats: int, warm: int
) -> dict[str, dict[str, list[float]]]:
    """Run epochs of each kind in turn; return each epoch's total, waiting and solving seconds."""
    measured: dict[str, dict[str, list[float]]] = {
        name: {"epoch": [], "waited": [], "solving": []} for name in choices
    }
    loaders = {
        name: DataLoader(dataset, batch_sampler=batches, collate_fn=lambda batch: batch)
        for name, batches in choices.items()
    }
    for images, labels in loaders["random"]:  # warm up: threads, allocator, code paths
        step(images, labels)
        warm -= 1
        if warm <= 0:
            break
    list(choices["when asked"])
    for _ in range(repeats):
        for name, loader in loaders.items():
            start = time.perf_counter()
            for images, labels in loader:
                step(images, labels)
            measured[name]["epoch"].append(time.perf_counter() - start)
            timings = getattr(choices[name], "timings", None)
            measured[name]["waited"].append(timings.wait_seconds if timings else 0.0)
            measured[name]["solving"].append(timings.solve_seconds if timings else 0.0)
    return measured


def report(measured: dict[str, dict[str, list[float]]], n_batches: int) -> list[dict[str, Any]]:
    """Print a table of the measurements, and return the results to be written."""
    rows = [
        [
            "batches chosen",
            "epoch, ms",
            "batches / s",
            "waiting, ms",
            "solving, ms",
            "waiting / epoch",
        ]
    ]
    results = []
    for name, seconds in measured.items():
        shares = [w / e for w, e in zip(seconds["waited"], seconds["epoch"], strict=True)]
        rate = n_batches / median(seconds["epoch"])
        rows.append(
            [
                name,
                spread(seconds["epoch"]),
                f"{rate:.4g}",
                spread(seconds["waited"]),
                spread(seconds["solving"]),
                f"{100 * median(shares):.2f}%",
            ]
        )
        results.append(
            {
                "batches": name,
                "n_batches": n_batches,
                "batches_per_second": rate,
                "waiting_share": median(shares),
                "seconds": seconds,
            }
        )
    print(table(rows), flush=True)
    return results


def scheduler_cost(n: int, repeats: int) -> dict[str, Any]:
    """Measure and print the seconds to schedule an epoch, and to resume."""
    rng = np.random.default_rng(0)
    trust = np.log(np.maximum(rng.beta(5, 1, n), 0.01))
    hardness = 0.5 * np.log(np.maximum(rng.beta(1, 3, n), 0.05))
    order, n_visits = rng.permutation(n), int(SHARE * n)
    epochs: list[list[float]] = []
    resumes: dict[int, list[float]] = {epoch: [] for epoch in RESUMED}

    def new() -> StrideScheduler:
        return StrideScheduler(trust, lambda _: n_visits, 0, growing=hardness)

    def timed(scheduler: StrideScheduler, epoch: int) -> float:
        start = time.perf_counter()
        scheduler.select(epoch, order)
        return time.perf_counter() - start

    for _ in range(repeats):
        scheduler = new()
        epochs.append([timed(scheduler, epoch) for epoch in range(N_EPOCHS)])
        for epoch, seconds in resumes.items():
            seconds.append(timed(new(), epoch))
    rows = [["visits of GuidedSampler", "ms"]]
    rows.append([f"an epoch (of the first {N_EPOCHS})", spread([s for run in epochs for s in run])])
    rows += [[f"resuming at epoch {epoch}", spread(seconds)] for epoch, seconds in resumes.items()]
    print(table(rows), flush=True)
    return {"n": n, "share": SHARE, "epochs": epochs, "resumes": resumes}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=78, help="batches per epoch")
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each kind")
    parser.add_argument("--quick", action="store_true", help="10 batches, 2 epochs of each kind")
    parser.add_argument("--rule", default="extreme", help="the selector's rule")
    parser.add_argument("--laplacian", default="unnormalized", help="the selector's Laplacian")
    parser.add_argument("--samples", type=int, default=N_SAMPLES, help="samples to schedule")
    parser.add_argument("--scheduler", action="store_true", help="measure only the scheduler")
    parser.add_argument("--out", type=Path, default=Path("runs/sampler_overhead.json"))
    options = parser.parse_args()
    n_batches, repeats = (10, 2) if options.quick else (options.batches, options.repeats)
    if options.scheduler:
        write(options.out, {"scheduler": scheduler_cost(options.samples, repeats)})
        return

    n = n_batches * CANDIDATES
    X, dataset = features(n), Images(n)
    selector = FiedlerBatchSelector(
        1 - KEPT / CANDIDATES, rule=options.rule, laplacian=options.laplacian
    )
    print(f"training: ResNet-18, 32 px, {n_batches} batches of {KEPT} from {CANDIDATES}")
    training = report(epochs(samplers(X, selector), dataset, trainer(), repeats, 3), n_batches)
    print("\nloader without training")
    loader = report(
        epochs(samplers(X, selector), dataset, lambda *_: None, 3 * repeats, 3), n_batches
    )
    print()
    scheduler = scheduler_cost(options.samples, repeats)
    share = training[0]["waiting_share"]
    extra = median(training[0]["seconds"]["epoch"]) / median(training[2]["seconds"]["epoch"])
    print(
        f"\nTraining waits for selection {100 * share:.2f}% of an epoch "
        f"(at most {100 * MOST_WAITING:g}%); the epoch takes {extra:.3f} times as long as a "
        "random one."
    )
    configuration = {
        "candidates": CANDIDATES,
        "kept": KEPT,
        "width": WIDTH,
        "rule": options.rule,
        "laplacian": options.laplacian,
        "torch_threads": torch.get_num_threads(),
    }
    results = {"training": training, "loader": loader, "scheduler": scheduler}
    write(options.out, {"configuration": configuration, **results})


if __name__ == "__main__":
    main()
