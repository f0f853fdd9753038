"""Select the batches of one training run, load them on the device and augment them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from spectral_select import SpectralBatchSampler
from spectral_select._samplers.epoch_order import seeded_permutation
from spectral_select._samplers.prefetch import Prefetcher
from spectral_select.integrations.data.augmentation import N_DRAWS
from spectral_select.integrations.data.decoding import to_device
from spectral_select.integrations.methods import (
    CandidateSource,
    Method,
    Outputs,
    as_selector,
    check_choice,
)
from spectral_select.integrations.methods.interface import Visits
from spectral_select.integrations.runtime.distributed import Ranks
from spectral_select.integrations.runtime.seeding import stream
from spectral_select.integrations.training.budget import Budget
from spectral_select.integrations.training.config import TrainConfig
from spectral_select.integrations.training.epoch_progress import Clock
from spectral_select.integrations.training.inputs import network_input, open_inputs
from spectral_select.integrations.training.sample_history import SampleHistory

__all__ = ["Batch", "Batches"]

Indices = NDArray[np.int64]


@dataclass
class Batch:
    """The samples of one training step.

    Attributes
    ----------
    indices : ndarray of shape (k,), int64
        Indices into the training data.
    device_indices : Tensor of shape (k,), int64
        The same indices on the device.
    inputs : Tensor of shape (k, 3, height, width) or (k, d)
        Normalized images, or rows of features, on the device.
    weights : Tensor of shape (k,), optional
        Factor for each sample's loss.
    loaded : ndarray of shape (m,), int64
        All loaded samples, including those that were not selected.
    """

    indices: Indices
    device_indices: Tensor
    inputs: Tensor
    weights: Tensor | None
    loaded: Indices


class _VisitedSamples(Sampler[int]):
    """A sampler that yields the samples each epoch visits."""

    def __init__(
        self,
        visits: Visits,
        n_visits: Callable[[int], int],
        order: Callable[[int], Indices],
    ) -> None:
        self.epoch = 0
        self._visits, self._n_visits, self._order = visits, n_visits, order

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self._n_visits(self.epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(self._visits.select(self.epoch, self._order(self.epoch)).tolist())


class Batches:
    """Selects and loads the batches of one training run, one epoch at a time.

    Parameters
    ----------
    config : TrainConfig
        The configuration that all methods share.
    dataset : map-style dataset
        The training data. Its items are (image, label), and its array ``labels`` contains all
        labels.
    method : Method
        Decides which samples to train on.
    budget : Budget
        The method's budget on this dataset.
    features : array of shape (n, d), optional
        Features of the training data, for methods that need them.
    reference : Outputs, optional
        Outputs of a reference model on the training data, for methods that need them.
    dynamics : ndarray of shape (n, n_epochs), optional
        Label probabilities from a preliminary training run, for methods that need them.
    seed : int
        Seed for the order, the augmentation and the method.
    ranks : Ranks
        Processes that share each candidate batch.

    Attributes
    ----------
    inputs : DecodedImages or FeatureInputs
        The training images or rows, loaded when first used.
    labels : Tensor of shape (n,), int64
        Class labels, on the device.
    sampler : SpectralBatchSampler
        Yields selected batches, or whole candidate batches if the method selects during the
        training step.
    precompute_seconds : float
        Seconds that the method's precomputation took before training.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: Any,
        method: Method,
        budget: Budget,
        *,
        features: Any,
        reference: Outputs | None,
        dynamics: NDArray[np.float64] | None = None,
        seed: int,
        ranks: Ranks,
    ) -> None:
        self.config, self.method, self.budget = config, method, budget
        self.features, self.reference = features, reference
        self.seed, self.ranks = seed, ranks
        self._classes = np.asarray(dataset.labels, np.int64)
        self.labels = to_device(torch.from_numpy(self._classes), config.device)
        self.inputs = open_inputs(dataset, config)
        begin = perf_counter()
        self.precomputed = method.precompute(self._classes, features)
        self.precompute_seconds = perf_counter() - begin
        self._source = CandidateSource(method, self._classes, features, self.precomputed, reference)
        self._draws = torch.empty(0)
        self._scores: tuple[int, Any] = (-1, None)  # the epoch and its scores
        self._visits: Visits | None = None
        if method.schedules_epoch:
            begin = perf_counter()
            self._visits = method.visits(
                self._classes,
                features,
                self._n_visits,
                seed=stream(seed, "choice"),
                dynamics=dynamics,
            )
            self._visits.prepare()
            self.precompute_seconds += perf_counter() - begin
        self.sampler = self._make_sampler()

    def _make_sampler(self) -> SpectralBatchSampler:
        """Return a sampler of selected batches, or of candidate batches to select from later."""
        if self._visits is not None:
            kept = self.budget.kept_of_rank(0, self.ranks.size)
            visited = _VisitedSamples(self._visits, self._n_visits, self._visit_order)
            return self._unfiltered(visited, kept)
        if not self.method.selects_ahead:
            return self._candidate_batches()
        reads_features = self.method.fits_on_features
        selector = as_selector(
            self.method,
            self.budget.schedule(0),
            labels=self._classes,
            features=self.features,
            precomputed=self.precomputed,
            seed=stream(self.seed, "choice"),
        )
        return SpectralBatchSampler(
            None,
            None,
            True,
            features=self.features if reads_features else self._indices(),
            selector=selector,
            candidate_size=self.config.rank_candidates,
            schedule=self.budget.schedule,
            seed=stream(self.seed, "order"),
            num_replicas=self.ranks.size,
            rank=self.ranks.rank,
        )

    def _candidate_batches(self) -> SpectralBatchSampler:
        return self._unfiltered(None, self.config.rank_candidates)

    def _unfiltered(self, sampler: Any, batch_size: int) -> SpectralBatchSampler:
        """Return a sampler that keeps every index of `sampler`."""
        return SpectralBatchSampler(
            sampler,
            batch_size,
            True,
            features=self._indices(),
            schedule=0.0,
            seed=stream(self.seed, "order"),
            num_replicas=self.ranks.size,
            rank=self.ranks.rank,
        )

    def _indices(self) -> NDArray[np.int64]:
        return np.arange(len(self._classes))[:, None]

    def _n_visits(self, epoch: int) -> int:
        """Return the number of samples in an epoch, over all ranks."""
        return self.budget.n_steps_per_epoch * self.config.n_kept(self.budget.schedule(epoch))

    def _visit_order(self, epoch: int) -> Indices:
        return seeded_permutation(len(self._classes), stream(self.seed, "order") + epoch)

    def candidates(self, count: int) -> list[Indices]:
        """Return the first candidate batches of the first epoch, on this rank."""
        batches = islice(self._candidate_batches(), count)
        return [np.asarray(batch, np.int64) for batch in batches]

    def first_visits(self) -> Indices | None:
        """Return all ranks' samples in the first epoch; None if the method schedules no epochs."""
        if self._visits is None:
            return None
        return self._visits.select(0, self._visit_order(0))

    def epoch(
        self,
        epoch: int,
        start: int,
        clock: Clock,
        outputs: Callable[[Tensor, Tensor], Outputs],
        history: SampleHistory,
    ) -> Prefetcher[Batch]:
        """Iterate over an epoch's batches from step `start`; close the iterator after use.

        A thread makes batches ahead of training if `prefetch` is positive in the configuration
        and the method selects ahead.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0. The sampler must be at step `start`.
        start : int
            Step of the first batch, within the epoch.
        clock : Clock
            Records the time spent on making batches.
        outputs : callable
            Returns the current model's outputs for images and their labels.
        history : SampleHistory
            The training history so far.
        """
        self.sampler.set_epoch(epoch)
        generator = torch.Generator().manual_seed(stream(self.seed, "augment", epoch))
        draws = torch.rand(len(self.inputs), N_DRAWS, generator=generator)
        self._draws = to_device(draws, self.config.device)
        left = self.budget.steps_in(epoch) - start

        def make() -> Iterator[Batch]:
            for number, listed in enumerate(self.sampler, start):
                indices = np.asarray(listed, dtype=np.int64)
                if self.method.selects_ahead:
                    yield self._load_chosen(indices, clock)
                else:
                    yield self._choose_now(indices, epoch, number, clock, outputs, history)

        # Selection during the step depends on earlier steps, so batches cannot be made ahead.
        depth = self.config.prefetch if self.method.selects_ahead else 0
        return Prefetcher(lambda skip: islice(make(), skip, left), depth)

    def _load_chosen(self, indices: Indices, clock: Clock) -> Batch:
        device_indices = to_device(torch.from_numpy(indices), self.config.device)
        return Batch(
            indices, device_indices, self._load(indices, device_indices, clock), None, indices
        )

    def _load(self, indices: Indices, device_indices: Tensor, clock: Clock) -> Tensor:
        begin = perf_counter()
        drawn = self._draws[device_indices]
        inputs = network_input(self.inputs.take(indices), self.config, drawn)
        clock.loading += perf_counter() - begin
        return inputs

    def _choose_now(
        self,
        indices: Indices,
        epoch: int,
        number: int,
        clock: Clock,
        outputs: Callable[[Tensor, Tensor], Outputs],
        history: SampleHistory,
    ) -> Batch:
        """Let the method choose from the candidates, using the data available at this step."""
        device, method = self.config.device, self.method
        loaded: list[Tensor] = []
        loading = clock.loading
        begin = perf_counter()
        device_indices = to_device(torch.from_numpy(indices), device)

        def fresh() -> Outputs:
            if not loaded:
                loaded.append(self._load(indices, device_indices, clock))
            return outputs(loaded[0], self.labels[device_indices])

        step = epoch * self.budget.n_steps_per_epoch + number
        choice = method.choose(
            self._source.candidates(
                indices,
                self.budget.kept_of_rank(epoch, self.ranks.size),
                np.random.default_rng([stream(self.seed, "choice"), epoch, self._place(number)]),
                last_loss=lambda: (
                    history.last_loss[device_indices].cpu().numpy(),
                    history.mean_last_loss(),
                ),
                scores=lambda: self._scores_of(epoch, history),
                fresh=fresh,
                progress=step / self.budget.n_steps,
                step=step,
            )
        )
        choice = check_choice(choice, method, len(indices))
        clock.choosing += perf_counter() - begin - (clock.loading - loading)
        positions = to_device(torch.from_numpy(choice.positions), device)
        kept, chosen = indices[choice.positions], device_indices[positions]
        weights = None
        if choice.weights is not None:
            weights = to_device(torch.as_tensor(choice.weights, dtype=torch.float32), device)
        if loaded:
            return Batch(kept, chosen, loaded[0][positions], weights, indices)
        return Batch(kept, chosen, self._load(kept, chosen, clock), weights, kept)

    def _scores_of(self, epoch: int, history: SampleHistory) -> Any:
        """Return the method's scores of all samples, computed at the first step of the epoch."""
        if self._scores[0] != epoch:
            self._scores = epoch, self.method.score(history.snapshot())
        return self._scores[1]

    def _place(self, number: int) -> int:
        """Return the position of a step's candidate batch in the epoch, over all ranks."""
        return number * self.ranks.size + self.ranks.rank
