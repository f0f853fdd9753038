"""Checkpoints of an unfinished comparison, and the conditions for resuming it."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from spectral_select._utils.atomic_files import write_atomically
from spectral_select._utils.json_files import read_json_object, write_json_atomically
from spectral_select._utils.locks import FolderLock
from spectral_select._utils.manifest import Manifest
from spectral_select.integrations.records.json_records import JsonObject
from spectral_select.integrations.records.run_files import run_name
from spectral_select.integrations.records.run_records import InputRecord, Results, RunRecord
from spectral_select.integrations.runtime.distributed import ONE, Ranks
from spectral_select.integrations.training.trainer import Trainer

__all__ = ["Checkpoints", "Saved", "identity", "settings_of"]

_FORMAT = "spectral_select checkpoints 2"
_META = "run.json"
# Settings that change the speed of a run, but not its results.
_HARMLESS = frozenset({"cache_bytes", "n_threads", "prefetch"})
_VERSIONS = ("spectral_select", "torch")


def identity(results: Results) -> Manifest:
    """Return a manifest of everything that must match for a comparison to be resumed.

    Parameters
    ----------
    results : Results
        The results, with or without runs. Memory limits, threads, the index of the GPU, data
        paths and times are ignored.
    """
    return Manifest(
        settings_of(results)
        | {
            "features": _timeless(results.features),
            "reference": None if results.reference is None else _timeless(results.reference),
            "models": results.models,
        }
    )


def settings_of(results: Results) -> JsonObject:
    """Return the part of an `identity` that is known before features are computed."""
    config = {key: value for key, value in results.config.items() if key not in _HARMLESS}
    config["device"] = config["device"].partition(":")[0]
    data = results.data.to_json()
    del data["name"]
    versions = results.versions or {}
    return {
        "methods": results.methods,
        "seeds": results.seeds,
        "config": config,
        "data": data,
        "versions": {name: versions.get(name) for name in _VERSIONS},
    }


def _timeless(record: InputRecord) -> JsonObject:
    content = record.to_json()
    return {k: v for k, v in content.items() if not k.endswith(("seconds", "folder"))}


@dataclass
class Saved:
    """A checkpoint of one run.

    Attributes
    ----------
    run : RunRecord
        The run so far.
    trainer : dict or None
        The trainer's state, or None if the run is complete and its state was not kept.
    """

    run: RunRecord
    trainer: JsonObject | None


class Checkpoints:
    """The checkpoints of a comparison, in a folder with one file per method and seed.

    Parameters
    ----------
    out : Path
        Folder of the comparison; checkpoints are stored in its folder ``checkpoints``.
    every : int, optional
        Number of steps between two checkpoints of a run. By default, one is saved after each
        epoch.
    keep : bool, default=False
        Whether to keep checkpoints after all runs are complete.
    ranks : Ranks, optional
        Processes that train together. Rank 0 writes; all ranks read.

    Attributes
    ----------
    folder : Path
        Folder of the checkpoints.
    """

    def __init__(
        self, out: Path, *, every: int | None = None, keep: bool = False, ranks: Ranks = ONE
    ) -> None:
        self.folder = out / "checkpoints"
        self.every, self.keep, self.ranks = every, keep, ranks
        self._steps: dict[tuple[str, int], int] = {}
        self._lock: FolderLock | None = None

    @property
    def exist(self) -> bool:
        """Whether there is an unfinished comparison to resume."""
        return (self.folder / _META).is_file()

    def begin(self, wanted: Manifest) -> None:
        """Start a new comparison; move existing checkpoints to ``checkpoints.previous``.

        Parameters
        ----------
        wanted : Manifest
            The `identity` of the comparison.

        Raises
        ------
        StoreError
            If another process is using the folder.
        """
        if self.ranks.first:
            if self.folder.exists():
                FolderLock(self.folder).close()
                if self.exist:
                    previous = self.folder.with_name("checkpoints.previous")
                    shutil.rmtree(previous, ignore_errors=True)
                    self.folder.replace(previous)
                else:  # left by a process killed while creating or removing checkpoints
                    shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
            self._lock = FolderLock(self.folder)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            meta = {"format": _FORMAT, "identity": wanted.content, "started": now, "resumed": []}
            write_json_atomically(self.folder / _META, meta)
        self.ranks.wait()

    def check(self, wanted: Manifest) -> None:
        """Raise an error if the interrupted comparison does not match `wanted`.

        Parameters
        ----------
        wanted : Manifest
            The `identity` of the comparison, or a part of it.

        Raises
        ------
        ValueError
            If the comparisons differ; the message names the differences.
        """
        if unlike := Manifest(self._meta()["identity"]).diff(wanted, shared_only=True):
            raise ValueError(
                f"{self.folder} belongs to a different comparison; --resume cannot continue it: "
                + "; ".join(unlike)
            )

    def resume(self, wanted: Manifest) -> tuple[str, list[str]]:
        """Resume the comparison; return its start time, and the times when it was resumed.

        Parameters
        ----------
        wanted : Manifest
            The `identity` of the comparison.

        Raises
        ------
        ValueError
            If the folder belongs to a different comparison, or another process is using it.
        """
        self.check(wanted)
        meta = self._meta()
        self.ranks.wait()
        if self.ranks.first:
            self._lock = FolderLock(self.folder)
            meta["resumed"].append(datetime.now(UTC).isoformat(timespec="seconds"))
            write_json_atomically(self.folder / _META, meta)
        return meta["started"], meta["resumed"]

    def _meta(self) -> JsonObject:
        meta = read_json_object(self.folder / _META)
        if meta.get("format") != _FORMAT:
            raise ValueError(
                f"{self.folder / _META} has format {meta.get('format')!r}; expected {_FORMAT!r}"
            )
        return meta

    def _file(self, method: str, seed: int) -> Path:
        return self.folder / f"{run_name(method, seed)}.pt"

    def dynamics_file(self, method: str, seed: int) -> Path:
        """Return the file for the progress of a method's preliminary training run."""
        return self.folder / f"{run_name(method, seed)}-dynamics.pt"

    def load(self, method: str, seed: int, *, mmap: bool = False) -> Saved | None:
        """Return the latest checkpoint of a run, or None if there is none.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        path = self._file(method, seed)
        if not path.exists():
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
            return Saved(RunRecord.from_json(content["run"]), content["trainer"])
        except Exception as error:  # torch.load may raise any error on damaged files
            raise ValueError(
                f"{path} is damaged ({type(error).__name__}); remove it to train that run again "
                "from the beginning"
            ) from error

    def runs(self, methods: Sequence[str], seeds: Sequence[int]) -> list[RunRecord]:
        """Return the runs that have checkpoints, seed by seed.

        Parameters
        ----------
        methods : sequence of str
            The methods, with their options.
        seeds : sequence of int
            The seeds.
        """
        saved = [self.load(method, seed, mmap=True) for seed in seeds for method in methods]
        return [each.run for each in saved if each is not None]

    def restore(self, trainer: Trainer, saved: Saved) -> None:
        """Load the state of an incomplete run into its trainer."""
        if saved.trainer is None:
            raise ValueError(f"the checkpoint of {saved.run.method} contains no trainer state")
        trainer.load_state_dict(saved.trainer, next_epoch=len(saved.run.history))
        self._steps[_key(trainer)] = trainer.global_step

    def due(self, trainer: Trainer, *, epoch_is_over: bool = False) -> bool:
        """Return whether to save a checkpoint at this step."""
        return epoch_is_over if self.every is None else self._since(trainer) >= self.every

    def stale(self, trainer: Trainer) -> bool:
        """Return whether the run has advanced since its latest checkpoint, or since its start."""
        return self._since(trainer) > 0

    def _since(self, trainer: Trainer) -> int:
        return trainer.global_step - self._steps.get(_key(trainer), 0)

    def save(self, trainer: Trainer, run: RunRecord) -> None:
        """Write a run's checkpoint atomically; all ranks must call this.

        Parameters
        ----------
        trainer : Trainer
            The trainer. Its state is not stored once the run is complete, unless checkpoints
            are kept.
        run : RunRecord
            The run so far.
        """
        over = run.status == "complete" and not self.keep
        with trainer.stopped_clock():
            content = {"run": run.to_json(), "trainer": None if over else trainer.state_dict()}
            if self.ranks.first:
                write_atomically(
                    self._file(trainer.method.spec, trainer.seed),
                    lambda file: torch.save(content, file),
                )
        self._steps[_key(trainer)] = trainer.global_step

    def close(self) -> None:
        """Release the lock, so that another process can use the checkpoints."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def finish(self) -> None:
        """Remove the checkpoints, unless `keep` is set."""
        self.close()
        if self.ranks.first and not self.keep:
            # First delete the file that marks the comparison as resumable.
            (self.folder / _META).unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=not self.folder.exists())


def _key(trainer: Trainer) -> tuple[str, int]:
    return trainer.method.spec, trainer.seed
