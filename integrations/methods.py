"""Selection methods behind one interface, and the registry that knows them by name.

A method is a rule over the samples of one candidate batch. It may look at their
features, at the loss each had when last trained on, or at a fresh loss of the whole
candidate batch; it returns the places kept, and weights if it has any. To add one,
write a subclass of `Method` with a name and a `choose`, and decorate it with `register`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spectral_select import FiedlerBatchSelector, n_kept
from spectral_select._ratio import check_filter_ratio

__all__ = [
    "FEATURES",
    "FRESH_LOSS",
    "LAST_LOSS",
    "Candidates",
    "Choice",
    "Fiedler",
    "Full",
    "Method",
    "Random",
    "RuleSelector",
    "Stratified",
    "get_method",
    "method_names",
    "register",
]

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

#: What a method may need: the stored features of the candidates,
FEATURES = "features"
#: the loss that each had when it was last trained on (NaN before that),
LAST_LOSS = "last_loss"
#: or the loss of all of them under the present model, at the price of a forward pass.
FRESH_LOSS = "fresh_loss"


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
    last_loss : ndarray of shape (n,), optional
        For methods that need `LAST_LOSS`; NaN for a sample not trained on yet.
    fresh_loss : callable, optional
        For methods that need `FRESH_LOSS`: loads the candidates, runs the model forward
        and returns their losses, shape (n,). What it costs counts as selection.
    """

    indices: Indices
    labels: Indices
    n_keep: int
    rng: np.random.Generator
    features: Any = None
    last_loss: Floats | None = None
    fresh_loss: Callable[[], Floats] | None = None

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
    """

    positions: Indices
    weights: Floats | None = None


class Method(ABC):
    """A rule that says which samples of a candidate batch to train on.

    Methods that need no loss and return no weights are run ahead of training, so what
    they leave out is never loaded; the others at the step itself.

    Attributes
    ----------
    name : str
        Name on the command line and in tables.
    summary : str
        One line for ``--help``.
    needs : frozenset of str
        Of `FEATURES`, `LAST_LOSS` and `FRESH_LOSS`.
    weighted : bool
        Whether it returns weights.

    Examples
    --------
    >>> import numpy as np
    >>> class First(Method):
    ...     name, summary = "first", "the first ones"
    ...     def choose(self, candidates):
    ...         return Choice(np.arange(candidates.n_keep))
    >>> selector = First().selector(0.8, labels=np.zeros(10, int), features=None, seed=0)
    >>> selector.fit(np.arange(10)[:, None]).get_support(indices=True)
    array([0, 1])
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    weighted: ClassVar[bool] = False

    @property
    def runs_ahead(self) -> bool:
        """Whether the choice can be made before any sample is loaded."""
        return not self.weighted and self.needs <= {FEATURES}

    @property
    def reads_table(self) -> bool:
        """Whether `selector` is to be fitted on features rather than on sample indices."""
        return False

    def filter_ratio(self, filter_ratio: float) -> float:
        """Return the share discarded by this method where `filter_ratio` is asked for."""
        return check_filter_ratio(filter_ratio)

    @abstractmethod
    def choose(self, candidates: Candidates) -> Choice:
        """Choose ``candidates.n_keep`` of the candidates.

        Parameters
        ----------
        candidates : Candidates

        Returns
        -------
        Choice
        """

    def selector(
        self, filter_ratio: float, *, labels: Indices, features: Any, seed: int
    ) -> BaseEstimator:
        """Return the rule as an estimator that `SpectralBatchSampler` can run ahead.

        Parameters
        ----------
        filter_ratio : float
            Share discarded, in [0, 1).
        labels : ndarray of shape (n_samples,)
            Classes of the training data.
        features : array of shape (n_samples, d) or None
            Features of the training data.
        seed : int
            Seed of whatever is random about the rule.

        Returns
        -------
        estimator
            Fitted on the candidates' indices, as a column, or on their features if
            `reads_table`.
        """
        return RuleSelector(self, filter_ratio, labels=labels, features=features, random_state=seed)


class RuleSelector(BaseEstimator):
    """Run a method's `choose` on each candidate batch, as a scikit-learn selector.

    Parameters
    ----------
    method : Method
        The rule.
    filter_ratio : float
        Share discarded, in [0, 1).
    labels, features
        Of the whole training data, looked up by index.
    candidate_size : int, optional
        Rows in a candidate batch; by default all rows are one.
    random_state : int
        Seed of the batches' generators.
    """

    def __init__(
        self,
        method: Method,
        filter_ratio: float = 0.8,
        *,
        labels: Indices,
        features: Any = None,
        candidate_size: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.filter_ratio = filter_ratio
        self.labels = labels
        self.features = features
        self.candidate_size = candidate_size
        self.random_state = random_state

    def __sklearn_clone__(self) -> "RuleSelector":
        # Copies share the tables, which may be as large as the data set.
        return RuleSelector(**self.get_params(deep=False))

    def fit(self, X: Any, y: Any = None) -> "RuleSelector":
        """Choose among the samples whose indices `X` holds, shape (n, 1)."""
        indices = np.asarray(X)[:, 0].astype(np.int64)
        size = self.candidate_size or len(indices)
        kept = []
        for number, start in enumerate(range(0, len(indices), size)):
            part = indices[start : start + size]
            n_keep = n_kept(len(part), self.filter_ratio)
            choice = self.method.choose(
                Candidates(
                    part,
                    self.labels[part],
                    n_keep,
                    np.random.default_rng([self.random_state, number]),
                    features=None if self.features is None else self.features[part],
                )
            )
            choice = check_choice(choice, self.method, len(part), n_keep)
            if choice.weights is not None:
                raise RuntimeError(
                    f"method {self.method.name!r} returned weights; to have them used, "
                    "set weighted = True in its class"
                )
            kept.append(start + choice.positions)
        self.support_ = np.zeros(len(indices), bool)
        self.support_[np.concatenate(kept)] = True
        return self

    def get_support(self, indices: bool = False) -> NDArray[Any]:
        """Return which rows are kept, as a mask or as indices."""
        return np.flatnonzero(self.support_) if indices else self.support_


def check_choice(choice: Choice, method: Method, n: int, n_keep: int | None = None) -> Choice:
    """Return a choice with its places ascending, or say what is wrong with it."""
    positions = np.asarray(choice.positions)
    if not positions.size:
        raise RuntimeError(f"method {method.name!r} chose nothing of {n} candidates")
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise RuntimeError(
            f"method {method.name!r} must choose places, integers of shape (k,); "
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
            f"method {method.name!r} must choose different places in [0, {n}); "
            f"got {positions.tolist()}"
        )
    if n_keep is not None and len(positions) != n_keep:
        raise RuntimeError(
            f"method {method.name!r} must choose {n_keep} of {n} candidates; chose {len(positions)}"
        )
    return Choice(positions, None if weights is None else weights[order])


_REGISTRY: dict[str, type[Method]] = {}


def register(method: type[Method]) -> type[Method]:
    """Enter a method into the registry under its name; use as a decorator.

    Raises
    ------
    ValueError
        If the name is taken by another class.
    """
    known = _REGISTRY.setdefault(method.name, method)
    if known is not method:
        raise ValueError(f"there is a method {method.name!r} already: {known.__qualname__}")
    return method


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, in the order they were registered.

    Examples
    --------
    >>> method_names()[:3]
    ('full', 'random', 'fiedler')
    """
    return tuple(_REGISTRY)


def get_method(name: str) -> Method:
    """Return the method called `name`.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> get_method("fiedler").summary
    'the largest |v| of the Fiedler vector (SALN)'
    """
    if name not in _REGISTRY:
        known = ", ".join(method_names())
        raise ValueError(f"method must be one of {known}; got {name!r}")
    return _REGISTRY[name]()


def check_methods(names: Sequence[str]) -> list[Method]:
    """Return the methods called `names`, at least one, none twice."""
    if isinstance(names, str) or not len(names):
        raise ValueError(f"methods must be a list of one or more names; got {names!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"methods must not name one twice; got {', '.join(names)}")
    return [get_method(name) for name in names]


@register
class Full(Method):
    """Every sample: the standard training that the others are compared with."""

    name = "full"
    summary = "every sample of each candidate batch"

    def filter_ratio(self, filter_ratio: float) -> float:
        """Return 0: nothing is discarded."""
        check_filter_ratio(filter_ratio)
        return 0.0

    def choose(self, candidates: Candidates) -> Choice:
        """Choose all of them."""
        return Choice(np.arange(len(candidates)))


@register
class Random(Method):
    """A fresh uniform subset of each candidate batch: the baseline that is hard to beat."""

    name = "random"
    summary = "a fresh random subset"

    def choose(self, candidates: Candidates) -> Choice:
        """Choose without replacement, every subset equally likely."""
        return Choice(candidates.rng.permutation(len(candidates))[: candidates.n_keep])


class Spectral(Method):
    """A rule on the Fiedler vector of the candidates' similarity graph.

    The selector itself goes to the sampler, which solves blocks of batches at once.
    """

    needs = frozenset({FEATURES})
    options: ClassVar[dict[str, Any]] = {}

    @property
    def reads_table(self) -> bool:
        """True: the Fiedler vector is of the features."""
        return True

    def selector(
        self, filter_ratio: float, *, labels: Indices, features: Any, seed: int
    ) -> BaseEstimator:
        """Return the `FiedlerBatchSelector` that this method stands for."""
        return FiedlerBatchSelector(filter_ratio, **self.options)

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by the Fiedler vector of this one batch."""
        # A share that keeps exactly n_keep whatever the rounding.
        ratio = 1.0 - candidates.n_keep / len(candidates)
        fitted = FiedlerBatchSelector(ratio, **self.options).fit(candidates.features)
        return Choice(fitted.get_support(indices=True))


@register
class Fiedler(Spectral):
    """SALN, Algorithm 1: the samples with the largest absolute Fiedler entries."""

    name = "fiedler"
    summary = "the largest |v| of the Fiedler vector (SALN)"
    options: ClassVar[dict[str, Any]] = {"rule": "extreme", "laplacian": "unnormalized"}


@register
class Stratified(Spectral):
    """A spread: one sample from each of k equal stretches of the Fiedler order."""

    name = "stratified"
    summary = "one from each stretch of the Fiedler order, symmetric Laplacian"
    options: ClassVar[dict[str, Any]] = {"rule": "stratified", "laplacian": "symmetric"}
