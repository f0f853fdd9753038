"""JEST (Evans et al., NeurIPS 2024) for classifiers, in two variants.

Both variants draw by learnability (the learner's loss minus a reference model's loss) with the
paper's sampler. They differ in the loss: `Jest` uses cross-entropy, which is defined on single
samples; `JestSigmoid` uses the sigmoid loss, which is defined on pairs of samples.
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
    """Draw candidates in chunks, by the learnability of each pair."""

    n_chunks: int = 16
    gain: float = 1.0

    needs = frozenset({FRESH, REFERENCE})

    def __post_init__(self) -> None:
        check_int(self.n_chunks, "n_chunks", 1)
        check_number(self.gain, "gain", 0, closed="neither")

    @abstractmethod
    def learnability(self, learner: Outputs, reference: Outputs, labels: Indices) -> Floats:
        """Return S: for each pair of candidates, the learner's loss minus the reference's.

        Parameters
        ----------
        learner, reference : Outputs
            Outputs of the two models on the candidates.
        labels : ndarray of shape (n,)
            Class label of each candidate.

        Returns
        -------
        ndarray of shape (n, n)
            Possibly a view that repeats a column.
        """

    def choose(self, candidates: Candidates) -> Choice:
        """Choose by joint learnability, at the cost of a forward pass of the learner."""
        learner, reference = given(candidates, "fresh")(), given(candidates, "reference")
        S = self.learnability(learner, reference, candidates.labels)
        rng, n_keep = candidates.rng, candidates.n_keep
        return Choice(sample_jointly(S, n_keep, self.n_chunks, rng, gain=self.gain))


@register
@dataclass(frozen=True)
class Jest(_Joint):
    """JEST with cross-entropy; with this loss, JEST reduces to RHO-LOSS sampling.

    Cross-entropy is a loss on single samples, so the learnability of a pair (i, j) depends only
    on i: Sᵢⱼ = sᵢ. In the joint term Σₖ (Sₖᵢ + Sᵢₖ) over the m samples taken, the first part is
    then the same constant for every i, and the second is m·sᵢ, so samples do not interact. The
    sampler then draws from softmax((1 + m)·s), where s is the reducible holdout loss of RHO-LOSS
    (Mindermann et al., ICML 2022). The inverse temperature rises from chunk to chunk, so the
    draws change from nearly proportional to nearly greedy.

    Parameters
    ----------
    n_chunks : int, default=16
        Number of chunks in which a batch is drawn.
    gain : float, default=1
        Inverse temperature in the first chunk; it is multiplied by 1 + m in later chunks.

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
        """Return the learnability of the first sample in each pair."""
        with np.errstate(invalid="ignore"):  # the sampler handles infinite losses
            s = learner.loss - reference.loss
        return np.broadcast_to(s[:, None], (len(s), len(s)))


@register
@dataclass(frozen=True)
class JestSigmoid(_Joint):
    """JEST with the pairwise sigmoid loss between embeddings and class weights.

    The loss of a pair is ℓᵢⱼ = softplus(−zᵢⱼ (t cosᵢⱼ + bias)). Here cosᵢⱼ is the cosine
    between the embedding of sample i and the last layer's weights for the class of sample j.
    These weights replace the text embeddings in SigLIP (Zhai et al., ICCV 2023). zᵢⱼ is +1 if
    samples i and j match and −1 otherwise. The learner and the reference each use their own
    weights. This loss is used only for selection; training still uses cross-entropy.

    Which pairs match is an option, because two samples in a class share one "text". If
    samples in the same class match, the text is right for both. While the reference is better
    than the learner, each sample taken then favors others in its class, so batches narrow to
    a few classes. If each sample matches only itself, as in SigLIP, the text is right for one
    sample and wrong for the other, so each sample taken disfavors others in its class.

    Parameters
    ----------
    n_chunks : int, default=16
        Number of chunks in which a batch is drawn.
    gain : float, default=1
        Inverse temperature of the softmax that a chunk is drawn from.
    t : float, default=10
        Factor for the cosine; the default is SigLIP's initial value.
    bias : float, default=-10
        Term added to the scaled cosine; the default is SigLIP's initial value.
    match : {"class", "sample"}
        Whether a sample matches all samples in its class, or only itself.

    Examples
    --------
    >>> import numpy as np
    >>> sure, unsure = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.zeros((2, 2))
    >>> S = JestSigmoid(bias=0.0).learnability(
    ...     Outputs(np.zeros(2), unsure, unsure), Outputs(np.zeros(2), sure, sure),
    ...     np.array([0, 1]),
    ... )
    >>> S.round(2)  # softplus(0) - softplus(-10), whether or not the pair matches
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
        """Return the learner's sigmoid loss for i and the class of j, minus the reference's."""
        own = labels[:, None] == np.arange(learner.cosines.shape[1])
        if self.match == "class":
            return self._learnability(learner, reference, own)[:, labels]
        S = self._learnability(learner, reference, np.zeros_like(own))[:, labels]
        np.fill_diagonal(S, self._learnability(learner, reference, own)[own])
        return S

    def _learnability(self, learner: Outputs, reference: Outputs, own: NDArray[np.bool_]) -> Floats:
        """Return the learnability for each sample and class; `own` marks the matching pairs."""
        # All samples in a class share the class's column, so the loss is computed once per class.
        z = np.where(own, 1, -1)
        with np.errstate(invalid="ignore"):
            loss, known = (
                np.logaddexp(0.0, -z * (self.t * outputs.cosines + self.bias))
                for outputs in (learner, reference)
            )
            difference: Floats = loss - known
        return difference
