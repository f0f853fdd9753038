"""Log accuracy, loss and speed by epoch for TensorBoard."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from spectral_select.integrations.records.run_files import run_name
from spectral_select.integrations.records.run_records import EpochRecord, RunRecord

__all__ = ["Scalars"]


class Scalars:
    """Writes the results of each epoch to event files, with one folder per method and seed.

    Use it as a context manager. After a run is resumed, its completed epochs are not written
    again; epochs that are trained again replace their earlier entries.

    Parameters
    ----------
    folder : Path
        Parent folder; each run is written to its subfolder ``SLUG-seedS``.
    runs : sequence of RunRecord
        The runs so far, whose epochs are already written.

    Raises
    ------
    ModuleNotFoundError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, runs: Sequence[RunRecord] = ()) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._new_writer: Any = SummaryWriter
        self._folder = folder
        self._writers: dict[str, Any] = {}
        self._written = {run_name(run.method, run.seed): len(run.history) for run in runs}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, runs: Sequence[RunRecord]) -> None:
        """Write the epochs of `runs` that have not been written yet.

        Parameters
        ----------
        runs : sequence of RunRecord
            The runs, as returned by `compare`.
        """
        for run in runs:
            name = run_name(run.method, run.seed)
            done = self._written.get(name, 0)
            if done == len(run.history):
                continue
            if name not in self._writers:
                self._writers[name] = self._new_writer(str(self._folder / name), purge_step=done)
            for record in run.history[done:]:
                for tag, value in _scalars(record):
                    self._writers[name].add_scalar(tag, value, record.epoch)
            self._writers[name].flush()
            self._written[name] = len(run.history)


def _scalars(record: EpochRecord) -> list[tuple[str, float]]:
    """Return the tags and values for an epoch, without missing values."""
    total = max(record.seconds.total, 1e-9)
    scalars: list[tuple[str, float | None]] = [
        ("learning rate", record.lr),
        ("filter ratio", record.filter_ratio),
        ("samples", record.samples),
        ("images per second", record.samples / total),
        ("share of time in selection", record.seconds.waiting / total),
        *((f"seconds/{name}", value) for name, value in record.seconds.to_json().items()),
    ]
    for part, measured in (("train", record), ("val", record.val), ("test", record.test)):
        scalars += [(f"accuracy/{part}", measured.accuracy), (f"loss/{part}", measured.loss)]
    return [(tag, value) for tag, value in scalars if value is not None]
