"""A reference model's outputs on the training data, computed once and stored in a folder.

The model is cross-fitted. The training data is split into two halves, stratified by class. For
each half, a network is trained on that half and scores the other. So no sample is scored by a
network that was trained on it, no training data is lost, and validation and test data are not
used. (Mindermann et al., ICML 2022, also train reference models on two halves if there is no
holdout set.)

The folder contains ``logits.npy`` and ``cosines.npy`` (float32, n × number of classes), the
networks ``model-0.safetensors`` and ``model-1.safetensors``, and ``reference.json``, which is
written last. So the reference is complete if and only if ``reference.json`` exists.
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
    """The data and settings that a reference model depends on.

    Attributes
    ----------
    count, n_classes : int
        Number of samples, and number of classes.
    fingerprint : str or None
        Fingerprint of the training data.
    seed : int
        Seed for the split into halves and for training.
    initial_weights : list of str
        Hashes of the two networks' initial weights.
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
        Number of samples, and number of classes.
    identity : ReferenceIdentity
        The data and settings that the reference model depends on.
    accuracy, loss : float
        Means over all samples, each scored by the network that was not trained on it.
    seconds, training_seconds, scoring_seconds : float
        Total time, and its parts.
    hashes : dict
        Hashes of the two arrays, by file name.
    weights : list of str
        Hashes of the two networks' trained weights.
    versions : dict
        Package versions.

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
    """Outputs of a reference model on the training data, read by `Reference.open`.

    Attributes
    ----------
    path : Path
        The folder.
    outputs : Outputs
        Outputs for each training sample from the network that was not trained on it, without
        embeddings.
    meta : ReferenceRecord
        Content of ``reference.json``.

    Examples
    --------
    >>> Reference.open("nowhere", [])
    Traceback (most recent call last):
        ...
    FileNotFoundError: the reference model's folder nowhere does not exist
    """

    path: Path
    outputs: Outputs
    meta: ReferenceRecord

    @classmethod
    def open(cls, path: str | os.PathLike[str], dataset: Any) -> "Reference":
        """Read a reference model's outputs and check that they belong to `dataset`.

        Parameters
        ----------
        path : path
            The folder.
        dataset : map-style dataset
            The training data, with ``labels``. Its ``fingerprint`` is compared if it has one.

        Returns
        -------
        Reference

        Raises
        ------
        FileNotFoundError
            If the folder does not exist.
        StoreError
            If the reference is incomplete, damaged, or belongs to different data.
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
                    f"{path / name} is damaged: it does not match {META}; "
                    "remove the folder and train the reference again"
                )
        return cls(path, outputs_of(arrays[LOGITS], arrays[COSINES], labels), meta)

    def describe(self) -> InputRecord:
        """Return the record for the results: origin, accuracy and cost."""
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
    """Return outputs with the cross-entropy computed from the logits.

    Parameters
    ----------
    logits, cosines : ndarray of shape (n, n_classes)
        A network's logits and cosines.
    labels : ndarray of shape (n,)
        Class label of each sample.

    Returns
    -------
    Outputs
        Without embeddings, and with the loss in float32.

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
    """Return the SHA-256 of an array's bytes, as 64 hexadecimal digits.

    Parameters
    ----------
    array : ndarray of any shape
        A C-contiguous array.

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
    """Read and check the ``reference.json`` in a folder."""
    if not folder.exists():
        raise FileNotFoundError(f"the reference model's folder {folder} does not exist")
    if not folder.is_dir():
        raise StoreError(f"{folder} is a file; expected a reference model's folder")
    path = inside(folder, META)
    if not path.is_file():
        raise StoreError(
            f"{folder} contains no complete reference model: {META} is missing; if training was "
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
    """Raise StoreError unless a reference belongs to this dataset."""
    if len(labels) != meta.count:
        raise StoreError(
            f"{path} contains a reference for {meta.count} samples, but the training data has "
            f"{len(labels)}; train it again on this data"
        )
    theirs, own = getattr(dataset, "fingerprint", None), meta.identity.fingerprint
    if theirs is not None and own is not None and theirs != own:
        raise StoreError(
            f"{path} belongs to other data: its fingerprint is {str(own)[:12]}…, but that of the "
            f"training data is {str(theirs)[:12]}… (files, their order, sizes or labels differ)"
        )
    n_classes = len(getattr(dataset, "classes", ())) or int(labels.max()) + 1
    if n_classes != meta.n_classes:
        raise StoreError(
            f"{path} contains a reference for {meta.n_classes} classes, but the training data "
            f"has {n_classes}"
        )
