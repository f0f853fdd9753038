"""A comparison as a user sees it: progress on the terminal, results on disk."""

import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spectral_select import n_kept
from spectral_select._files import write_json_atomically
from spectral_select._progress import progress_bar
from spectral_select.integrations.datasets import ImageDataset
from spectral_select.integrations.methods import Method
from spectral_select.integrations.provenance import describe_hardware, describe_versions
from spectral_select.integrations.report import FORMAT, draw_curves, format_table
from spectral_select.integrations.train import compare
from spectral_select.integrations.train_config import TrainConfig

__all__ = ["Comparison"]


class Comparison:
    """A comparison of methods, shown while it goes on and on disk after every epoch.

    Parameters
    ----------
    out : Path
        Folder for ``results.json`` and ``curves.png``; results that are there already
        become ``results.previous.json``.
    config : TrainConfig
        What the methods share.
    data : ImageDataset
        The data set.
    methods : list of Method
        The methods.
    seeds : list of int
        One run of each method from each.
    features : array of shape (n, d), optional
        Of the training images.
    origin : dict
        What is known of the features: ``source``, ``seconds``, ``dim``.
    progress : bool, optional
        Whether to show a progress bar; by default on a terminal.
    """

    def __init__(
        self,
        out: Path,
        config: TrainConfig,
        data: ImageDataset,
        methods: list[Method],
        seeds: list[int],
        *,
        features: Any = None,
        origin: dict[str, Any],
        progress: bool | None = None,
    ) -> None:
        self.out, self.config, self.data, self.progress = out, config, data, progress
        self.methods, self.seeds, self.features = methods, seeds, features
        self.results: dict[str, Any] = {
            "format": FORMAT,
            "status": "running",
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "finished": None,
            "versions": describe_versions(),
            "hardware": describe_hardware(config.device),
            "config": config.describe(),
            "methods": [method.name for method in methods],
            "seeds": seeds,
            "data": data.describe(),
            "features": origin,
            "runs": [],
        }
        self.bar: Any = None
        self._epoch = (-1, "", 0)  # whose sums the four below are
        self._seen = self._correct = self._loss = self._shown = 0.0

    def run(self) -> int:
        """Train, report, and return the exit status."""
        for name in ("results.json", "curves.png"):
            old = self.out / name
            if old.is_file():
                old.replace(old.with_name(f"{old.stem}.previous{old.suffix}"))
        self._announce()
        status, interrupted = "failed", False
        per_epoch = len(self.data.train) // self.config.candidate_size
        kept = [self._kept(method) for method in self.methods]
        total = sum(kept) * per_epoch * self.config.epochs * len(self.seeds)
        try:
            with progress_bar(total, unit="images", enabled=self.progress) as self.bar:
                compare(
                    self.config,
                    self.data,
                    self.methods,
                    features=self.features,
                    seeds=self.seeds,
                    on_step=self._on_step,
                    on_epoch=self._on_epoch,
                )
            status = "complete"
        except KeyboardInterrupt:
            status, interrupted = "interrupted", True
        finally:
            self.results["status"] = status
            self.results["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
            self._write()
        print(f"\n{format_table(self.results)}\n")
        self._draw()
        return 130 if interrupted else 0

    def _kept(self, method: Method) -> int:
        ratio = method.filter_ratio(self.config.filter_ratio)
        return n_kept(self.config.candidate_size, ratio)

    def _announce(self) -> None:
        config, data = self.config, self.data
        kept = ", ".join(f"{method.name} {self._kept(method)}" for method in self.methods)
        print(
            f"{config.model} on {data.name}: {len(data.train)} images to train on, "
            f"{len(data.val)} to validate, {len(data.test)} to test, "
            f"{len(data.classes)} classes, {config.image_size} px, {config.device}\n"
            f"samples a step, of {config.candidate_size} candidates: {kept}\n"
            "accuracy on the validation images (seconds of the epoch):",
            flush=True,
        )

    def _on_step(self, method: str, seed: int, epoch: int, n: int, loss: Any, right: Any) -> None:
        now = time.perf_counter()
        if self._epoch != (seed, method, epoch):
            self._epoch = (seed, method, epoch)
            self._seen = self._correct = self._loss = 0.0
        self._seen += n
        self._correct = self._correct + right  # tensors, so that a GPU need not be waited for
        self._loss = self._loss + n * loss
        self.bar.update(n)
        if now - self._shown > 0.2:
            self._shown = now
            self.bar.set_postfix(
                method=method,
                epoch=f"{epoch + 1}/{self.config.epochs}",
                loss=f"{float(self._loss) / self._seen:.3f}",
                accuracy=f"{100 * float(self._correct) / self._seen:.1f}%",
            )

    def _on_epoch(self, runs: list[dict[str, Any]]) -> None:
        self.results["runs"] = runs
        self._write()
        now = runs[-len(self.methods) :]
        epoch = len(now[0]["history"])
        cells = []
        for run in now:
            record = run["history"][-1]
            part = record["val"] if record["val"]["accuracy"] is not None else record["test"]
            accuracy = part["accuracy"]
            shown = "-" if accuracy is None else f"{100 * accuracy:5.1f} %"
            cells.append(f"{run['method']} {shown} ({record['seconds']['total']:.1f} s)")
        seed = f"seed {now[0]['seed']}, " if len(self.seeds) > 1 else ""
        _say(f"{seed}epoch {epoch:>2}/{self.config.epochs}   " + "   ".join(cells))

    def _write(self) -> None:
        write_json_atomically(self.out / "results.json", self.results)

    def _draw(self) -> None:
        print(f"{self.out / 'results.json'}: everything about this run")
        if not any(run["history"] for run in self.results["runs"]):
            return
        try:
            draw_curves(self.results, self.out / "curves.png")
        except ModuleNotFoundError as error:
            if error.name != "matplotlib":
                raise
            print("curves.png needs matplotlib: pip install 'spectral_select[report]'")
        else:
            print(f"{self.out / 'curves.png'}: accuracy and loss, by epoch and by time")


def _say(line: str) -> None:
    """Print a line; a progress bar moves out of its way."""
    try:
        from tqdm import tqdm
    except ImportError:
        print(line, flush=True)
    else:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
