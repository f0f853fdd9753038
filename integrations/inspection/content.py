"""Content of the inspection page: samples, pairs, groups and tables, without their layout."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select import DatasetInspection
from spectral_select.integrations.inspection.thumbnails import Thumbnails

__all__ = ["ClassRow", "Confusion", "Content", "Crossing", "Group", "Sample", "Suspect", "collect"]

_N_SUSPECTS, _N_OUTLIERS, _N_GROUPS, _N_CROSSING = 200, 60, 60, 100
_N_MEMBERS = 12  # samples shown from each group
_N_TYPICAL = 3
_N_CONFUSED = 24  # classes in the heat map
_LEAST_NOISE = 0.005  # classes with less noise get no "most often confused with" entry

Details = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes
    ----------
    name : str
        Path or row of the sample.
    label : str
        The given label; empty if there are no labels.
    thumbnail : str
        CSS class of the thumbnail; empty if there is no image.
    details : list of (str, str)
        Names and values of columns that the user asked for.
    """

    name: str
    label: str
    thumbnail: str
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class Suspect:
    """A sample whose label is flagged, and a more likely class."""

    sample: Sample
    suggested: str
    probability: float
    trust: float
    typical_given: list[Sample]
    typical_suggested: list[Sample]


@dataclass(frozen=True)
class Group:
    """A group of near-duplicates; `more` is the number of samples that are not shown."""

    samples: list[Sample]
    more: int
    exact: bool
    labels: list[str]


@dataclass(frozen=True)
class Crossing:
    """A sample and its near-duplicate in the other dataset."""

    sample: Sample
    other: Sample
    similarity: float


@dataclass(frozen=True)
class ClassRow:
    """Statistics of the labels in one class."""

    name: str
    n: int
    flagged: int
    noise_rate: float
    confused_with: str


@dataclass(frozen=True)
class Confusion:
    """Number of flagged labels, by given label (rows) and suggested label (columns)."""

    classes: list[str]
    counts: NDArray[np.int64]
    left_out: int


@dataclass
class Content:
    """Everything that the page shows."""

    n: int
    n_suspects: int | None
    noise_rate: float
    suspects: list[Suspect]
    classes: list[ClassRow]
    confusion: Confusion | None
    n_outliers: int
    outliers: list[tuple[Sample, float]]
    n_groups: int
    n_duplicates: int
    n_exact: int
    n_conflicts: int
    groups: list[Group]
    least_similarity: float
    n_crossing: int
    crossing: list[Crossing]
    thumbnails: list[Thumbnails] = field(default_factory=list)


def collect(
    found: DatasetInspection,
    thumbnails: Thumbnails,
    other_thumbnails: Thumbnails,
    *,
    label_name: Callable[[Any], str] = str,
    details: Details | None = None,
    other_labels: Sequence[str] | None = None,
) -> Content:
    """Return the content of the page, with as many of the worst cases as a person can review.

    Parameters
    ----------
    found : DatasetInspection
        The inspection.
    thumbnails, other_thumbnails : Thumbnails
        Thumbnails of the samples, and of the samples in the other dataset.
    label_name : callable
        Returns the name of a label.
    details : mapping of str to sequence, optional
        Columns to show for each sample.
    other_labels : sequence of str, optional
        Labels of the other dataset.
    """
    samples = _Samples(found, thumbnails, label_name, details or {})
    groups = found.near_duplicates_
    shown = [_group(samples, members, found) for members in groups]
    crossing = found.crossing_duplicates_
    content = Content(
        n=len(found),
        n_suspects=None if found.wrong_labels is None else len(found.label_issues_),
        noise_rate=0.0 if found.wrong_labels is None else found.wrong_labels.noise_rate,
        suspects=_suspects(samples, found, label_name),
        classes=_class_rows(found, label_name),
        confusion=_confusion(found, label_name),
        n_outliers=len(found.outliers_),
        outliers=[
            (samples[i], float(found.outlier_score[i])) for i in found.outliers_[:_N_OUTLIERS]
        ],
        n_groups=len(groups),
        n_duplicates=sum(len(members) for members in groups),
        n_exact=int(found.duplicates.exact.sum()),
        n_conflicts=sum(len(group.labels) > 1 for group in shown),
        # Show groups with contradictory labels first, because they are the most informative.
        groups=sorted(shown, key=lambda group: -len(group.labels) if group.labels[1:] else 0)[
            :_N_GROUPS
        ],
        least_similarity=found.duplicates.least_similarity,
        n_crossing=len(crossing),
        crossing=[
            Crossing(
                samples[i],
                Sample(
                    found.other_paths[j] if found.other_paths else f"row {j}",
                    other_labels[j] if other_labels else "",
                    other_thumbnails.name(j),
                    [],
                ),
                float(found.duplicates.similarity[i]),
            )
            for i, j in crossing[:_N_CROSSING].tolist()
        ],
        thumbnails=[thumbnails, other_thumbnails],
    )
    return content


class _Samples:
    """Samples by their index."""

    def __init__(
        self,
        found: DatasetInspection,
        thumbnails: Thumbnails,
        label_name: Callable[[Any], str],
        details: Details,
    ) -> None:
        self._found, self._thumbnails = found, thumbnails
        self._label_name, self._details = label_name, details

    def __getitem__(self, i: int) -> Sample:
        return Sample(
            name=self.name(i),
            label=self.label(i),
            thumbnail=self._thumbnails.name(int(i)),
            details=[(name, str(values[i])) for name, values in self._details.items()],
        )

    def name(self, i: int) -> str:
        return f"row {i}" if self._found.paths is None else self._found.paths[i]

    def label(self, i: int) -> str:
        return "" if self._found.labels is None else self._label_name(self._found.labels[i])

    def of(self, indices: Iterable[int]) -> list[Sample]:
        return [self[i] for i in indices]


def _suspects(
    samples: _Samples, found: DatasetInspection, label_name: Callable[[Any], str]
) -> list[Suspect]:
    wrong = found.wrong_labels
    if wrong is None or found.labels is None:
        return []
    given, suggested = found.labels, wrong.suggested
    typical: dict[Any, list[Sample]] = {}

    def typical_of(label: Any) -> list[Sample]:
        if label not in typical:
            members = np.flatnonzero((given == label) & (suggested == label))
            # Among samples whose label is confirmed, take those that resemble many others.
            trusted = members[np.argsort(-wrong.trust[members], kind="stable")]
            trusted = trusted[: max(_N_TYPICAL, len(trusted) // 2)]
            order = np.argsort(found.outlier_score[trusted], kind="stable")
            typical[label] = samples.of(trusted[order[:_N_TYPICAL]].tolist())
        return typical[label]

    return [
        Suspect(
            sample=samples[i],
            suggested=label_name(suggested[i]),
            probability=float(wrong.suggested_probability[i]),
            trust=float(wrong.trust[i]),
            typical_given=typical_of(given[i].item()),
            typical_suggested=typical_of(suggested[i].item()),
        )
        for i in found.label_issues_[:_N_SUSPECTS].tolist()
    ]


def _group(samples: _Samples, members: NDArray[np.int64], found: DatasetInspection) -> Group:
    labels = sorted({samples.label(i) for i in members}) if found.labels is not None else []
    return Group(
        samples=samples.of(members[:_N_MEMBERS].tolist()),
        more=max(0, len(members) - _N_MEMBERS),
        exact=bool(found.duplicates.exact[members].all()),
        labels=labels,
    )


def _class_rows(found: DatasetInspection, label_name: Callable[[Any], str]) -> list[ClassRow]:
    wrong = found.wrong_labels
    if wrong is None or found.labels is None:
        return []
    codes = np.searchsorted(wrong.classes, found.labels)
    n_classes = len(wrong.classes)
    counts = np.bincount(codes, minlength=n_classes)
    flagged = np.bincount(codes[wrong.wrong], minlength=n_classes)
    # Column g of the noise matrix, with rows weighted by class size, shows the true classes of
    # the samples labeled g.
    truly = wrong.noise_matrix * counts[:, None]
    np.fill_diagonal(truly, 0)
    rows = []
    for k in range(n_classes):
        noisy = wrong.class_noise_rate[k] >= _LEAST_NOISE and truly[:, k].any()
        rows.append(
            ClassRow(
                name=label_name(wrong.classes[k]),
                n=int(counts[k]),
                flagged=int(flagged[k]),
                noise_rate=float(wrong.class_noise_rate[k]),
                confused_with=label_name(wrong.classes[truly[:, k].argmax()]) if noisy else "",
            )
        )
    return sorted(rows, key=lambda row: -row.noise_rate)


def _confusion(found: DatasetInspection, label_name: Callable[[Any], str]) -> Confusion | None:
    wrong = found.wrong_labels
    if wrong is None or found.labels is None or not wrong.wrong.any():
        return None
    given = np.searchsorted(wrong.classes, found.labels[wrong.wrong])
    suggested = np.searchsorted(wrong.classes, wrong.suggested[wrong.wrong])
    pairs, counts = np.unique(np.column_stack([given, suggested]), axis=0, return_counts=True)
    # Show the classes in the most frequent pairs.
    ranked = pairs[np.argsort(-counts, kind="stable")].ravel()
    _, first = np.unique(ranked, return_index=True)
    shown = np.sort(ranked[np.sort(first)[:_N_CONFUSED]])
    place = np.full(len(wrong.classes), -1)
    place[shown] = np.arange(len(shown))
    both = (place[given] >= 0) & (place[suggested] >= 0)
    table = np.zeros((len(shown), len(shown)), np.int64)
    np.add.at(table, (place[given[both]], place[suggested[both]]), 1)
    names = [label_name(name) for name in wrong.classes[shown]]
    return Confusion(names, table, int((~both).sum()))
