"""Saved scores of a dataset, which samplers use in place of its features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_select._features.feature_table import ArrayRows
from spectral_select._selectors.guided_selector import GuidedBatchSelector
from spectral_select._selectors.guided_weights import ScoredLabels, parts_of_scores
from spectral_select._utils.labels import check_labels

__all__ = ["SampleScores", "load_scores"]

_POWERS = ("hardness_power", "trust_power", "duplicate_power")
_OF_LABELS = ("label_trust", "label_probability")


class SampleScores(ArrayRows):
    """Scores of the samples of a dataset; see `load_scores`.

    As features, the scores are a single column: the weight with which `GuidedBatchSelector` would
    draw each sample.

    Parameters
    ----------
    near_duplicates : array-like of shape (n,)
        Number of near-duplicates of each sample, excluding the sample itself.
    label_trust : array-like of shape (n,), optional
        Probability that the label is correct.
    label_probability : array-like of shape (n,), optional
        Probability with which the other labels predict this one.
    labels : array-like of shape (n,), optional
        The labels, integers or strings. Required with `label_trust`.

    Raises
    ------
    ValueError
        If lengths differ, or if a score is outside its range.

    Examples
    --------
    >>> from spectral_select import SampleScores
    >>> SampleScores([0, 3]).whole().round(2).tolist()
    [[1.0], [0.25]]
    """

    def __init__(
        self,
        near_duplicates: ArrayLike,
        label_trust: ArrayLike | None = None,
        label_probability: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> None:
        self.near_duplicates = _checked(near_duplicates, "near_duplicates", None, np.inf)
        n = len(self.near_duplicates)
        given = [values is not None for values in (label_trust, label_probability, labels)]
        if any(given) and not all(given):
            raise ValueError("label_trust, label_probability and labels must be given together")
        self.label_trust = self.label_probability = self._labels = None
        if label_trust is not None and label_probability is not None and labels is not None:
            _, codes = np.unique(check_labels(labels, n, "labels"), return_inverse=True)
            self.label_trust = _checked(label_trust, "label_trust", n, 1)
            self.label_probability = _checked(label_probability, "label_probability", n, 1)
            self._labels = ScoredLabels(codes, self.label_trust, self.label_probability)
        usual = GuidedBatchSelector().get_params()
        parts = self.log_parts(**{name: usual[name] for name in _POWERS})
        super().__init__(np.exp(parts.sum(1))[:, None])

    def log_parts(self, **powers: float) -> NDArray[np.float64]:
        """Return the parts of the weights; see `parts_of_scores`.

        Parameters
        ----------
        **powers : float
            The powers of hardness, trust and near-duplicates.

        Returns
        -------
        ndarray of shape (n, 3)
        """
        return parts_of_scores(self.near_duplicates, self._labels, **powers)


def load_scores(
    path: str | os.PathLike[str],
    *,
    ids: Sequence[Any] | NDArray[Any] | None = None,
    id_column: str = "id",
    label_column: str = "label",
) -> SampleScores:
    """Load the scores that ``spectral-select inspect`` wrote, for a sampler.

    Samplers accept the scores in place of features, so training needs no embeddings.

    Parameters
    ----------
    path : path
        A Parquet file, or the folder that ``inspect --id`` wrote.
    ids : sequence of length n, optional
        Ids of the samples in the order of the training dataset. By default, the dataset must be
        in the order of the scores: by file path, then by row.
    id_column : str, default="id"
        Column of the ids; used only with `ids`.
    label_column : str, default="label"
        Column of the labels; used only if the file has label scores.

    Returns
    -------
    SampleScores
        Scores of the n samples.

    Raises
    ------
    OSError, ValueError
        If there are no scores, if the folder is incomplete, or if an id has no scores.

    See Also
    --------
    GuidedSampler, SpectralBatchSampler : Accept the scores as `features`.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import GuidedSampler, inspect_dataset, load_scores
    >>> X, y = load_digits(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     inspect_dataset(X, y).write(f"{folder}/scores.parquet")
    ...     scores = load_scores(f"{folder}/scores.parquet")
    >>> sampler = GuidedSampler(None, features=scores)
    >>> len(sampler)
    359
    """
    pa, pq, pc = (import_module(f"pyarrow{name}") for name in ("", ".parquet", ".compute"))
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        raise ValueError(f"{path} is neither a Parquet file nor a folder with scores")
    if path.is_dir() and (path / "_progress").exists() and not (path / "_SUCCESS").exists():
        raise ValueError(f"{path} is not complete: repeat the command that writes it")
    known = pq.read_schema(files[0]).names
    scores = ["near_duplicates", *(name for name in _OF_LABELS if name in known)]
    labeled = len(scores) > 1
    wanted = [*scores, *[label_column] * labeled, *([] if ids is None else [id_column])]
    if missing := [name for name in wanted if name not in known]:
        raise ValueError(f"{files[0]} has no column {missing[0]!r}; it has {', '.join(known)}")
    tables = (pq.read_table(file, columns=wanted, partitioning=None) for file in files)
    table = pa.concat_tables(part for part in tables if part.num_rows)
    if ids is not None:
        own = table[id_column].combine_chunks()
        places = pc.index_in(pa.array(ids, own.type), value_set=own)
        if places.null_count:
            lost = np.flatnonzero(places.is_null().to_numpy(zero_copy_only=False))[0]
            raise ValueError(f"ids[{lost}] is {ids[lost]!r}, for which {path} has no scores")
        table = table.take(places)
    columns = {name: table[name].to_numpy() for name in scores}
    if labeled:
        columns["labels"] = pc.dictionary_encode(table[label_column].combine_chunks()).indices
    return SampleScores(**columns)


def _checked(values: ArrayLike, name: str, n: int | None, most: float) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array) or (n is not None and len(array) != n):
        expected = "n" if n is None else str(n)
        raise ValueError(f"{name} must have shape ({expected},); got {array.shape}")
    bad = np.flatnonzero(~((array >= 0) & (array <= most)))
    if len(bad):
        raise ValueError(
            f"{name} must be between 0 and {most:g}; row {bad[0]} is {array[bad[0]]:g}"
        )
    return array
