"""The runs of a comparison: their data, their log file, and the processes that run them."""

import json
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, Self

import _spectral_variants  # noqa: F401  (registers the variants, also in workers)
import numpy as np
import torch
from _budgets import CannotTrainError
from _conditions import make_condition
from _heads import Problem, train
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from spectral_select import EmbeddingStore
from spectral_select._utils.atomic_files import write_atomically
from spectral_select._utils.manifest import Manifest
from spectral_select.integrations.data.splits import stratified_split
from spectral_select.integrations.methods import get_method
from spectral_select.integrations.training.config import TrainConfig
from spectral_select.integrations.training.reference_model import hash_array

__all__ = ["Data", "Run", "RunLog", "Workers", "config_of", "load_data"]

FORMAT = "accuracy_vs_budget runs 1"
VALIDATION = 0.2  # share of the training data used to tune learning rates


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes
    ----------
    part : str
        The data used for evaluation. "validation" runs hold out a part of the training data to
        tune the learning rate; "test" runs train on all training data, and are reported.
    condition : str
    seed : int
    share : float
        Share of each candidate batch that is kept.
    method : str
        The method, with its options.
    budget : str
        A budget returned by `canonical`.
    lr : float
    """

    part: str
    condition: str
    seed: int
    share: float
    method: str
    budget: str
    lr: float


@dataclass(frozen=True)
class Data:
    """Training and test data, as arrays of features and labels.

    `choose_by` contains different features of the training data, for use by methods. If it is
    None, methods use the features that networks are trained on. In `choose_by`, near-copies have
    exactly the features of their originals.
    """

    name: str
    features: Any
    labels: Any
    test_features: Any
    test_labels: Any
    choose_by: Any = None

    def describe(self) -> dict[str, Any]:
        """Return the description of the data for the results."""
        about = {
            "name": self.name,
            "n_train": len(self.labels),
            "n_test": len(self.test_labels),
            "dim": self.features.shape[1],
            "n_classes": self.n_classes,
            "hashes": [
                hash_array(np.ascontiguousarray(part))[:16]
                for part in (self.features, self.labels, self.test_features, self.test_labels)
            ],
        }
        if self.choose_by is not None:
            found = hash_array(np.ascontiguousarray(self.choose_by))[:16]
            about["choose_by"] = {"dim": self.choose_by.shape[1], "hash": found}
        return about

    @property
    def n_classes(self) -> int:
        return int(max(self.labels.max(), self.test_labels.max())) + 1


def load_data(source: Sequence[str], name: str | None = None) -> Data:
    """Load training and test data.

    Parameters
    ----------
    source : sequence of str
        "digits" (with pixels as features), or the folders of two embedding stores with labels,
        for training and test. A third store, for the same images as the first, contains the
        features to be used by methods.
    name : str, optional
        Name of the data in the results; by default, "digits" or the name of the first folder.

    Raises
    ------
    ValueError
        If the source is not of this form, a store has no labels, or the stores do not match.
    """
    if list(source) == ["digits"]:
        digits = load_digits()
        X, y = digits.data.astype(np.float32), digits.target.astype(np.int64)
        rest, held = stratified_split(y, len(y) // 3, 0)
        return Data(name or "digits", X[rest], y[rest], X[held], y[held])
    if len(source) not in (2, 3):
        raise ValueError(
            "data must be digits, or the folders of two embedding stores, for training and "
            f"test; got {' '.join(source)}"
        )
    train_store, test_store, *others = (EmbeddingStore.open(path) for path in source)
    for store in (train_store, test_store):
        if store.labels is None:
            raise ValueError(f"{store.path} has no labels; write the embeddings with labels")
    if train_store.features.shape[1] != test_store.features.shape[1]:
        raise ValueError(
            "the stores must contain embeddings of the same length; got "
            f"{train_store.features.shape[1]} in {train_store.path} and "
            f"{test_store.features.shape[1]} in {test_store.path}"
        )
    for store in others:
        if store.labels is None or not np.array_equal(store.labels, train_store.labels):
            raise ValueError(f"{store.path} and {train_store.path} have different labels")
    return Data(
        name or Path(source[0]).resolve().name,
        train_store.features,
        train_store.labels,
        test_store.features,
        test_store.labels,
        *(store.features for store in others),
    )


def config_of(share: float, settings: Mapping[str, Any]) -> TrainConfig:
    """Return a run's configuration; heads use its epochs, candidate size and filter ratio."""
    return TrainConfig(
        epochs=settings["epochs"],
        candidate_size=settings["candidate_size"],
        filter_ratio=round(1 - share, 12),
    )


class RunLog:
    """A file of completed runs, with one JSON object per line; the first line has the settings.

    If a process is killed while writing, the incomplete last line is removed when the file is
    opened again.

    Parameters
    ----------
    path : path
        The file; created if it does not exist.
    settings : mapping
        JSON-serializable settings shared by all runs. Files with different settings are rejected.
    """

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.results: dict[Run, dict[str, Any]] = {}
        self._header = header = {"format": FORMAT, "settings": dict(settings)}
        lines: list[Any] = []
        if self.path.exists():
            lines = self._read()
        if not lines:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(header)
            return
        if unlike := Manifest(lines[0]).diff(Manifest(header)):
            raise ValueError(
                f"{self.path} contains runs with different settings or on different data "
                f"({'; '.join(unlike)}); choose another --out"
            )
        for line in lines[1:]:
            self.results[Run(**line["run"])] = line["result"]

    def _read(self) -> list[Any]:
        content = self.path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise ValueError(f"{self.path} is damaged or not a runs file ({error})") from error
        if not all(isinstance(line, dict) for line in lines):
            raise ValueError(f"{self.path} is not a runs file")
        if torn and not lines and not torn.startswith(b'{"format"'):
            raise ValueError(f"{self.path} is not a runs file")
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        return lines

    def add(self, run: Run, result: Mapping[str, Any]) -> None:
        """Store a completed run; it is on disk when this method returns."""
        self._append(_line(run, result))
        self.results[run] = dict(result)

    def forget(self, methods: Iterable[str]) -> int:
        """Remove the runs of some methods, so that they run again; return the number removed."""
        gone = [run for run in self.results if run.method in set(methods)]
        for run in gone:
            del self.results[run]
        kept = [self._header, *map(_line, self.results, self.results.values())]
        content = b"".join(map(_to_bytes, kept))
        write_atomically(self.path, lambda file: file.write(content))
        return len(gone)

    def _append(self, line: Mapping[str, Any]) -> None:
        # Append each line in a single write, so that lines from two writers do not mix.
        with self.path.open("ab", buffering=0) as file:
            file.write(_to_bytes(line))
            os.fsync(file.fileno())


def _line(run: Run, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"run": asdict(run), "result": dict(result)}


def _to_bytes(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


class Workers:
    """Single-threaded worker processes for runs; use it as a context manager.

    Parameters
    ----------
    source : sequence of str
        As in `load_data`.
    settings : mapping
        Settings, with ``epochs`` and ``candidate_size``.
    jobs : int
        Number of processes.
    """

    def __init__(self, source: Sequence[str], settings: Mapping[str, Any], jobs: int) -> None:
        self._executor = ProcessPoolExecutor(
            jobs,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(tuple(source), dict(settings)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def run_all(self, runs: Iterable[Run], on_end: Callable[[Run, dict[str, Any]], object]) -> None:
        """Execute runs.

        Parameters
        ----------
        runs : iterable of Run
        on_end : callable
            Called with each run and its result when the run ends. The result is what `train`
            returns or, if training was impossible, the reason under the key ``left_out``.
        """
        # Execute runs on the same data consecutively, because processes cache shared data.
        pending = sorted(runs, key=lambda run: (run.condition, run.part, run.seed, run.share))
        futures = {self._executor.submit(_work, run): run for run in pending}
        for future in as_completed(futures):
            try:
                result = future.result()
            except Exception as error:
                error.add_note(f"in {futures[future]}")
                raise
            on_end(futures[future], result)


_source: tuple[str, ...] = ()
_settings: dict[str, Any] = {}


def _begin(source: tuple[str, ...], settings: dict[str, Any]) -> None:
    """Initialize a worker process."""
    global _source, _settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    threadpool_limits(1)
    _source, _settings = source, settings


def _end_with_parent() -> None:
    """Exit when the parent has ended, because a killed parent cannot stop its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@lru_cache(1)
def _data() -> Data:
    return load_data(_source)


@lru_cache(1)
def _problem(part: str, condition: str, seed: int) -> Problem:
    """Return the data for a run; the condition applies only to the training data."""
    data = _data()
    if part == "test":
        rows, held = np.arange(len(data.labels)), (data.test_features, data.test_labels)
    else:
        n_held = round(VALIDATION * len(data.labels))
        rows, validation = stratified_split(data.labels, n_held, [seed, 1])
        held = data.features[validation], data.labels[validation]
    pool = make_condition(condition, data.features[rows], data.labels[rows], [seed, 2])
    pool = replace(pool, indices=rows[pool.indices])
    choose_by = None if data.choose_by is None else data.choose_by[pool.indices]
    return Problem(pool, np.asarray(held[0]), np.asarray(held[1]), data.n_classes, seed, choose_by)


def _work(run: Run) -> dict[str, Any]:
    problem = _problem(run.part, run.condition, run.seed)
    config = config_of(run.share, _settings)
    try:
        result = train(problem, get_method(run.method), config, run.budget, run.lr)
    except CannotTrainError as error:
        return {"left_out": str(error)}
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in result.items()}
