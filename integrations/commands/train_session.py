"""Run a comparison for the user: progress on the terminal, results on disk."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save

from spectral_select._utils.atomic_files import remove_leftovers, write_atomically
from spectral_select._utils.manifest import Manifest
from spectral_select._utils.progress_bar import progress_bar
from spectral_select.integrations.data.labeled_dataset import LabeledDataset
from spectral_select.integrations.methods import Method
from spectral_select.integrations.records.results import read_results, write_results
from spectral_select.integrations.records.run_files import run_name
from spectral_select.integrations.records.run_records import (
    DataRecord,
    InputRecord,
    Results,
    RunRecord,
)
from spectral_select.integrations.report import draw_curves, format_table
from spectral_select.integrations.runtime.distributed import ONE, current_ranks
from spectral_select.integrations.runtime.interrupts import Interrupt
from spectral_select.integrations.runtime.provenance import (
    describe_command,
    describe_hardware,
    describe_versions,
)
from spectral_select.integrations.training.artifacts import save_shown
from spectral_select.integrations.training.budget import Budget
from spectral_select.integrations.training.checkpoints import Checkpoints, identity, settings_of
from spectral_select.integrations.training.comparison import compare
from spectral_select.integrations.training.config import TrainConfig
from spectral_select.integrations.training.reference_model import Reference
from spectral_select.integrations.training.tensorboard_log import Scalars
from spectral_select.integrations.training.trainer import Trainer

__all__ = ["Comparison", "OutputOptions", "check_resumable"]

_FOLDERS = ("checkpoints", "gallery", "last_layer", "models")


@dataclass(frozen=True)
class OutputOptions:
    """Which files a comparison writes besides its results, and whether to resume it.

    Attributes
    ----------
    resume : bool
        Whether to resume the unfinished comparison in the folder, if there is one.
    checkpoint_every : int or None
        Number of steps between two checkpoints of a run; None saves one after each epoch.
    keep_checkpoints : bool
        Whether to keep checkpoints when all runs are complete.
    save_models : bool
        Whether to save final weights, to ``models/METHOD-seedS.safetensors``.
    tensorboard : bool
        Whether to log each epoch for TensorBoard, to ``tensorboard/METHOD-seedS``.
    """

    resume: bool = False
    checkpoint_every: int | None = None
    keep_checkpoints: bool = False
    save_models: bool = False
    tensorboard: bool = False


class Comparison:
    """A comparison of methods that reports progress and saves results after every epoch.

    Parameters
    ----------
    out : Path
        Folder for ``results.json`` and ``curves.png``; existing results are renamed to
        ``results.previous.json``.
    config : TrainConfig
        The configuration that the methods share.
    data : LabeledDataset
        The dataset.
    methods : list of Method
        The methods.
    seeds : list of int
        Seeds; each method is trained once per seed.
    features : array of shape (n, d), optional
        Features of the training data.
    origin : InputRecord
        Origin of the features.
    reference : Reference, optional
        The reference model, for methods that need one.
    progress : bool, optional
        Whether to show a progress bar; by default, only on a terminal.
    options : OutputOptions, optional
        Files to write besides the results; by default, only checkpoints, which are removed at the
        end.

    Attributes
    ----------
    results : Results
        The content of ``results.json``.
    """

    def __init__(
        self,
        out: Path,
        config: TrainConfig,
        data: LabeledDataset,
        methods: list[Method],
        seeds: list[int],
        *,
        features: Any = None,
        origin: InputRecord,
        reference: Reference | None = None,
        progress: bool | None = None,
        options: OutputOptions | None = None,
    ) -> None:
        self.out, self.config, self.data, self.progress = out, config, data, progress
        self.methods, self.seeds, self.features = methods, seeds, features
        self.reference = reference
        self.results = _new_results(config, data, methods, seeds, origin, reference)
        self.options = OutputOptions() if options is None else options
        self.results.models = "models" if self.options.save_models else None
        self._ranks = current_ranks() if config.n_ranks > 1 else ONE
        self._checkpoints = Checkpoints(
            out,
            every=self.options.checkpoint_every,
            keep=self.options.keep_checkpoints,
            ranks=self._ranks,
        )
        self._budgets = {m.spec: Budget.of(m, config, len(data.train)) for m in methods}
        self.bar: Any = None
        self._scalars: Scalars | None = None
        self._epoch = (-1, "", 0)  # the epoch that the sums below belong to
        self._seen = self._correct = self._loss = self._shown = 0.0

    def run(self) -> int:
        """Train, report, and return the exit status."""
        with ExitStack() as stack:
            if not self._ranks.first:  # only the first rank prints
                silence = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(silence))
            if self.options.resume and self._is_complete():
                print(f"{self.out} is complete: there is nothing to resume")
                print(f"\n{format_table(self.results)}\n")
                self._remove_leftovers()
                self._checkpoints.finish()
                self._draw()
                return 0
            stack.callback(self._checkpoints.close)
            self._begin()
            if self.options.tensorboard and self._ranks.first:
                scalars = Scalars(self.out / "tensorboard", self.results.runs)
                self._scalars = stack.enter_context(scalars)
            self._announce()
            return self._train()

    def _train(self) -> int:
        status, interrupted = "failed", False
        total = sum(budget.n_images for budget in self._budgets.values()) * len(self.seeds)
        done = sum(epoch.samples for run in self.results.runs for epoch in run.history)
        shown = self.progress if self._ranks.first else False
        try:
            with (
                progress_bar(total, unit=self.data.unit, initial=done, enabled=shown) as self.bar,
                Interrupt(self._ranks) as interrupt,
            ):
                self.results.runs = compare(
                    self.config,
                    self.data,
                    self.methods,
                    features=self.features,
                    reference=None if self.reference is None else self.reference.outputs,
                    seeds=self.seeds,
                    on_step=self._on_step,
                    on_epoch=self._on_epoch,
                    on_complete=self._on_complete,
                    checkpoints=self._checkpoints,
                    interrupt=interrupt,
                )
            status = "complete"
        except KeyboardInterrupt:
            status, interrupted = "interrupted", True
        finally:
            self.results.status = status
            self.results.finished = datetime.now(UTC).isoformat(timespec="seconds")
            self._write()
        if not interrupted:
            self._checkpoints.finish()
        print(f"\n{format_table(self.results)}\n")
        self._draw()
        if interrupted:
            print(f"to resume, add --resume to the command (and --out {self.out})")
        return 130 if interrupted else 0

    def _is_complete(self) -> bool:
        """Return whether the folder has the complete results; if so, load them."""
        path = self.out / "results.json"
        if self._checkpoints.exist or not path.is_file():
            return False
        try:
            earlier = read_results(path)
        except ValueError:
            return False
        if earlier.status != "complete":
            return False
        if unlike := identity(earlier).diff(identity(self.results)):
            raise ValueError(
                f"{path} belongs to a different, complete comparison: {'; '.join(unlike)}"
            )
        self.results = earlier
        return True

    def _begin(self) -> None:
        """Resume from the checkpoints in the folder, or move them aside."""
        wanted = identity(self.results)
        # All ranks must check for checkpoints before rank 0 creates any.
        exist = self._ranks.any(self._checkpoints.exist)
        if self.options.resume and exist:
            begun, resumed = self._checkpoints.resume(wanted)
            self._remove_leftovers()
            self.results.started, self.results.resumed = begun, resumed
            self.results.runs = self._checkpoints.runs(self.results.methods, self.seeds)
            epochs = sum(len(run.history) for run in self.results.runs)
            print(f"resuming: {epochs} epochs are done in {self.out}")
            return
        if self.options.resume:
            print(f"nothing to resume in {self.out}: starting from the beginning")
        elif exist:
            print(
                f"moved the checkpoints of an unfinished run in {self.out} to "
                "checkpoints.previous; --resume would have continued it"
            )
        self._checkpoints.begin(wanted)
        if self._ranks.first:
            for name in ("results.json", "curves.png"):
                old = self.out / name
                if old.is_file():
                    old.replace(old.with_name(f"{old.stem}.previous{old.suffix}"))

    def _remove_leftovers(self) -> None:
        """Remove partial files left by processes that were killed while writing."""
        for folder in (self.out, *map(self.out.joinpath, _FOLDERS)):
            if self._ranks.first and folder.is_dir():
                remove_leftovers(folder)

    def _announce(self) -> None:
        config, data = self.config, self.data
        kept = ", ".join(f"{spec} {_range(b.kept)}" for spec, b in self._budgets.items())
        size = "" if config.image_size is None else f"{config.image_size} px, "
        print(
            f"{config.model} on {data.name}: {len(data.train)} {data.unit} to train on, "
            f"{len(data.val)} to validate, {len(data.test)} to test, "
            f"{len(data.classes)} classes, {size}{config.device}\n"
            f"samples per step, of {config.candidate_size} candidates: {kept}\n"
            f"{self._describe_reference()}"
            f"accuracy on the validation {data.unit} (duration of the epoch):",
            flush=True,
        )

    def _describe_reference(self) -> str:
        if self.reference is None:
            return ""
        known = self.reference.describe()
        return (
            f"reference model: {known.source}, {100 * known.extra['accuracy']:.1f}% accuracy on "
            f"held-out halves ({known.seconds:.1f} s)\n"
        )

    def _on_step(self, trainer: Trainer, n: int, loss: Any, right: Any) -> None:
        now = time.perf_counter()
        key = (trainer.seed, trainer.method.spec, trainer.progress.epoch)
        if self._epoch != key:
            self._epoch = key
            self._seen = self._correct = self._loss = 0.0
        self._seen += n
        self._correct = self._correct + right  # tensors, to avoid waiting for the GPU
        self._loss = self._loss + n * loss
        self.bar.update(n * self._ranks.size)
        if now - self._shown > 0.2:
            self._shown = now
            self.bar.set_postfix(
                method=trainer.method.spec,
                epoch=f"{trainer.progress.epoch + 1}/{self.config.epochs}",
                loss=f"{float(self._loss) / self._seen:.3f}",
                accuracy=f"{100 * float(self._correct) / self._seen:.1f}%",
                selecting=f"{100 * trainer.selection_share():.0f}%",
            )

    def _on_complete(self, trainer: Trainer, run: RunRecord) -> None:
        """Save the images and weights that a report shows, and the model if requested."""
        if not self._ranks.first:
            return
        save_shown(self.out, self.data.train, trainer, run)
        if self.options.save_models:
            state = {k: v.cpu().contiguous() for k, v in trainer.model.state_dict().items()}
            path = self.out / "models" / f"{run_name(run.method, run.seed)}.safetensors"
            path.parent.mkdir(exist_ok=True)
            content = save(state)
            write_atomically(path, lambda file: file.write(content))

    def _on_epoch(self, runs: list[RunRecord]) -> None:
        self.results.runs = runs
        self._write()
        if self._scalars is not None:
            self._scalars.write(runs)
        now = runs[-len(self.methods) :]
        epoch = max(len(run.history) for run in now)
        cells = []
        for run in now:
            if len(run.history) < epoch:  # the run ended earlier
                continue
            record = run.history[-1]
            part = record.val if record.val.accuracy is not None else record.test
            shown = "-" if part.accuracy is None else f"{100 * part.accuracy:5.1f}%"
            cells.append(f"{run.method} {shown} ({record.seconds.total:.1f} s)")
        seed = f"seed {now[0].seed}, " if len(self.seeds) > 1 else ""
        _say(f"{seed}epoch {epoch:>2}/{self.config.epochs}   " + "   ".join(cells))

    def _write(self) -> None:
        if self._ranks.first:
            write_results(self.results, self.out / "results.json")

    def _draw(self) -> None:
        print(f"{self.out / 'results.json'}: all results")
        if not any(run.history for run in self.results.runs):
            return
        if not self._ranks.first:
            return
        try:
            draw_curves(self.results, self.out / "curves.png")
        except ModuleNotFoundError as error:
            if error.name != "matplotlib":
                raise
            print("curves.png needs matplotlib: pip install 'spectral_select[report]'")
        else:
            print(f"{self.out / 'curves.png'}: accuracy and loss by epoch and by time")


def check_resumable(
    out: Path, config: TrainConfig, data: LabeledDataset, methods: list[Method], seeds: list[int]
) -> None:
    """Raise an error early if the folder contains a different comparison.

    Parameters
    ----------
    out, config, data, methods, seeds
        As in `Comparison`.

    Raises
    ------
    ValueError
        If the folder has checkpoints of a different comparison; the message lists differences.
    """
    checkpoints = Checkpoints(out)
    if checkpoints.exist:
        results = _new_results(config, data, methods, seeds, InputRecord(seconds=None))
        checkpoints.check(Manifest(settings_of(results)))


def _new_results(
    config: TrainConfig,
    data: LabeledDataset,
    methods: list[Method],
    seeds: list[int],
    features: InputRecord,
    reference: Reference | None = None,
) -> Results:
    return Results(
        status="running",
        command=describe_command(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=describe_hardware(config.device),
        versions=describe_versions(),
        config=config.describe(),
        methods=[method.spec for method in methods],
        seeds=seeds,
        data=DataRecord.from_json(data.describe()),
        features=features,
        reference=None if reference is None else reference.describe(),
        runs=[],
    )


def _range(kept: Sequence[int]) -> str:
    low, high = min(kept), max(kept)
    return str(low) if low == high else f"{kept[0]} to {kept[-1]}"


def _say(line: str) -> None:
    """Print a line above the progress bar, if there is one."""
    try:
        from tqdm import tqdm
    except ImportError:
        print(line, flush=True)
    else:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
