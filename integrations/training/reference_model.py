"""A reference model's outputs on the training data, computed once and kept in a folder.

The model is cross-fitted: the training data is cut into two halves, each class in
proportion, one network is trained on each, and each network scores the half that it has
not seen. So no sample is scored by a network that was trained on it, none is lost to
training, and nothing of validation and test data is looked at. (Mindermann et al., ICML
2022, train their reference on such halves where there is no holdout set.)

The folder has ``logits.npy`` and ``cosines.npy`` (float32, n × number of classes), the
networks ``model-0.safetensors`` and ``model-1.safetensors``, and ``reference.json``,
written last: the reference is whole if and only if that file is there.
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._features.store import load_array
from spectral_select._utils.folders import StoreError, inside
from spectral_select._utils.json_files import read_json_object
from spectral_select.integrations.methods import Outputs
from spectral_select.integrations.records.json_records import JsonObject, JsonRecord
from spectral_select.integrations.records.run_records import InputRecord

__all__ = [
    "COSINES",
    "LOGITS",
    "META",
    "Reference",
    "ReferenceIdentity",
    "ReferenceRecord",
    "hash_array",
    "outputs_of",
]

FORMAT = "spectral_select reference 1"
LOGITS, COSINES, META = "logits.npy", "cosines.npy", "reference.json"


@dataclass(frozen=True, kw_only=True)
class ReferenceIdentity(JsonRecord):
    """What a reference depends on.

    Attributes
    ----------
    count, n_classes : int
        Numbers of samples and classes.
    fingerprint : str or None
        Of the training data.
    seed : int
        Seed of the halves and of training.
    initial_weights : list of str
        Hashes of the two networks before training.
    config : dict
        The training configuration.

    Examples
    --------
    >>> ReferenceIdentity(count=8, n_classes=2, config={"epochs": 1}).to_json()["count"]
    8
    """

    count: int
    n_classes: int
    fingerprint: str | None = None
    seed: int = 0
    initial_weights: list[str] = field(default_factory=list)
    config: JsonObject


@dataclass(frozen=True, kw_only=True)
class ReferenceRecord(JsonRecord):
    """Content of ``reference.json``.

    Attributes
    ----------
    format : str
        Format of the file.
    count, n_classes : int
        Numbers of samples and classes.
    identity : ReferenceIdentity
        What it depends on.
    accuracy, loss : float
        Over all samples, each scored by the network that was not trained on it.
    seconds, training_seconds, scoring_seconds : float
        Time in all, and its parts.
    hashes : dict
        Hashes of the two arrays, by file name.
    weights : list of str
        Hashes of the two trained networks.
    versions : dict
        Versions of the packages.

    Examples
    --------
    >>> ReferenceRecord.from_json({"count": 8})
    Traceback (most recent call last):
        ...
    ValueError: lacks n_classes
    """

    format: str = FORMAT
    count: int
    n_classes: int
    identity: ReferenceIdentity
    accuracy: float
    loss: float
    seconds: float
    training_seconds: float = 0.0
    scoring_seconds: float = 0.0
    hashes: JsonObject
    weights: list[str] = field(default_factory=list)
    versions: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """Outputs of a reference model for the training data; `Reference.open` reads them.

    Attributes
    ----------
    path : Path
        The folder.
    outputs : Outputs
        Of each training sample, by the network that was not trained on it. There are no
        embeddings.
    meta : ReferenceRecord
        Content of ``reference.json``.

    Examples
    --------
    >>> Reference.open("nowhere", [])
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no reference model's folder nowhere
    """

    path: Path
    outputs: Outputs
    meta: ReferenceRecord

    @classmethod
    def open(cls, path: str | os.PathLike[str], dataset: Any) -> "Reference":
        """Read a reference and check that it is one on `dataset`.

        Parameters
        ----------
        path : path
            The folder.
        dataset : map-style dataset
            The training data, with ``labels``; its ``fingerprint`` is compared if it has
            one.

        Returns
        -------
        Reference

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        StoreError
            If it is not whole, is damaged, or belongs to other data.
        """
        path = Path(path)
        meta = _read_meta(path)
        labels = np.asarray(dataset.labels)
        _check_matches(path, meta, dataset, labels)
        shape = (meta.count, meta.n_classes)
        arrays = {}
        for name in (LOGITS, COSINES):
            arrays[name] = load_array(path, name, np.float32, shape)
            if hash_array(arrays[name]) != meta.hashes.get(name):
                raise StoreError(
                    f"{path / name} is damaged: it is not what {META} was written for; "
                    "remove the folder and train the reference again"
                )
        return cls(path, outputs_of(arrays[LOGITS], arrays[COSINES], labels), meta)

    def describe(self) -> InputRecord:
        """Return its record for the results: origin, accuracy and cost."""
        identity = self.meta.identity
        model, epochs = identity.config["model"], identity.config["epochs"]
        return InputRecord(
            source=f"{model} cross-fitted on two halves, {epochs} epochs",
            seconds=self.meta.seconds,
            extra={
                "accuracy": self.meta.accuracy,
                "loss": self.meta.loss,
                "epochs": epochs,
                "seed": identity.seed,
                "fingerprint": identity.fingerprint,
                "hash": self.meta.hashes[LOGITS],
            },
        )


def outputs_of(
    logits: NDArray[np.float32], cosines: NDArray[np.float32], labels: NDArray[Any]
) -> Outputs:
    """Return outputs with the cross-entropy that the logits have.

    Parameters
    ----------
    logits, cosines : ndarray of shape (n, n_classes)
        What a network gives.
    labels : ndarray of shape (n,)
        Classes of the samples.

    Returns
    -------
    Outputs
        Without embeddings; the loss in float32.

    Examples
    --------
    >>> import numpy as np
    >>> even = np.zeros((2, 4), np.float32)
    >>> outputs_of(even, even, np.array([0, 3])).loss.round(3)
    array([1.386, 1.386], dtype=float32)
    """
    wide = logits.astype(np.float64)
    top = wide.max(axis=1)
    log_sum = top + np.log(np.exp(wide - top[:, None]).sum(axis=1))
    loss = log_sum - wide[np.arange(len(wide)), labels]
    return Outputs(loss.astype(np.float32), logits, cosines)


def hash_array(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's bytes, 64 hexadecimal digits.

    Parameters
    ----------
    array : ndarray of any shape
        C-contiguous.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> hash_array(np.zeros(2)) == hash_array(np.zeros(3))
    False
    """
    return hashlib.sha256(array.data).hexdigest()


def _read_meta(folder: Path) -> ReferenceRecord:
    """Return the checked ``reference.json`` of a folder."""
    if not folder.exists():
        raise FileNotFoundError(f"there is no reference model's folder {folder}")
    if not folder.is_dir():
        raise StoreError(f"{folder} is a file; expected a reference model's folder")
    path = inside(folder, META)
    if not path.is_file():
        raise StoreError(
            f"{folder} holds no whole reference model: there is no {META}; if its training was "
            "stopped, run the same command again"
        )
    try:
        meta = read_json_object(path)
    except ValueError as error:
        raise StoreError(str(error)) from error
    if meta.get("format") != FORMAT:
        raise StoreError(f"{path} has format {meta.get('format')!r}; expected {FORMAT!r}")
    try:
        return ReferenceRecord.from_json(meta)
    except ValueError as error:
        raise StoreError(f"{path} is damaged: it {error}") from error


def _check_matches(path: Path, meta: ReferenceRecord, dataset: Any, labels: NDArray[Any]) -> None:
    """Raise StoreError unless a reference is one on this dataset."""
    if len(labels) != meta.count:
        raise StoreError(
            f"{path} holds a reference on {meta.count} samples, but the training data has "
            f"{len(labels)}; train it again on these"
        )
    theirs, own = getattr(dataset, "fingerprint", None), meta.identity.fingerprint
    if theirs is not None and own is not None and theirs != own:
        raise StoreError(
            f"{path} belongs to other data: its fingerprint is {str(own)[:12]}…, that of the "
            f"training data {str(theirs)[:12]}… (files, their order, sizes or labels differ)"
        )
    n_classes = len(getattr(dataset, "classes", ())) or int(labels.max()) + 1
    if n_classes != meta.n_classes:
        raise StoreError(
            f"{path} holds a reference on {meta.n_classes} classes, but the training data "
            f"has {n_classes}"
        )
