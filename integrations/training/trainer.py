"""Train one network with one selection method, one epoch at a time."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from math import nan
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from spectral_select._utils.validation import check_int
from spectral_select.integrations.methods import (
    CLEAN,
    DYNAMICS,
    FEATURES,
    REFERENCE,
    Method,
    Outputs,
)
from spectral_select.integrations.records.run_records import EpochRecord
from spectral_select.integrations.runtime.distributed import ONE, current_ranks
from spectral_select.integrations.runtime.seeding import (
    generator_states,
    seeded,
    set_generator_states,
    stream,
)
from spectral_select.integrations.training.batches import Batch, Batches
from spectral_select.integrations.training.budget import Budget
from spectral_select.integrations.training.config import TrainConfig, learning_rate
from spectral_select.integrations.training.epoch_progress import (
    Clock,
    Progress,
    Seen,
    Stopwatch,
    synchronize,
)
from spectral_select.integrations.training.evaluation import amp_dtype, evaluate
from spectral_select.integrations.training.inputs import Inputs, network_input, open_inputs
from spectral_select.integrations.training.model_outputs import model_outputs
from spectral_select.integrations.training.sample_history import SampleHistory

__all__ = ["Trainer"]

_N_FIRST = 2  # number of batches recorded for the report


class Trainer:
    """Trains one network with one method and one seed, one epoch at a time.

    All random numbers in an epoch depend only on the seed and the epoch. `state_dict` can be
    called between epochs and within `on_step`; on a CPU, resuming from its result is bit-exact.

    With multiple ranks, each rank selects from its part of every candidate batch, and gradients
    are averaged, so the number of steps does not depend on the number of ranks. Methods that
    use last losses receive the losses of all ranks for earlier epochs, but only the losses of
    their own rank for the current epoch.

    Parameters
    ----------
    config : TrainConfig
        The configuration that all methods share.
    dataset : map-style dataset
        The training data. Its items are (image, label), and its array ``labels`` contains all
        labels.
    method : Method
        Selects the samples.
    model : Module
        The network in its initial state; it is trained in place.
    features : array of shape (n, d), optional
        Features of the training data, for methods that need them.
    reference : Outputs, optional
        Outputs of a reference model on the training data, for methods that need them.
    clean : map-style dataset, optional
        Correctly labeled samples, for methods that need the loss on them after each epoch.
    dynamics : ndarray of shape (n, n_epochs), optional
        Probability of each sample's label in each epoch of a preliminary training run, for
        methods that need `DYNAMICS`.
    seed : int, default=0
        Seed for the order, the augmentation, the method and dropout.

    Attributes
    ----------
    inputs : DecodedImages or FeatureInputs
        The training images or rows, loaded when first used.
    budget : Budget
        Number of steps, epochs and samples in the whole run.
    precompute_seconds : float
        Seconds that the method needed before training.
    first_kept : list of ndarray
        The samples selected for the first batches in the first epoch.
    history : SampleHistory
        Training history of each sample, for methods that need it.
    progress : Progress
        Progress of the current or latest epoch.

    Raises
    ------
    ValueError
        If there are fewer samples than `candidate_size`, an input is missing, or the size of
        the process group differs from `n_ranks`.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: Any,
        method: Method,
        model: nn.Module,
        *,
        features: Any = None,
        reference: Outputs | None = None,
        clean: Any = None,
        dynamics: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> None:
        n = len(dataset)
        if n < config.candidate_size:
            raise ValueError(
                f"candidate_size must be at most {n}, the number of training samples; "
                f"got {config.candidate_size}"
            )
        if FEATURES in method.needs and features is None:
            raise ValueError(f"method {method.spec!r} needs features of the training data")
        if REFERENCE in method.needs and reference is None:
            raise ValueError(f"method {method.spec!r} needs the outputs of a reference model")
        if DYNAMICS in method.needs and dynamics is None:
            raise ValueError(
                f"method {method.spec!r} needs probabilities from a preliminary training run"
            )
        if CLEAN in method.needs and (clean is None or not len(clean)):
            raise ValueError(f"method {method.spec!r} needs a clean set; got no samples")
        self.ranks = current_ranks() if config.n_ranks > 1 else ONE
        if self.ranks.size != config.n_ranks:
            raise ValueError(
                f"n_ranks must be {self.ranks.size}, the size of the process group; "
                f"got {config.n_ranks}"
            )
        self.config, self.method, self.seed = config, method, check_int(seed, "seed", 0)
        self.budget = Budget.of(method, config, n)
        self._batches = Batches(
            config,
            dataset,
            method,
            self.budget,
            features=features,
            reference=reference,
            dynamics=dynamics,
            seed=self.seed,
            ranks=self.ranks,
        )
        self.inputs, self.sampler = self._batches.inputs, self._batches.sampler
        self.precompute_seconds = self._batches.precompute_seconds
        self._clean: Inputs | None = None
        if CLEAN in method.needs:
            self._clean = open_inputs(clean, config)
        self.first_kept: list[NDArray[np.int64]] = []
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model = model.to(config.device, memory_format=layout)  # type: ignore[call-overload]
        self._forward: Any = self.model
        if self.ranks.size > 1:
            self._forward = DistributedDataParallel(self.model)
        if config.compile:
            self._forward = torch.compile(self._forward)
        self.optimizer = self._new_optimizer()
        self._dtype = amp_dtype(config.device) if config.amp else None
        self._scaler = self._new_scaler()
        self.history = SampleHistory(n, method, config.device, self.ranks)
        self._seen = Seen(n)
        self.progress = Progress(0)
        self._resume: dict[str, Tensor] | None = None  # generator states
        self._watch: Stopwatch | None = None

    def _new_optimizer(self) -> torch.optim.SGD:
        return torch.optim.SGD(
            self.model.parameters(),
            lr=self.config.lr,
            momentum=self.config.momentum,
            weight_decay=self.config.weight_decay,
            fused=True,
        )

    def _new_scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self.config.device.type, enabled=self._dtype is torch.float16)

    def first_choices(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return the candidates and kept samples of the first batches in the first epoch.

        If the method schedules epochs, the kept samples are the candidates that the first
        epoch visits.

        Returns
        -------
        list of (ndarray, ndarray)
            Indices into the training data; empty before the first training step.
        """
        candidates, kept = self._batches.candidates(len(self.first_kept)), self.first_kept
        visited = self._batches.first_visits() if candidates else None
        if visited is not None:
            kept = [np.intersect1d(batch, visited) for batch in candidates]
        return list(zip(candidates, kept, strict=True))

    def train_epoch(
        self, epoch: int, on_step: Callable[[int, Tensor, Tensor], object] | None = None
    ) -> EpochRecord:
        """Train for one epoch, or for the rest of an epoch after loading a state.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.
        on_step : callable, optional
            Called after each step with the number of samples on this rank, and with their mean
            loss and number of correct predictions as tensors on the device.

        Returns
        -------
        EpochRecord
            The record, without evaluation results. Counts are over all ranks; times are for this
            rank.
        """
        device, running, clock = self.config.device, self._begin(epoch), Clock()
        self.model.train()
        self._forward.train()
        batches = self._batches.epoch(epoch, running.steps, clock, self._outputs, self.history)
        self._watch = Stopwatch(running, device, clock, self.sampler, batches)
        with seeded(self._model_seed(epoch), device):
            if self._resume is not None:
                set_generator_states(self._resume, device)
                self._resume = None
            try:
                for batch in batches:
                    self._take(batch, running, on_step)
            finally:
                batches.close()
        self.ranks.share_buffers(self.model)
        clean_loss = self._score_clean_set(clock)
        synchronize(device)
        self._watch.read()
        self._watch = None
        self.history.end_epoch(clean_loss)
        ahead = self.config.prefetch > 0 and self.method.selects_ahead
        record = running.record(self.ranks, ahead=ahead)
        record.lr = self._rate(self.global_step - 1)
        record.filter_ratio = self.budget.schedule(epoch)
        return record

    def _score_clean_set(self, clock: Clock) -> float:
        """Return the mean loss on the clean set, or NaN if there is none.

        The time is recorded as selection time.
        """
        if self._clean is None:
            return nan
        synchronize(self.config.device)
        begin = perf_counter()
        labels = self._clean.dataset.labels
        loss = evaluate(self.model, self._clean, labels, self.config, self.ranks).loss
        clock.after += perf_counter() - begin
        return nan if loss is None else loss

    def close(self) -> None:
        """Release the threads that decode images."""
        self.inputs.close()
        if self._clean is not None:
            self._clean.close()

    def _begin(self, epoch: int) -> Progress:
        """Return the progress of an epoch, either new or from the loaded state."""
        if self._resume is None:
            self.progress = Progress(epoch)
        elif self.progress.epoch != epoch:
            raise ValueError(
                f"epoch must be {self.progress.epoch}, the epoch of the loaded state; got {epoch}"
            )
        self.progress.move_to(self.config.device)
        return self.progress

    def _model_seed(self, epoch: int) -> int:
        """Return the seed for dropout; every rank has a different seed."""
        own = (self.ranks.rank,) if self.ranks.rank else ()
        return stream(self.seed, "model", epoch, *own)

    def _take(self, batch: Batch, running: Progress, on_step: Any) -> None:
        """Train on a batch and record the step in the progress of the epoch."""
        step = self.global_step
        losses, right = self._step(batch, self._rate(step))
        if step < min(_N_FIRST, self.budget.n_steps_per_epoch):
            self.first_kept.append(batch.indices)
        running.loss += losses.sum()
        running.correct += right
        running.samples += len(losses)
        running.steps += 1
        new = self._seen.add(batch.loaded)
        running.decoded += len(batch.loaded) if self.inputs.forgets else new
        if on_step is not None:
            on_step(len(losses), losses.mean(), right)

    @property
    def last_loss(self) -> Tensor:
        """Loss of each sample in the last step that trained on it, or NaN; of shape (n,)."""
        return self.history.last_loss

    @property
    def global_step(self) -> int:
        """Number of steps taken, over all epochs."""
        return self.progress.epoch * self.budget.n_steps_per_epoch + self.progress.steps

    def _rate(self, step: int) -> float:
        config = self.config
        return learning_rate(config.lr_schedule, config.lr, step, self.budget.n_steps)

    def selection_share(self) -> float:
        """Return the share of the epoch's time so far spent waiting for selection."""
        if self._watch is not None:
            self._watch.read()
        return self.progress.selection_share

    def _outputs(self, inputs: Tensor, labels: Tensor) -> Outputs:
        """Return the current outputs of the uncompiled model, whose embeddings are accessible."""
        self.model.eval()
        try:
            with self._autocast():
                return model_outputs(self.model, inputs, labels)
        finally:
            self.model.train()

    def _step(self, batch: Batch, lr: float) -> tuple[Tensor, Tensor]:
        """Take one optimizer step; return the losses and the number of correct predictions."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        labels = self._batches.labels[batch.device_indices]
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            logits = self._forward(batch.inputs)
        losses = functional.cross_entropy(logits.float(), labels, reduction="none")
        loss = losses.mean() if batch.weights is None else (losses * batch.weights).mean()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.config.clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        losses = losses.detach()
        self.history.add(batch.device_indices, losses)
        return losses, (logits.detach().argmax(1) == labels).sum()

    def _autocast(self) -> Any:
        return torch.autocast(
            self.config.device.type, dtype=self._dtype, enabled=self._dtype is not None
        )

    def warm_up(self) -> None:
        """Take a step and undo it, because slow first steps would distort timings."""
        before = {key: value.clone() for key, value in self.model.state_dict().items()}
        kept = self.optimizer, self._scaler, self.history
        self.optimizer, self._scaler = self._new_optimizer(), self._new_scaler()
        self.history = self.history.copy()
        self.model.train()
        self._forward.train()
        # A compiled network is compiled again for the second batch size, but not for a third.
        with seeded(0, self.config.device):
            for count in list(dict.fromkeys(self.budget.kept))[: 1 + self.config.compile]:
                self._step(self._blank(count // self.ranks.size), self.config.lr)
        self.optimizer, self._scaler, self.history = kept
        self.optimizer.zero_grad(set_to_none=True)
        self.model.load_state_dict(before)
        synchronize(self.config.device)

    def _blank(self, count: int) -> Batch:
        """Return a batch of black images, or of rows of zeros."""
        inputs = network_input(self.inputs.blank(count), self.config, None)
        indices = np.arange(count)
        device_indices = torch.arange(count, device=self.config.device)
        return Batch(indices, device_indices, inputs, None, indices)

    def stopped_clock(self) -> AbstractContextManager[None]:
        """Exclude the time inside this context from the epoch's seconds."""
        return nullcontext() if self._watch is None else self._watch.stopped()

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed to resume in another process.

        All ranks must call this, between epochs or within `on_step`.

        Returns
        -------
        dict
            Tensors, numbers and strings that ``torch.load(weights_only=True)`` accepts. Only
            the state from rank 0 is complete.
        """
        if self._watch is not None:
            self._watch.read()
        rank_state = {
            "progress": self.progress.describe(),
            "generators": generator_states(self.config.device),
            "history": self.history.state_dict(),
            "seen": torch.from_numpy(self._seen.mask),
            "first_kept": [torch.from_numpy(kept) for kept in self.first_kept],
        }
        steps = self.progress.steps
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "sampler": self.sampler.state_dict(batches_yielded=steps) if steps else None,
            "ranks": self.ranks.gather(rank_state),
        }

    def load_state_dict(self, state: Mapping[str, Any], *, next_epoch: int) -> None:
        """Resume from a state.

        Parameters
        ----------
        state : mapping
            The result of `state_dict` from a trainer with the same arguments.
        next_epoch : int
            The epoch of the next call to `train_epoch`. If the state was saved within this
            epoch, that call trains the remaining steps.

        Raises
        ------
        ValueError
            If the number of ranks, the dataset or the configuration differs.
        """
        if len(state["ranks"]) != self.ranks.size:
            raise ValueError(
                f"state must be from {self.ranks.size} processes; got one from "
                f"{len(state['ranks'])}"
            )
        rank_state = state["ranks"][self.ranks.rank]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.history.load_state_dict(rank_state["history"])
        self._seen.mask = rank_state["seen"].numpy()
        self.first_kept = [kept.numpy() for kept in rank_state["first_kept"]]
        self.progress = Progress(**rank_state["progress"])
        # Decode earlier images again now, before the clock runs, because the time for decoding
        # them is already recorded.
        self.inputs.fill(np.flatnonzero(self._seen.mask))
        if self.progress.steps and self.progress.epoch == next_epoch:
            self.sampler.load_state_dict(state["sampler"])
            self._resume = rank_state["generators"]
