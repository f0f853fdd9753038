"""What a selection method is: a rule over the samples of one candidate batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spectral_select import Schedule, make_schedule

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

#: What a method may need: the stored features of the candidates,
FEATURES = "features"
#: the loss that each had when it was last trained on (NaN before that),
LAST_LOSS = "last_loss"
#: what training has recorded of all samples, up to the start of the epoch,
HISTORY = "history"
#: the outputs of the present model on all of them, at the price of a forward pass,
FRESH = "fresh"
#: those of a reference model trained beforehand, at the price of its training,
REFERENCE = "reference"
#: the mean loss of a clean set after each epoch, at the price of a forward pass of that set,
CLEAN = "clean"
#: the probability of each label in each epoch of a training on all samples beforehand, at the
#: price of that training,
DYNAMICS = "dynamics"
#: or how far training has come.
PROGRESS = "progress"


@dataclass(frozen=True)
class Outputs:
    """Outputs of a network for some samples.

    Attributes
    ----------
    loss : ndarray of shape (n,)
        Cross-entropy of each sample.
    logits : ndarray of shape (n, n_classes)
        What the last layer gives.
    cosines : ndarray of shape (n, n_classes)
        Cosine between each sample's embedding, the input of the last layer, and each
        class's row of that layer's weights.
    embeddings : ndarray of shape (n, d), optional
        The input of the last layer; not kept for a reference model.

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
    """What training has recorded of all samples, up to the start of an epoch.

    Attributes
    ----------
    epoch : int
        Number of epochs that are over.
    losses : ndarray of shape (n_samples, n_epochs)
        Loss of each sample when it was last trained on, at the end of each of the latest
        epochs, at most 10; NaN before it was trained on.
    excess_loss : ndarray of shape (n_samples,)
        Loss of each sample when it was last trained on, less the mean loss of that batch.
    n_trained : ndarray of shape (n_samples,), int64
        Number of epochs that trained on each sample.
    clean_losses : ndarray of shape (n_epochs,)
        Mean loss of the clean set at the end of each of these epochs; NaN without one.

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
    """One candidate batch, as a method sees it.

    Attributes
    ----------
    indices : ndarray of shape (n,), int64
        Places of the candidates in the training data.
    labels : ndarray of shape (n,), int64
        Their classes.
    n_keep : int
        Number of them to choose.
    rng : Generator
        Randomness of this batch alone: a function of seed, epoch and batch.
    features : array of shape (n, d), optional
        For methods that need `FEATURES`.
    precomputed : array of shape (n, ...), optional
        Their rows of what the method's `precompute` returned.
    last_loss : ndarray of shape (n,), optional
        For methods that need `LAST_LOSS`; NaN for a sample not trained on yet.
    mean_last_loss : float, optional
        For methods that need `LAST_LOSS`: its mean over all samples of the training data
        trained on so far; NaN if there are none.
    scores : array of shape (n, ...), optional
        For methods that need `HISTORY`: their rows of what the method's `score` returned at
        the start of the epoch.
    fresh : callable, optional
        For methods that need `FRESH`: loads the candidates, runs the model forward and
        returns its `Outputs`. What it costs counts as selection.
    reference : Outputs, optional
        For methods that need `REFERENCE`.
    progress : float, optional
        For methods that need `PROGRESS`: share of the training's steps done, in [0, 1).
    step : int, optional
        For methods that need `PROGRESS`: number of them done.

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
    """What a method keeps of a candidate batch.

    Attributes
    ----------
    positions : array of int, shape (k,)
        Places within the candidate batch, no place twice.
    weights : array of shape (k,), optional
        Factor of each one's loss in the mean over the batch.

    Examples
    --------
    >>> import numpy as np
    >>> Choice(np.array([3, 0])).weights is None
    True
    """

    positions: Indices
    weights: Floats | None = None


class Visits(Protocol):
    """The samples that each epoch visits, for methods that select whole epochs.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods import get_method
    >>> visits = get_method("turns").visits(np.zeros(4, int), None, lambda epoch: 2, seed=0)
    >>> [visits.select(epoch, np.arange(4)).size for epoch in range(2)]
    [2, 2]
    """

    def prepare(self) -> Any:
        """Compute what all epochs share, once."""

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
    """A rule that says which samples of a candidate batch to train on.

    Methods that need no more than features and return no weights are run ahead of
    training, so what they leave out is never loaded; the others at the step itself.
    Options are fields: make the subclass a frozen dataclass whose fields have defaults
    (int, float, bool or str), and ``NAME:field=value`` names a variant of it everywhere.

    Attributes
    ----------
    name : str
        Name on the command line and in tables.
    summary : str
        One line for ``--help``.
    needs : frozenset of str
        Of `FEATURES`, `LAST_LOSS`, `HISTORY`, `FRESH`, `REFERENCE`, `CLEAN`,
        `DYNAMICS` and `PROGRESS`.
    weighted : bool
        Whether it returns weights.

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

    @property
    def spec(self) -> str:
        """The name with those options that are not at their defaults: ``jest:n_chunks=8``."""
        if not is_dataclass(self):
            return self.name
        changed = [(f.name, getattr(self, f.name), f.default) for f in fields(self)]
        options = [f"{name}={value}" for name, value, default in changed if value != default]
        return self.name + (":" + ",".join(options) if options else "")

    @property
    def selects_ahead(self) -> bool:
        """Whether the choice can be made before any sample is loaded."""
        return not self.weighted and self.needs <= {DYNAMICS, FEATURES}

    @property
    def n_dynamics(self) -> int:
        """Number of epochs of the training beforehand, for methods that need `DYNAMICS`."""
        return 0

    @property
    def fits_on_features(self) -> bool:
        """Whether `estimator` selects by features, without `choose`."""
        return False

    @property
    def schedules_epoch(self) -> bool:
        """Whether `visits` selects whole epochs, instead of `choose` single batches."""
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
            ``n_selected(epoch)`` is the number of samples of an epoch.
        seed : int
            Seed of the schedule.
        dynamics : ndarray of shape (n_samples, n_dynamics), optional
            For methods that need `DYNAMICS`.

        Returns
        -------
        Visits
        """
        raise NotImplementedError(f"method {self.name!r} does not schedule epochs")

    def schedule(self, filter_ratio: float, n_epochs: int) -> Schedule:
        """Return the share discarded by epoch where `filter_ratio` is asked for.

        Parameters
        ----------
        filter_ratio : float
            Share of each candidate batch to be discarded, in [0, 1).
        n_epochs : int
            Number of epochs of the training.

        Returns
        -------
        Schedule
            By default constant.
        """
        return make_schedule(filter_ratio)

    def step_fraction(self, kept_share: float) -> float:
        """Return the share of the usual number of steps that is taken.

        Parameters
        ----------
        kept_share : float
            Share of its candidates that a method keeps by the ratio asked for, in (0, 1].

        Returns
        -------
        float
            By default 1.
        """
        return 1.0

    def precompute(self, labels: Indices, features: Any) -> Any:
        """Return what is worth knowing of every training sample before training, if anything.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Classes of the training data.
        features : array of shape (n_samples, d) or None
            Features of the training data, for methods that need them.

        Returns
        -------
        ndarray of shape (n_samples, ...) or None
            Its rows come with the candidates as ``precomputed``.
        """
        return None

    def score(self, history: History) -> Any:
        """Return what is worth knowing of every training sample in the next epoch, if anything.

        It is called at the start of each epoch, for methods that need `HISTORY`.

        Parameters
        ----------
        history : History
            What training has recorded so far.

        Returns
        -------
        ndarray of shape (n_samples, ...) or None
            Its rows come with the candidates as ``scores``.
        """
        return None

    @abstractmethod
    def choose(self, candidates: Candidates) -> Choice:
        """Choose ``candidates.n_keep`` of the candidates.

        Parameters
        ----------
        candidates : Candidates
            What it may look at: whatever it `needs`, and None for the rest.

        Returns
        -------
        Choice
            Methods that run ahead must keep exactly this number; the others should.
        """

    def estimator(self, filter_ratio: float) -> BaseEstimator:
        """Return the method as an estimator over features, if `fits_on_features`.

        Parameters
        ----------
        filter_ratio : float
            Share discarded, in [0, 1).

        Returns
        -------
        estimator
        """
        raise NotImplementedError(f"method {self.name!r} has no estimator over features")


def check_choice(choice: Choice, method: Method, n: int, n_keep: int | None = None) -> Choice:
    """Check a choice and return it with ascending positions.

    Parameters
    ----------
    choice : Choice
        The return value of a method.
    method : Method
        The method, for the message.
    n : int
        Number of candidates.
    n_keep : int, optional
        Required number of selected samples, if any.

    Returns
    -------
    Choice
        Ascending positions with their weights.

    Raises
    ------
    RuntimeError
        If nothing was chosen, a position is out of range or chosen twice, the number is not
        `n_keep`, or the weights do not match the positions.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods import get_method
    >>> check_choice(Choice(np.array([3, 0])), get_method("random"), n=5).positions
    array([0, 3])
    """
    positions = np.asarray(choice.positions)
    if not positions.size:
        raise RuntimeError(f"method {method.name!r} chose nothing of {n} candidates")
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise RuntimeError(
            f"method {method.name!r} must choose positions, integers of shape (k,); "
            f"got {positions.dtype} of shape {positions.shape}"
        )
    weights = None if choice.weights is None else np.asarray(choice.weights)
    if weights is not None and (
        weights.shape != positions.shape or weights.dtype.kind not in "fiu"
    ):
        raise RuntimeError(
            f"method {method.name!r} must return one weight for each of the {len(positions)} "
            f"chosen; got {weights.dtype} of shape {weights.shape}"
        )
    order = np.argsort(positions, kind="stable")
    positions = positions[order].astype(np.int64)
    if positions[0] < 0 or positions[-1] >= n or (np.diff(positions) == 0).any():
        raise RuntimeError(
            f"method {method.name!r} must choose different positions in [0, {n}); "
            f"got {positions.tolist()}"
        )
    if n_keep is not None and len(positions) != n_keep:
        raise RuntimeError(
            f"method {method.name!r} must choose {n_keep} of {n} candidates; chose {len(positions)}"
        )
    return Choice(positions, None if weights is None else weights[order])
