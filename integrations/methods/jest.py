"""JEST (Evans et al., NeurIPS 2024) for classifiers, in two forms under honest names.

Both draw by learnability, the learner's loss less that of a reference model, with the
sampler of the paper. They differ in the loss: JEST's is one of pairs, and cross-entropy
knows none.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._utils.validation import check_in, check_int, check_number
from spectral_select.integrations.methods.checks import given
from spectral_select.integrations.methods.interface import (
    FRESH,
    REFERENCE,
    Candidates,
    Choice,
    Indices,
    Method,
    Outputs,
)
from spectral_select.integrations.methods.joint_sampling import sample_jointly
from spectral_select.integrations.methods.registry import register

__all__ = ["Jest", "JestSigmoid"]

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Joint(Method):
    """Draw candidates in chunks, by what each pair of them has to teach."""

    n_chunks: int = 16
    gain: float = 1.0

    needs = frozenset({FRESH, REFERENCE})

    def __post_init__(self) -> None:
        check_int(self.n_chunks, "n_chunks", 1)
        check_number(self.gain, "gain", 0, closed="neither")

    @abstractmethod
    def learnability(self, learner: Outputs, reference: Outputs, labels: Indices) -> Floats:
        """Return S: for each pair of candidates the learner's loss less the reference's.

        Parameters
        ----------
        learner, reference : Outputs
            Of the candidates.
        labels : ndarray of shape (n,)
            Their classes.

        Returns
        -------
        ndarray of shape (n, n)
            It may be a view that repeats a column.
        """

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by joint learnability; the learner's outputs cost a forward pass."""
        learner, reference = given(candidates, "fresh")(), given(candidates, "reference")
        S = self.learnability(learner, reference, candidates.labels)
        rng, n_keep = candidates.rng, candidates.n_keep
        return Choice(sample_jointly(S, n_keep, self.n_chunks, rng, gain=self.gain))


@register
@dataclass(frozen=True)
class Jest(_Joint):
    """JEST on cross-entropy, which is a loss of single samples: RHO-LOSS sampling.

    A pair (i, j) has the learnability of i alone, Sᵢⱼ = sᵢ. Of the joint term
    Σₖ (Sₖᵢ + Sᵢₖ) over the m samples taken, the first part is then the same constant for
    every i, and the second is m·sᵢ: nothing is joint about it. What is left is sampling
    from softmax((1 + m)·s), that is, by the reducible holdout loss of RHO-LOSS
    (Mindermann et al., ICML 2022) with an inverse temperature that rises from chunk to
    chunk, from nearly proportional to nearly the largest.

    Parameters
    ----------
    n_chunks : int, default=16
        Number of chunks in which a batch is drawn.
    gain : float, default=1
        Inverse temperature of the first chunk; later ones have 1 + m times as much.

    Examples
    --------
    >>> import numpy as np
    >>> Jest().learnability(
    ...     Outputs(np.array([3.0, 1.0]), np.zeros((2, 2)), np.zeros((2, 2))),
    ...     Outputs(np.array([0.5, 2.0]), np.zeros((2, 2)), np.zeros((2, 2))),
    ...     np.array([0, 1]),
    ... )
    array([[ 2.5,  2.5],
           [-1. , -1. ]])
    """

    name = "jest"
    summary = "drawn by learnability (loss minus reference loss) in chunks (JEST, softmax loss)"

    def learnability(self, learner: Outputs, reference: Outputs, labels: Indices) -> Floats:
        """Return the learnability of the first of each pair."""
        with np.errstate(invalid="ignore"):  # infinite losses: the sampler knows what to do
            s = learner.loss - reference.loss
        return np.broadcast_to(s[:, None], (len(s), len(s)))


@register
@dataclass(frozen=True)
class JestSigmoid(_Joint):
    """JEST with the pairwise sigmoid loss, between embeddings and class weights.

    The loss of a pair is ℓᵢⱼ = softplus(−zᵢⱼ (t cosᵢⱼ + bias)), where cosᵢⱼ is the cosine
    between the embedding of sample i and the last layer's weights of the class of sample
    j, which stand in for the text of SigLIP (Zhai et al., ICCV 2023). z is +1 where both
    samples match and −1 elsewhere. The learner and the reference are each measured by
    weights of their own. Training is by cross-entropy all the same; this loss only chooses.

    What matches is an option, because two samples of a class share one "text". If samples
    of a class match, the text is right for both, and while the reference knows more than
    the learner, each sample taken speaks for others of its class: batches narrow to few
    classes. If each matches itself alone, as in SigLIP, the text is right for the one and
    wrong for the other, which speaks against others of a class that is taken.

    Parameters
    ----------
    n_chunks : int, default=16
        Number of chunks in which a batch is drawn.
    gain : float, default=1
        Inverse temperature of the softmax that a chunk is drawn from.
    t : float, default=10
        Factor of the cosine; the value that SigLIP starts from.
    bias : float, default=-10
        Added to it; the value that SigLIP starts from.
    match : {"class", "sample"}
        Whether samples of one class match, or each itself alone.

    Examples
    --------
    >>> import numpy as np
    >>> sure, unsure = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.zeros((2, 2))
    >>> S = JestSigmoid(bias=0.0).learnability(
    ...     Outputs(np.zeros(2), unsure, unsure), Outputs(np.zeros(2), sure, sure),
    ...     np.array([0, 1]),
    ... )
    >>> S.round(2)  # softplus(0) - softplus(-10), for matching pairs and others
    array([[0.69, 0.69],
           [0.69, 0.69]])
    """

    t: float = 10.0
    bias: float = -10.0
    match: str = "class"

    name = "jest-sigmoid"
    summary = "drawn by joint learnability of samples and classes (JEST, sigmoid loss)"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.t, "t", 0, closed="neither")
        check_number(self.bias, "bias")
        check_in(self.match, "match", ("class", "sample"))

    def learnability(self, learner: Outputs, reference: Outputs, labels: Indices) -> Floats:
        """Return the difference of the sigmoid losses of embedding i and class of j."""
        own = labels[:, None] == np.arange(learner.cosines.shape[1])
        if self.match == "class":
            return self._learnability(learner, reference, own)[:, labels]
        S = self._learnability(learner, reference, np.zeros_like(own))[:, labels]
        np.fill_diagonal(S, self._learnability(learner, reference, own)[own])
        return S

    def _learnability(self, learner: Outputs, reference: Outputs, own: NDArray[np.bool_]) -> Floats:
        """Return that of each sample with each class, shape (n, n_classes); `own` match."""
        # Samples of a class share its column, so the loss is computed once a class.
        z = np.where(own, 1, -1)
        with np.errstate(invalid="ignore"):
            loss, known = (
                np.logaddexp(0.0, -z * (self.t * outputs.cosines + self.bias))
                for outputs in (learner, reference)
            )
            difference: Floats = loss - known
        return difference
