"""A method's rule as a scikit-learn estimator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spectral_select import n_kept
from spectral_select.integrations.methods.interface import (
    Candidates,
    Indices,
    Method,
    check_choice,
)

__all__ = ["RuleSelector"]


class RuleSelector(BaseEstimator):
    """Run a method's `choose` on each candidate batch, as a scikit-learn selector.

    Parameters
    ----------
    method : Method
        The rule.
    filter_ratio : float
        Share discarded, in [0, 1).
    labels : ndarray of shape (n_samples,)
        Classes of the whole training data, looked up by index.
    features : array of shape (n_samples, d), optional
        Its features, for methods that need them.
    precomputed : array of shape (n_samples, ...), optional
        What the method's `precompute` returned.
    candidate_size : int, optional
        Rows in a candidate batch; by default all rows are one.
    random_state : int
        Seed of the batches' generators.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_select.integrations.methods import get_method
    >>> selector = RuleSelector(get_method("random"), 0.8, labels=np.zeros(100, int))
    >>> selector.fit(np.arange(40)[:, None]).get_support(indices=True).shape
    (8,)
    """

    def __init__(
        self,
        method: Method,
        filter_ratio: float = 0.8,
        *,
        labels: Indices,
        features: Any = None,
        precomputed: Any = None,
        candidate_size: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.filter_ratio = filter_ratio
        self.labels = labels
        self.features = features
        self.precomputed = precomputed
        self.candidate_size = candidate_size
        self.random_state = random_state

    def __sklearn_clone__(self) -> "RuleSelector":
        # Copies share the tables, which may be as large as the dataset.
        return RuleSelector(**self.get_params(deep=False))

    def fit(self, X: Any, y: Any = None) -> "RuleSelector":
        """Choose among the samples whose indices `X` holds.

        Parameters
        ----------
        X : ndarray of shape (n, 1)
            Indices into the training data.
        y : None
            Ignored.

        Returns
        -------
        self
        """
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
                    precomputed=None if self.precomputed is None else self.precomputed[part],
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
        """Return which rows are kept.

        Parameters
        ----------
        indices : bool, default=False
            Return integer indices instead of a mask.

        Returns
        -------
        ndarray of shape (n,) or (n_kept,)
        """
        return np.flatnonzero(self.support_) if indices else self.support_
