"""Checkpoints of an unfinished comparison on disk, and when they may be resumed."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from spectral_select._utils.atomic_files import (
    read_json_object,
    write_atomically,
    write_json_atomically,
)
from spectral_select._utils.locks import FolderLock
from spectral_select.integrations.records.run_files import slug
from spectral_select.integrations.runtime.distributed import ONE, Ranks
from spectral_select.integrations.training.trainer import Trainer

__all__ = ["Checkpoints", "differences", "identity"]

_FORMAT = "spectral_select checkpoints 1"
_META = "run.json"
# What changes the speed of a run, and not what comes of it.
_HARMLESS = frozenset({"cache_bytes", "n_threads", "prefetch"})
_VERSIONS = ("spectral_select", "torch")


def identity(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that must match for a comparison to be resumed.

    Parameters
    ----------
    results : mapping
        The content of ``results.json``, with or without runs.

    Returns
    -------
    dict
        As JSON gives it back. Memory, threads, the number of a GPU, paths of data and what
        things took are left out.
    """
    config = {key: value for key, value in results["config"].items() if key not in _HARMLESS}
    config["device"] = config["device"].partition(":")[0]
    kept: dict[str, Any] = {
        "methods": results["methods"],
        "seeds": results["seeds"],
        "config": config,
        "data": {key: value for key, value in results["data"].items() if key != "name"},
        "versions": {name: results["versions"].get(name) for name in _VERSIONS},
    }
    for key in ("features", "reference", "models"):
        if key in results:
            kept[key] = _timeless(results[key])
    plain: dict[str, Any] = json.loads(json.dumps(kept))
    return plain


def _timeless(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {k: _timeless(v) for k, v in value.items() if not k.endswith(("seconds", "folder"))}


def differences(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in words where two identities differ; what only one of them has is left out.

    Parameters
    ----------
    saved, wanted : mapping
        From `identity`.

    Examples
    --------
    >>> differences({"config": {"lr": 0.1, "epochs": 3}}, {"config": {"lr": 0.2, "epochs": 3}})
    ['config.lr was 0.1, is 0.2']
    """
    first, second = dict(_flat(saved, "")), dict(_flat(wanted, ""))
    tops = saved.keys() & wanted.keys()
    keys = [key for key in first | second if key.partition(".")[0] in tops]
    return [
        f"{key} was {first.get(key)}, is {second.get(key)}"
        for key in keys
        if first.get(key) != second.get(key)
    ]


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        yield name, " ".join(map(str, value))
    else:
        yield name, value


class Checkpoints:
    """The checkpoints of a comparison: a file for each method and seed, in a folder of theirs.

    Parameters
    ----------
    out : Path
        Folder of the comparison; they go to its folder ``checkpoints``.
    every : int, optional
        Steps between two checkpoints of a run. By default one at the end of each epoch.
    keep : bool, default=False
        Whether they stay when everything is complete.
    ranks : Ranks, optional
        Processes that train together. The first writes; all read.

    Attributes
    ----------
    folder : Path
        Where they are.
    """

    def __init__(
        self, out: Path, *, every: int | None = None, keep: bool = False, ranks: Ranks = ONE
    ) -> None:
        self.folder = out / "checkpoints"
        self.every, self.keep, self.ranks = every, keep, ranks
        self._places: dict[tuple[str, int], int] = {}
        self._lock: FolderLock | None = None

    @property
    def exist(self) -> bool:
        """Whether there is an unfinished comparison to resume."""
        return (self.folder / _META).is_file()

    def begin(self, wanted: Mapping[str, Any]) -> None:
        """Start a comparison from its beginning; what is in the folder becomes ``previous``.

        Parameters
        ----------
        wanted : mapping
            Its `identity`.

        Raises
        ------
        StoreError
            If another process is at work in the folder.
        """
        if self.ranks.first:
            if self.folder.exists():
                FolderLock(self.folder).close()
                previous = self.folder.with_name("checkpoints.previous")
                shutil.rmtree(previous, ignore_errors=True)
                self.folder.replace(previous)
            self.folder.mkdir(parents=True)
            self._lock = FolderLock(self.folder)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            meta = {"format": _FORMAT, "identity": wanted, "started": now, "resumed": []}
            write_json_atomically(self.folder / _META, meta)
        self.ranks.wait()

    def check(self, wanted: Mapping[str, Any]) -> None:
        """Raise an error if the interrupted comparison is a different one.

        Parameters
        ----------
        wanted : mapping
            Its `identity`, or a part of it.

        Raises
        ------
        ValueError
            If they differ, saying where.
        """
        if unlike := differences(self._meta()["identity"], wanted):
            raise ValueError(
                f"{self.folder} is of another comparison, which --resume cannot continue: "
                + "; ".join(unlike)
            )

    def resume(self, wanted: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Resume the comparison; return its start time, and the times when it was resumed.

        Parameters
        ----------
        wanted : mapping
            Its `identity`.

        Raises
        ------
        ValueError
            If it is another, or another process is at work on it.
        """
        self.check(wanted)
        meta = self._meta()
        self.ranks.wait()
        if self.ranks.first:
            self._lock = FolderLock(self.folder)
            meta["resumed"].append(datetime.now(UTC).isoformat(timespec="seconds"))
            write_json_atomically(self.folder / _META, meta)
        return meta["started"], meta["resumed"]

    def _meta(self) -> dict[str, Any]:
        meta = read_json_object(self.folder / _META)
        if meta.get("format") != _FORMAT:
            raise ValueError(
                f"{self.folder / _META} has format {meta.get('format')!r}; expected {_FORMAT!r}"
            )
        return meta

    def _file(self, method: str, seed: int) -> Path:
        return self.folder / f"{slug(method)}-seed{seed}.pt"

    def load(self, method: str, seed: int) -> dict[str, Any] | None:
        """Return the latest checkpoint of a run: ``run`` and ``trainer``; None without one.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        return self._read(method, seed)

    def runs(self, methods: Sequence[str], seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Return what there is of the runs in the checkpoints, seed by seed.

        Parameters
        ----------
        methods : sequence of str
            The methods, with their options.
        seeds : sequence of int
            The seeds.
        """
        found = [self._read(method, seed, mmap=True) for seed in seeds for method in methods]
        return [saved["run"] for saved in found if saved is not None]

    def _read(self, method: str, seed: int, *, mmap: bool = False) -> dict[str, Any] | None:
        path = self._file(method, seed)
        if not path.exists():
            return None
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
            found["run"]["history"], found["trainer"]
        except Exception as error:  # whatever a file of another kind makes the reader raise
            raise ValueError(
                f"{path} is damaged ({type(error).__name__}); remove it to train that run again "
                "from its beginning"
            ) from error
        saved: dict[str, Any] = found
        return saved

    def restore(self, trainer: Trainer, saved: Mapping[str, Any]) -> None:
        """Bring a trainer to where its checkpoint was taken."""
        trainer.load_state_dict(saved["trainer"], next_epoch=len(saved["run"]["history"]))
        self._places[trainer.method.spec, trainer.seed] = trainer.place

    def due(self, trainer: Trainer, *, epoch_is_over: bool = False) -> bool:
        """Tell whether a checkpoint is to be taken at this step."""
        return epoch_is_over if self.every is None else self._since(trainer) >= self.every

    def stale(self, trainer: Trainer) -> bool:
        """Tell whether steps were taken since the latest checkpoint, if there is one."""
        return self._since(trainer) > 0

    def _since(self, trainer: Trainer) -> int:
        return trainer.place - self._places.get(_key(trainer), 0)

    def save(self, trainer: Trainer, run: Mapping[str, Any]) -> None:
        """Write a run's checkpoint, whole or not at all; called on all ranks.

        Parameters
        ----------
        trainer : Trainer
            Its state is left out once the run is complete, unless checkpoints are kept.
        run : mapping
            The run's entry in ``results.json``.
        """
        over = run["status"] == "complete" and not self.keep
        with trainer.stopped_clock():
            content = {"run": dict(run), "trainer": None if over else trainer.state_dict()}
            if self.ranks.first:
                write_atomically(
                    self._file(trainer.method.spec, trainer.seed),
                    lambda file: torch.save(content, file),
                )
        self._places[_key(trainer)] = trainer.place

    def close(self) -> None:
        """Release the checkpoints for another process."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def finish(self) -> None:
        """Remove them, unless they are kept."""
        self.close()
        if self.ranks.first and not self.keep:
            # Delete the file that marks a resumable comparison first.
            (self.folder / _META).unlink()
            shutil.rmtree(self.folder)


def _key(trainer: Trainer) -> tuple[str, int]:
    return trainer.method.spec, trainer.seed
