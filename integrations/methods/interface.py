"""The interface of a selection method: a rule that decides which samples to train on."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spectral_select import Schedule, make_schedule
from spectral_select._selectors.ratio import check_filter_ratio

__all__ = [
    "CLEAN",
    "DYNAMICS",
    "FEATURES",
    "FRESH",
    "HISTORY",
    "LAST_LOSS",
    "PROGRESS",
    "REFERENCE",
    "Candidates",
    "Choice",
    "History",
    "Method",
    "Outputs",
    "Visits",
    "check_choice",
]

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

#: The method needs the stored features of the candidates.
FEATURES = "features"
#: The method needs each candidate's most recent training loss (NaN if there is none).
LAST_LOSS = "last_loss"
#: The method needs the training history of all samples, up to the start of the epoch.
HISTORY = "history"
#: The method needs the current model's outputs on all candidates, at the cost of a forward pass.
FRESH = "fresh"
#: The method needs the outputs of a reference model that was trained beforehand.
REFERENCE = "reference"
#: The method needs the mean loss on a clean set after each epoch, at the cost of a forward pass on
#: that set.
CLEAN = "clean"
#: The method needs the probability of each sample's label in each epoch of a preliminary
#: training run on all samples.
DYNAMICS = "dynamics"
#: The method needs to know how much of the training is done.
PROGRESS = "progress"


@dataclass(frozen=True)
class Outputs:
    """Outputs of a network on some samples.

    Attributes
    ----------
    loss : ndarray of shape (n,)
        Cross-entropy of each sample.
    logits : ndarray of shape (n, n_classes)
        Output of the last layer.
    cosines : ndarray of shape (n, n_classes)
        Cosine between each sample's embedding (the input to the last layer) and each class's
        row of the last layer's weights.
    embeddings : ndarray of shape (n, d), optional
        Input to the last layer; not stored for a reference model.

    Examples
    --------
    >>> import numpy as np
    >>> outputs = Outputs(np.array([0.1, 2.3]), np.eye(2), np.eye(2))
    >>> outputs.take(np.array([1])).loss
    array([2.3])
    """

    loss: Floats
    logits: Floats
    cosines: Floats
    embeddings: Floats | None = None

    def take(self, indices: Indices) -> "Outputs":
        """Return the outputs of the samples at `indices`."""
        embeddings = None if self.embeddings is None else self.embeddings[indices]
        return Outputs(self.loss[indices], self.logits[indices], self.cosines[indices], embeddings)


@dataclass(frozen=True)
class History:
    """Training history of all samples, up to the start of an epoch.

    Attributes
    ----------
    epoch : int
        Number of completed epochs.
    losses : ndarray of shape (n_samples, n_epochs)
        Each sample's most recent training loss at the end of each of the last 10 epochs, or of
        all epochs if there are fewer; NaN if the sample had not been trained on by then.
    excess_loss : ndarray of shape (n_samples,)
        Each sample's most recent training loss minus the mean loss of its batch in that step.
    n_trained : ndarray of shape (n_samples,), int64
        Number of epochs in which each sample was trained on.
    clean_losses : ndarray of shape (n_epochs,)
        Mean loss on the clean set at the end of each of the epochs in `losses`; NaN if there is
        no clean set.

    Examples
    --------
    >>> import numpy as np
    >>> nothing = np.empty((3, 0))
    >>> history = History(0, nothing, np.full(3, np.nan), np.zeros(3, int), nothing[0])
    >>> history.epoch, history.losses.shape
    (0, (3, 0))
    """

    epoch: int
    losses: Floats
    excess_loss: Floats
    n_trained: Indices
    clean_losses: Floats


@dataclass(frozen=True)
class Candidates:
    """One candidate batch, with the data that a method needs.

    Attributes
    ----------
    indices : ndarray of shape (n,), int64
        Indices of the candidates in the training data.
    labels : ndarray of shape (n,), int64
        Class label of each candidate.
    n_keep : int
        Number of candidates to choose.
    rng : Generator
        Random generator for this batch, determined by the seed, the epoch and the batch's number.
    features : array of shape (n, d), optional
        Features of the candidates, for methods that need `FEATURES`.
    precomputed : array of shape (n, ...), optional
        The candidates' rows of the result of `Method.precompute`.
    last_loss : ndarray of shape (n,), optional
        For methods that need `LAST_LOSS`: each candidate's most recent training loss, or NaN
        if it has not been trained on yet.
    mean_last_loss : float, optional
        For methods that need `LAST_LOSS`: mean of the most recent losses over all training
        samples that have one; NaN if there are none.
    scores : array of shape (n, ...), optional
        For methods that need `HISTORY`: the candidates' rows of the result of `Method.score` at
        the start of the epoch.
    fresh : callable, optional
        For methods that need `FRESH`: loads the candidates, runs a forward pass of the model
        and returns its `Outputs`. The time of the call is recorded as selection time.
    reference : Outputs, optional
        Outputs of the reference model, for methods that need `REFERENCE`.
    progress : float, optional
        For methods that need `PROGRESS`: fraction of the training steps done, in [0, 1).
    step : int, optional
        For methods that need `PROGRESS`: number of training steps done.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> candidates = Candidates(np.arange(5), np.zeros(5, int), n_keep=2, rng=rng)
    >>> len(candidates), candidates.features is None
    (5, True)
    """

    indices: Indices
    labels: Indices
    n_keep: int
    rng: np.random.Generator
    features: Any = None
    precomputed: Any = None
    last_loss: Floats | None = None
    mean_last_loss: float | None = None
    scores: Any = None
    fresh: Callable[[], Outputs] | None = None
    reference: Outputs | None = None
    progress: float | None = None
    step: int | None = None

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class Choice:
    """The samples that a method keeps from a candidate batch.

    Attributes
    ----------
    positions : array of int, shape (k,)
        Distinct positions within the candidate batch.
    weights : array of shape (k,), optional
        Factor for each sample's loss in the mean over the batch.

    Examples
    --------
    >>> import numpy as np
    >>> Choice(np.array([3, 0])).weights is None
    True
    """

    positions: Indices
    weights: Floats | None = None


class Visits(Protocol):
    """The samples that each epoch visits, for methods that select an epoch's samples all at once.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods import get_method
    >>> visits = get_method("turns").visits(np.zeros(4, int), None, lambda epoch: 2, seed=0)
    >>> [visits.select(epoch, np.arange(4)).size for epoch in range(2)]
    [2, 2]
    """

    def prepare(self) -> Any:
        """Do the computations that all epochs share."""

    def select(self, epoch: int, order: Indices) -> Indices:
        """Return the samples that an epoch visits, in the given order of all samples.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.
        order : ndarray of shape (n_samples,), int64
            Permutation of all samples.

        Returns
        -------
        ndarray of shape (n_selected(epoch),), int64
        """


class Method(ABC):
    """A rule that decides which samples to train on, in a candidate batch or in an epoch.

    Methods that return no weights and need no inputs other than `FEATURES` and `DYNAMICS` run
    ahead of training, so samples that they discard are never loaded. Other methods run during
    the training step. To add options, make the subclass a frozen dataclass whose fields have
    defaults (int, float, bool or str). ``NAME:field=value`` then selects a variant wherever a
    name is accepted.

    Attributes
    ----------
    name : str
        Name on the command line and in tables.
    summary : str
        One-line description for ``--help``.
    needs : frozenset of str
        The inputs that the method needs: any of `FEATURES`, `LAST_LOSS`, `HISTORY`, `FRESH`,
        `REFERENCE`, `CLEAN`, `DYNAMICS` and `PROGRESS`.
    weighted : bool
        Whether the method returns weights.
    sets_own_count : bool
        Whether the method itself decides how many samples it keeps. If so, the requested filter
        ratio has no effect.

    Examples
    --------
    >>> import numpy as np
    >>> class First(Method):
    ...     name, summary = "first", "the first candidates"
    ...     def choose(self, candidates):
    ...         return Choice(np.arange(candidates.n_keep))
    >>> batch = Candidates(np.arange(10), np.zeros(10, int), 2, np.random.default_rng(0))
    >>> First().choose(batch).positions
    array([0, 1])
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    weighted: ClassVar[bool] = False
    sets_own_count: ClassVar[bool] = False

    @property
    def spec(self) -> str:
        """The name with all options that differ from their defaults: ``jest:n_chunks=8``."""
        if not is_dataclass(self):
            return self.name
        changed = [(f.name, getattr(self, f.name), f.default) for f in fields(self)]
        options = [f"{name}={value}" for name, value, default in changed if value != default]
        return self.name + (":" + ",".join(options) if options else "")

    @property
    def selects_ahead(self) -> bool:
        """Whether the method can choose before any sample is loaded."""
        return not self.weighted and self.needs <= {DYNAMICS, FEATURES}

    @property
    def n_dynamics(self) -> int:
        """Number of epochs in the preliminary training run, for methods that need `DYNAMICS`."""
        return 0

    @property
    def fits_on_features(self) -> bool:
        """Whether an estimator fitted on features (see `estimator`) replaces `choose`."""
        return False

    @property
    def schedules_epoch(self) -> bool:
        """Whether `visits` selects all samples of an epoch at once, so `choose` is not called."""
        return False

    def visits(
        self,
        labels: Indices,
        features: Any,
        n_selected: Callable[[int], int],
        *,
        seed: int,
        dynamics: Floats | None = None,
    ) -> Visits:
        """Return the schedule of all visits, for methods with `schedules_epoch`.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Classes of the training data.
        features : array of shape (n_samples, d)
            Features of the training data.
        n_selected : callable
            ``n_selected(epoch)`` returns the number of samples that the epoch visits.
        seed : int
            Seed for the schedule.
        dynamics : ndarray of shape (n_samples, n_dynamics), optional
            For methods that need `DYNAMICS`: the probability of each sample's label in each
            epoch of the preliminary training run.

        Returns
        -------
        Visits
        """
        raise NotImplementedError(f"method {self.name!r} does not schedule epochs")

    def schedule(self, filter_ratio: float, n_epochs: int) -> Schedule:
        """Return the schedule of the share discarded in each epoch.

        Parameters
        ----------
        filter_ratio : float
            Requested share of each candidate batch to discard, in [0, 1).
        n_epochs : int
            Number of training epochs.

        Returns
        -------
        Schedule
            By default, a constant: `filter_ratio`, or 0 for methods with ``sets_own_count``.
        """
        check_filter_ratio(filter_ratio)
        return make_schedule(0.0 if self.sets_own_count else filter_ratio)

    def step_fraction(self, kept_share: float) -> float:
        """Return the fraction of the usual number of steps that the method takes.

        Parameters
        ----------
        kept_share : float
            Share of the candidates that is kept at the requested filter ratio, in (0, 1].

        Returns
        -------
        float
            By default, 1.
        """
        return 1.0

    def precompute(self, labels: Indices, features: Any) -> Any:
        """Compute data for every training sample, once before training starts.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Classes of the training data.
        features : array of shape (n_samples, d) or None
            Features of the training data, for methods that need them.

        Returns
        -------
        ndarray of shape (n_samples, ...) or None
            The candidates' rows are passed to `choose` as ``candidates.precomputed``.
        """
        return None

    def score(self, history: History) -> Any:
        """Compute, for every training sample, the values that `choose` needs in the next epoch.

        For methods that need `HISTORY`, this is called at the start of each epoch.

        Parameters
        ----------
        history : History
            The training history so far.

        Returns
        -------
        ndarray of shape (n_samples, ...) or None
            The candidates' rows are passed to `choose` as ``candidates.scores``.
        """
        return None

    @abstractmethod
    def choose(self, candidates: Candidates) -> Choice:
        """Choose ``candidates.n_keep`` of the candidates.

        Parameters
        ----------
        candidates : Candidates
            The candidate batch; inputs that are not in `needs` are None.

        Returns
        -------
        Choice
            Methods that select ahead must keep exactly ``n_keep``; others should, unless they
            have ``sets_own_count``.
        """

    def estimator(self, filter_ratio: float) -> BaseEstimator:
        """Return an estimator that selects by features, for methods with `fits_on_features`.

        Parameters
        ----------
        filter_ratio : float
            Share discarded, in [0, 1).

        Returns
        -------
        estimator
        """
        raise NotImplementedError(f"method {self.name!r} has no estimator for features")


def check_choice(choice: Choice, method: Method, n: int, n_keep: int | None = None) -> Choice:
    """Check a choice and return it with sorted positions.

    Parameters
    ----------
    choice : Choice
        The value returned by a method.
    method : Method
        The method, for error messages.
    n : int
        Number of candidates.
    n_keep : int, optional
        Required number of selected samples; by default, any number.

    Returns
    -------
    Choice
        Positions in ascending order, with their weights.

    Raises
    ------
    RuntimeError
        If nothing was chosen, a position is out of range or repeated, the number of positions is
        not `n_keep`, or the weights do not match the positions.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods import get_method
    >>> check_choice(Choice(np.array([3, 0])), get_method("random"), n=5).positions
    array([0, 3])
    """
    positions = np.asarray(choice.positions)
    if not positions.size:
        raise RuntimeError(f"method {method.name!r} chose none of the {n} candidates")
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise RuntimeError(
            f"method {method.name!r} must return positions as integers of shape (k,); "
            f"got {positions.dtype} of shape {positions.shape}"
        )
    weights = None if choice.weights is None else np.asarray(choice.weights)
    if weights is not None and (
        weights.shape != positions.shape or weights.dtype.kind not in "fiu"
    ):
        raise RuntimeError(
            f"method {method.name!r} must return one weight for each of the {len(positions)} "
            f"chosen samples; got {weights.dtype} of shape {weights.shape}"
        )
    order = np.argsort(positions, kind="stable")
    positions = positions[order].astype(np.int64)
    if positions[0] < 0 or positions[-1] >= n or (np.diff(positions) == 0).any():
        raise RuntimeError(
            f"method {method.name!r} must choose distinct positions in [0, {n}); "
            f"got {positions.tolist()}"
        )
    if n_keep is not None and len(positions) != n_keep:
        raise RuntimeError(
            f"method {method.name!r} must choose {n_keep} of {n} candidates; chose {len(positions)}"
        )
    return Choice(positions, None if weights is None else weights[order])
