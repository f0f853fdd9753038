"""Train network heads on stored embeddings with any selection method, for cheap comparisons.

A head has one hidden ReLU layer and a linear layer. Its inputs are embeddings, standardized
over the pool. It is trained with Adam and a cosine learning-rate schedule that falls to 0.
Methods receive the same inputs as in ``spectral-select train``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from _budgets import FORWARD, CannotTrainError, epochs_of_reference, limit_of
from _conditions import Pool
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from spectral_select import n_kept
from spectral_select.integrations.data.splits import stratified_split
from spectral_select.integrations.methods import (
    CLEAN,
    DYNAMICS,
    FEATURES,
    REFERENCE,
    CandidateSource,
    Choice,
    Method,
    Outputs,
    check_choice,
)
from spectral_select.integrations.methods.interface import Visits
from spectral_select.integrations.runtime.seeding import stream
from spectral_select.integrations.training.clean_set import CLEAN_SHARE
from spectral_select.integrations.training.config import TrainConfig, learning_rate
from spectral_select.integrations.training.dynamics import probabilities_of
from spectral_select.integrations.training.reference_model import outputs_of
from spectral_select.integrations.training.sample_history import SampleHistory

__all__ = ["WIDTH", "Head", "Problem", "train"]

WIDTH = 256
REFERENCE_LR = 1e-3  # the usual rate for Adam; the reference model is not tuned
_BATCH = 1024


class Head:
    """A classifier with one hidden layer, and its optimizer.

    Parameters
    ----------
    dim, n_classes : int
        Length of an embedding, and number of classes.
    seed : int
        Seed for the initial weights.
    """

    def __init__(self, dim: int, n_classes: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(fan_in: int, *shape: int, gain: float) -> Tensor:
            weights = torch.randn(*shape, generator=generator) * (gain / fan_in) ** 0.5
            return weights.requires_grad_()

        self.inner = normal(dim, WIDTH, dim, gain=2)
        self.outer = normal(WIDTH, n_classes, WIDTH, gain=1)
        self.inner_bias = torch.zeros(WIDTH, requires_grad=True)
        self.outer_bias = torch.zeros(n_classes, requires_grad=True)
        parameters = [self.inner, self.inner_bias, self.outer, self.outer_bias]
        self._optimizer = torch.optim.Adam(parameters, fused=True)

    def hidden(self, inputs: Tensor) -> Tensor:
        return functional.relu(functional.linear(inputs, self.inner, self.inner_bias))

    def logits(self, inputs: Tensor) -> Tensor:
        return functional.linear(self.hidden(inputs), self.outer, self.outer_bias)

    @torch.no_grad()
    def outputs(self, inputs: Tensor, labels: Tensor) -> Outputs:
        """Return the outputs that methods may need; the hidden layer provides the embeddings."""
        embeddings = self.hidden(inputs)
        logits = functional.linear(embeddings, self.outer, self.outer_bias)
        cosines = functional.normalize(embeddings) @ functional.normalize(self.outer).T
        losses = functional.cross_entropy(logits, labels, reduction="none")
        return Outputs(losses.numpy(), logits.numpy(), cosines.numpy(), embeddings.numpy())

    def step(self, inputs: Tensor, labels: Tensor, lr: float, weights: Any = None) -> Tensor:
        """Take an optimizer step; return each sample's loss before the step."""
        self._optimizer.param_groups[0]["lr"] = lr
        losses = functional.cross_entropy(self.logits(inputs), labels, reduction="none")
        loss = losses.mean() if weights is None else (losses * torch.as_tensor(weights)).mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return losses.detach()


@dataclass
class _Reference:
    outputs: Outputs
    cost: float


@dataclass
class Problem:
    """Training data, evaluation data, and a cache shared by several runs.

    Attributes
    ----------
    pool : Pool
        Training data.
    features, labels : arrays of shape (m, d) and (m,)
        Evaluation data.
    n_classes : int
    seed : int
        Seed for every run.
    choose_by : array of shape (n, d), optional
        Features of the pool that methods use; by default, the features used for training.
    """

    pool: Pool
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    n_classes: int
    seed: int
    choose_by: NDArray[np.float32] | None = None
    # Results that do not depend on the network are computed once for all learning rates.
    _made: dict[tuple[Any, ...], tuple[Any, float]] = field(default_factory=dict)
    _references: dict[tuple[float, int], _Reference] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.choose_by is None:
            self.choose_by = self.pool.features
        mean = self.pool.features.mean(0, dtype=np.float64)
        scale = self.pool.features.std(0, dtype=np.float64)
        scale += 1e-3 * (scale.mean() or 1.0)  # avoids division by zero for a constant column

        def standardize(rows: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(((rows - mean) / scale).astype(np.float32))

        self._inputs = standardize(self.pool.features)
        self._targets = torch.from_numpy(self.pool.labels)
        self._test_inputs = standardize(self.features)

    def head(self, *more: int) -> Head:
        """Return an untrained head, the same for all methods."""
        dim = self.pool.features.shape[1]
        return Head(dim, self.n_classes, stream(self.seed, "model", *more))

    def precomputed(self, method: Method) -> tuple[Any, float]:
        """Return the result of a method's `precompute`, and the seconds it took."""
        features = self.choose_by if FEATURES in method.needs else None
        return self.once(
            ("precomputed", method.spec), lambda: method.precompute(self.pool.labels, features)
        )

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> tuple[Any, float]:
        """Return the result of the first call of `make` for this key, and the seconds it took."""
        if key not in self._made:
            begin = perf_counter()
            self._made[key] = make(), perf_counter() - begin
        return self._made[key]

    def reference(self, epochs: float, size: int) -> _Reference:
        """Return the outputs of cross-fitted heads, each trained on one half of the pool.

        Parameters
        ----------
        epochs : float
            Number of passes that each head makes over its half.
        size : int
            Batch size.
        """
        if (epochs, size) not in self._references:
            self._references[epochs, size] = self._cross_fit(epochs, size)
        return self._references[epochs, size]

    def _cross_fit(self, epochs: float, size: int) -> _Reference:
        labels, n = self.pool.labels, len(self.pool)
        halves = stratified_split(labels, n // 2, [self.seed, 0])
        logits, cosines = np.empty((2, n, self.n_classes), np.float32)
        cost = FORWARD * n
        for half, (seen, held) in enumerate((halves, halves[::-1])):
            head, batch = self.head(1 + half), min(size, len(seen))
            n_steps = max(1, round(epochs * (len(seen) // batch)))
            order = _Order(len(seen), batch, stream(self.seed, "order", 1 + half))
            for step in range(n_steps):
                lr = learning_rate("cosine", REFERENCE_LR, step, n_steps)
                head.step(*self.rows(seen[order.batch(step)]), lr)
            cost += n_steps * batch
            outputs = head.outputs(*self.rows(held))
            logits[held], cosines[held] = outputs.logits, outputs.cosines
        return _Reference(outputs_of(logits, cosines, labels), cost)

    def dynamics(self, epochs: int, size: int) -> NDArray[np.float64]:
        """Train a head on the pool, and return the label probabilities in each epoch.

        Parameters
        ----------
        epochs : int
            Number of epochs.
        size : int
            Batch size.
        """

        def make() -> NDArray[np.float64]:
            head, order = self.head(3), _Order(len(self.pool), size, stream(self.seed, "order", 3))
            losses = np.full((len(self.pool), epochs), np.nan)
            n_steps = epochs * order.n_batches
            for step in range(n_steps):
                epoch, batch = step // order.n_batches, order.batch(step)
                if epoch and step % order.n_batches == 0:  # samples in no batch keep their losses
                    losses[:, epoch] = losses[:, epoch - 1]
                lr = learning_rate("cosine", REFERENCE_LR, step, n_steps)
                losses[batch, epoch] = head.step(*self.rows(batch), lr).numpy()
            return probabilities_of(losses)

        found: NDArray[np.float64] = self.once(("dynamics", epochs, size), make)[0]
        return found

    def clean_set(self) -> tuple[Tensor, Tensor]:
        """Return standardized features and true labels of a random 1% of the pool."""
        n = len(self.pool)
        rng = np.random.default_rng([self.seed, 3])
        places = torch.from_numpy(rng.permutation(n)[: max(1, round(CLEAN_SHARE * n))])
        return self._inputs[places], torch.from_numpy(self.pool.true_labels)[places]

    def measure(self, head: Head) -> dict[str, float]:
        """Return the accuracy, its mean over classes, and the accuracy on the worst class."""
        with torch.no_grad():
            parts = self._test_inputs.split(_BATCH)
            answers = np.concatenate([head.logits(part).argmax(1).numpy() for part in parts])
        right = answers == self.labels
        sizes = np.bincount(self.labels)
        per_class = np.bincount(self.labels, right)[sizes > 0] / sizes[sizes > 0]
        return {
            "accuracy": float(right.mean()),
            "balanced": float(per_class.mean()),
            "worst": float(per_class.min()),
        }

    def visits(self, method: Method, config: TrainConfig) -> tuple[Visits, float]:
        """Return the visits scheduled by a method, and the seconds this took."""
        n_batches, kept = (
            len(self.pool) // config.candidate_size,
            config.n_kept(config.filter_ratio),
        )

        def make() -> Visits:
            seed = stream(self.seed, "choice")
            visits = method.visits(
                self.pool.labels,
                self.choose_by,
                lambda epoch: n_batches * kept,
                seed=seed,
                dynamics=self.dynamics(method.n_dynamics, config.candidate_size)
                if DYNAMICS in method.needs
                else None,
            )
            visits.prepare()
            return visits

        return self.once(("visits", method.spec, config), make)

    def batches_of_epoch(
        self, method: Method, config: TrainConfig, epoch: int
    ) -> tuple[list[NDArray[np.int64]], float]:
        """Return the batches in an epoch, and the seconds that the selection took."""
        order = _Order(len(self.pool), config.candidate_size, stream(self.seed, "order"))

        def make() -> list[NDArray[np.int64]]:
            visits, _ = self.visits(method, config)
            order.set_epoch(epoch)
            return np.split(visits.select(epoch, np.array(list(order))), order.n_batches)

        return self.once(("epoch", method.spec, config, epoch), make)

    def rows(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return standardized features and labels of some samples in the pool."""
        places = torch.from_numpy(indices)
        return self._inputs[places], self._targets[places]


class _Order:
    """A new random order in each epoch, as a sampler or as a sequence of full batches."""

    def __init__(self, n: int, size: int, seed: int) -> None:
        self.n, self.size, self.seed = n, size, seed
        self.n_batches = n // size
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._order = np.random.default_rng([self.seed, epoch]).permutation(self.n)

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter(self._order.tolist())

    def batch(self, step: int) -> NDArray[np.int64]:
        epoch, number = divmod(step, self.n_batches)
        if epoch != self._epoch:
            self.set_epoch(epoch)
        return self._order[number * self.size : (number + 1) * self.size]


class _Chooser:
    """Lets a method choose from one candidate batch after another, as the command `train` does."""

    def __init__(self, problem: Problem, method: Method, config: TrainConfig, budget: str) -> None:
        self.problem, self.method, self.config = problem, method, config
        self.order = _Order(len(problem.pool), config.candidate_size, stream(problem.seed, "order"))
        self.precomputed, self.precompute_seconds = problem.precomputed(method)
        if method.schedules_epoch:
            self.precompute_seconds += problem.visits(method, config)[1]
        self.reference = None
        if REFERENCE in method.needs:
            epochs = epochs_of_reference(method, budget, config)
            self.reference = problem.reference(epochs, config.candidate_size)
        # Cost of preliminary training, in training steps on one sample.
        self.trained_before = self.reference.cost if self.reference else 0.0
        self.trained_before += method.n_dynamics * self.order.n_batches * config.candidate_size
        self.history = SampleHistory(len(problem.pool), method, torch.device("cpu"))
        self._scores: Any = None
        self.seconds = 0.0  # time spent choosing, without forward passes
        self.n_forward = 0  # number of samples in forward passes
        self._schedule = method.schedule(config.filter_ratio, config.epochs)
        self._seed = stream(problem.seed, "choice")
        self._number = 0  # number of candidate batches so far

    def next(self, head: Head, done: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the samples kept from the next candidate batch, and their weights.

        Parameters
        ----------
        head : Head
            The head in its current state.
        done : float
            Fraction of the budget that is spent.
        """
        number, indices = self._number, self.order.batch(self._number)
        self._number += 1
        if number and number % self.order.n_batches == 0:
            self.history.end_epoch(self._clean_loss(head))
            self._scores = None
        if self.method.schedules_epoch:
            return self._next_of_epoch(*divmod(number, self.order.n_batches))
        # Scale the epoch so that schedules go through all their epochs within the budget.
        epoch = int(done * self.config.epochs)
        n_keep = n_kept(len(indices), self._schedule(epoch))
        if self.method.selects_ahead:
            choice, seconds = self.problem.once(
                ("choice", self.method.spec, n_keep, number),
                lambda: self._choose(head, indices, number, n_keep, done)[0],
            )
        else:
            choice, seconds = self._choose(head, indices, number, n_keep, done)
        self.seconds += seconds
        weights = np.ones(len(choice.positions)) if choice.weights is None else choice.weights
        return indices[choice.positions], np.asarray(weights, np.float32)

    def _next_of_epoch(
        self, epoch: int, number: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return batch `number` of an epoch that was scheduled as a whole by the method."""
        batches, seconds = self.problem.batches_of_epoch(self.method, self.config, epoch)
        self.seconds += seconds / len(batches)
        batch = batches[number]
        return batch, np.ones(len(batch), np.float32)

    def _choose(
        self, head: Head, indices: NDArray[np.int64], number: int, n_keep: int, done: float
    ) -> tuple[Choice, float]:
        """Return the choice and the seconds it took."""
        problem = self.problem
        begin, forward = perf_counter(), list[Outputs]()
        in_forward = 0.0

        def fresh() -> Outputs:
            nonlocal in_forward
            if not forward:
                start = perf_counter()
                forward.append(head.outputs(*problem.rows(indices)))
                self.n_forward += len(indices)
                in_forward += perf_counter() - start
            return forward[0]

        source = CandidateSource(
            self.method,
            problem.pool.labels,
            problem.choose_by,
            self.precomputed,
            self.reference.outputs if self.reference else None,
        )
        candidates = source.candidates(
            indices,
            n_keep,
            np.random.default_rng([self._seed, *divmod(number, self.order.n_batches)]),
            last_loss=lambda: (
                self.history.last_loss[indices].numpy(),
                self.history.mean_last_loss(),
            ),
            scores=self._scores_of_epoch,
            fresh=fresh,
            progress=done,
            step=number,
        )
        choice = check_choice(self.method.choose(candidates), self.method, len(indices))
        return choice, perf_counter() - begin - in_forward

    def _clean_loss(self, head: Head) -> float:
        """Return the mean loss on the clean set, if the method needs it, and charge the cost."""
        if CLEAN not in self.method.needs:
            return float("nan")
        rows, labels = self.problem.clean_set()
        self.n_forward += len(labels)
        return float(head.outputs(rows, labels).loss.mean(dtype=np.float64))

    def _scores_of_epoch(self) -> Any:
        """Return the method's scores for the pool, computed at the first batch of an epoch."""
        if self._scores is None:
            self._scores = self.method.score(self.history.snapshot())
        return self._scores


def train(
    problem: Problem, method: Method, config: TrainConfig, budget: str, lr: float
) -> dict[str, Any]:
    """Train a head with a method until a budget is spent, and evaluate it.

    Parameters
    ----------
    problem : Problem
    method : Method
    config : TrainConfig
        Determines the epochs, the candidate size and the filter ratio.
    budget : str
        One of `BUDGETS`.
    lr : float
        Initial learning rate.

    Returns
    -------
    dict
        ``accuracy``, ``balanced`` and ``worst``; ``seen``, the share of the pool trained on;
        ``steps`` and ``samples``; recurring ``cost`` and ``one_off`` cost, in training steps on
        one sample; ``seconds`` of training, including ``selection_seconds`` (without forward
        passes); and ``precompute_seconds``.

    Raises
    ------
    CannotTrainError
        If the pool is smaller than a candidate batch, or one-off costs use up the budget.
    """
    n, size = len(problem.pool), config.candidate_size
    if n < size:
        raise CannotTrainError(f"a candidate batch needs {size} samples, but the pool has {n}")
    chooser = _Chooser(problem, method, config, budget)
    limit = limit_of(method, budget, config, n, chooser.trained_before)
    head, seen = problem.head(), np.zeros(n, bool)
    kept, weights = np.empty(0, np.int64), np.empty(0, np.float32)
    n_steps = n_samples = 0
    spent = latest = cost = 0.0
    begin = perf_counter()
    # Take the number of steps whose total is closest to the limit.
    while spent + latest / 2 <= limit.amount and spent < limit.amount:
        done = spent / limit.amount
        while len(kept) < (limit.batch_size or 1):
            more, own = chooser.next(head, done)
            kept, weights = np.append(kept, more), np.append(weights, own)
        end = limit.batch_size or len(kept)
        batch, rate = kept[:end], learning_rate("cosine", lr, done, 1)
        losses = head.step(*problem.rows(batch), rate, weights[:end] if method.weighted else None)
        chooser.history.add(torch.from_numpy(batch), losses)
        seen[batch] = True
        kept, weights = kept[end:], weights[end:]
        n_steps, n_samples = n_steps + 1, n_samples + end
        cost = n_samples + FORWARD * chooser.n_forward
        now = {"steps": n_steps, "samples": n_samples, "cost": cost}[limit.unit]
        spent, latest = now, now - spent
    seconds = perf_counter() - begin
    return problem.measure(head) | {
        "seen": float(seen.mean()),
        "steps": n_steps,
        "samples": n_samples,
        "cost": cost,
        "one_off": limit.one_off,
        "seconds": seconds,
        "selection_seconds": chooser.seconds,
        "precompute_seconds": chooser.precompute_seconds,
    }
