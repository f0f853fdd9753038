"""Methods based on the Fiedler vector: SALN, its successor GSTDS, and stratified selection."""

from dataclasses import dataclass

from spectral_select import CosineSchedule, FiedlerBatchSelector, LinearSchedule, StepSchedule
from spectral_select._fiedler.fiedler_vector import AFFINITIES, LAPLACIANS
from spectral_select._samplers.schedules import Schedule
from spectral_select._selectors.ratio import check_filter_ratio, ratio_that_keeps
from spectral_select._selectors.rules import RULES
from spectral_select._utils.validation import check_in, check_int
from spectral_select.integrations.methods.interface import (
    FEATURES,
    Candidates,
    Choice,
    Method,
)
from spectral_select.integrations.methods.registry import register

__all__ = ["Fiedler", "Gstds", "Spectral", "Stratified"]

_SHAPES = ("linear", "cosine", "step")


@dataclass(frozen=True)
class Spectral(Method):
    """A rule that uses the Fiedler vector of the candidates' similarity graph.

    `SpectralBatchSampler` uses the result of `estimator` instead of calling `choose`, because a
    `FiedlerBatchSelector` solves several batches at once.

    Parameters
    ----------
    rule, laplacian, affinity, n_neighbors
        As in `FiedlerBatchSelector`, except that `affinity` must not be "precomputed".
    """

    rule: str = "extreme"
    laplacian: str = "unnormalized"
    affinity: str = "cosine"
    n_neighbors: int = 10

    needs = frozenset({FEATURES})

    def __post_init__(self) -> None:
        check_in(self.rule, "rule", tuple(RULES))
        check_in(self.laplacian, "laplacian", LAPLACIANS)
        check_in(self.affinity, "affinity", [a for a in AFFINITIES if a != "precomputed"])
        check_int(self.n_neighbors, "n_neighbors", 1)

    @property
    def fits_on_features(self) -> bool:
        """True: the estimator is a `FiedlerBatchSelector`."""
        return True

    def estimator(self, filter_ratio: float) -> FiedlerBatchSelector:
        """Return a `FiedlerBatchSelector` with this method's options."""
        return FiedlerBatchSelector(
            filter_ratio,
            rule=self.rule,
            laplacian=self.laplacian,
            affinity=self.affinity,
            n_neighbors=self.n_neighbors,
        )

    def choose(self, candidates: Candidates) -> Choice:
        """Select by the Fiedler vector of this single batch."""
        ratio = ratio_that_keeps(candidates.n_keep, len(candidates), 0.0)
        fitted = self.estimator(ratio).fit(candidates.features)
        return Choice(fitted.get_support(indices=True))


@register
@dataclass(frozen=True)
class Fiedler(Spectral):
    """SALN's Algorithm 1: select the samples with the largest absolute Fiedler entries.

    Source: arXiv:2412.17069. Options give access to every variant of the selector.
    """

    name = "fiedler"
    summary = "the largest |v| of the Fiedler vector (SALN)"


@register
@dataclass(frozen=True)
class Gstds(Spectral):
    """SALN with a filter ratio that changes during training, following a fixed schedule.

    The exact form of the schedule in GSTDS (arXiv:2507.04269) is not known. So the shape is an
    option, and the default discards the requested share on average.

    Parameters
    ----------
    shape : {"linear", "cosine", "step"}
        "step" has two levels; the second starts in the middle of training.
    start, end : float, optional
        Shares discarded in the first and the last epoch, in [0, 1). By default, they are
        equally far above and below the requested filter ratio f: f ± min(f, 1 − f) / 2.

    Examples
    --------
    >>> Gstds().schedule(0.8, 5)
    LinearSchedule(start=0.9, end=0.7..., n_epochs=5)
    """

    shape: str = "linear"
    start: float | None = None
    end: float | None = None

    name = "gstds"
    summary = "the largest |v|, with a filter ratio that falls during training (GSTDS)"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_in(self.shape, "shape", _SHAPES)
        for key in ("start", "end"):
            if getattr(self, key) is not None:
                check_filter_ratio(getattr(self, key), key)

    def schedule(self, filter_ratio: float, n_epochs: int) -> Schedule:
        """Return the schedule from `start` to `end`."""
        away = min(check_filter_ratio(filter_ratio), 1 - filter_ratio) / 2
        start = filter_ratio + away if self.start is None else self.start
        end = filter_ratio - away if self.end is None else self.end
        if self.shape == "step":
            return StepSchedule([start, end], [max(1, n_epochs // 2)])
        ramp = LinearSchedule if self.shape == "linear" else CosineSchedule
        return ramp(start, end, n_epochs=n_epochs)


@register
@dataclass(frozen=True)
class Stratified(Spectral):
    """Sort the candidates by Fiedler entry, and select one from each of ``n_keep`` equal parts."""

    rule: str = "stratified"
    laplacian: str = "symmetric"

    name = "stratified"
    summary = "one sample from each interval of the Fiedler order, symmetric Laplacian"
