"""One network trained by one selection method, an epoch at a time, and its evaluation."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from spectral_select import SpectralBatchSampler, make_schedule, n_kept
from spectral_select._check import check_int
from spectral_select._prefetch import Ahead
from spectral_select.integrations.augment import N_DRAWS, normalise
from spectral_select.integrations.decoded import DecodedImages
from spectral_select.integrations.methods import (
    FEATURES,
    FRESH_LOSS,
    LAST_LOSS,
    Candidates,
    Method,
    check_choice,
)
from spectral_select.integrations.seeding import seeded
from spectral_select.integrations.train_config import TrainConfig, learning_rate

__all__ = ["Trainer", "evaluate"]

_EVAL_BATCH = 256
_STREAMS = {"order": 0, "augment": 1, "choice": 2, "model": 3}


@dataclass
class _Batch:
    """One step's samples, loaded."""

    indices: NDArray[np.int64]
    images: Tensor
    weights: Tensor | None = None


class Trainer:
    """One network, trained by one method from one seed, an epoch at a time.

    Everything that an epoch draws is a function of the seed and the epoch, so an epoch
    can be repeated from the model's and the optimiser's state alone.

    Parameters
    ----------
    config : TrainConfig
        What all methods share.
    dataset : map-style dataset
        Training data: gives (image, label), with ``labels`` as an array.
    method : Method
        Says which samples to train on.
    model : Module
        The network in its initial state; it is trained in place.
    features : array of shape (n, d), optional
        Features of the training data, for methods that need them.
    seed : int, default=0
        Seed of the order, the augmentation, the method and dropout.

    Attributes
    ----------
    images : DecodedImages
        The training images decoded so far.
    n_steps_per_epoch : int

    Raises
    ------
    ValueError
        If there are fewer samples than a candidate batch takes, or features are missing.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: Any,
        method: Method,
        model: nn.Module,
        *,
        features: Any = None,
        seed: int = 0,
    ) -> None:
        n = len(dataset)
        if n < config.candidate_size:
            raise ValueError(
                f"candidate_size must be at most {n}, the number of training samples; "
                f"got {config.candidate_size}"
            )
        if FEATURES in method.needs and features is None:
            raise ValueError(f"method {method.name!r} needs features of the training data")
        self.config, self.method = config, method
        self.seed = check_int(seed, "seed", 0)
        self.labels = torch.as_tensor(np.asarray(dataset.labels))
        self.images = DecodedImages(
            dataset,
            config.image_size,
            cache_bytes=config.cache_bytes,
            n_threads=config.n_threads,
        )
        self.features = features
        self.filter_ratio = method.filter_ratio(config.filter_ratio)
        self.sampler = self._build_sampler(n)
        self.n_steps_per_epoch = n // config.candidate_size
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model = model.to(config.device, memory_format=layout)  # type: ignore[call-overload]
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._dtype = _amp_dtype(config.device) if config.amp else None
        self._scaler = torch.amp.GradScaler(
            config.device.type, enabled=self._dtype is torch.float16
        )
        self.last_loss = np.full(n, np.nan, np.float32)
        self._draws = torch.empty(0)

    def _build_sampler(self, n: int) -> SpectralBatchSampler:
        """Return the sampler of chosen batches, or of whole ones where a loss decides."""
        method, ahead = self.method, self.method.runs_ahead
        labels = self.labels.numpy()
        selector: Any = method.selector(
            self.filter_ratio,
            labels=labels,
            features=self.features,
            seed=_stream(self.seed, "choice"),
        )
        return SpectralBatchSampler(
            None,
            None,
            True,
            features=self.features if ahead and method.reads_table else np.arange(n)[:, None],
            selector=selector,
            candidate_size=self.config.candidate_size,
            schedule=make_schedule(self.filter_ratio if ahead else 0.0),
            seed=_stream(self.seed, "order"),
        )

    def train_epoch(
        self, epoch: int, on_step: Callable[[int, Tensor, Tensor], object] | None = None
    ) -> dict[str, Any]:
        """Train for one epoch.

        Parameters
        ----------
        epoch : int
            Epoch, from 0.
        on_step : callable, optional
            Called after each step with the number of samples, their mean loss and the
            number of right answers (tensors on the device).

        Returns
        -------
        dict
            ``steps``, ``samples``, ``lr`` of the last step, ``loss`` and ``accuracy`` over
            the batches trained on, ``decoded`` images, and ``seconds``: ``total``,
            ``selection`` (work), ``waiting`` (of the loop, for selection), ``loading`` and
            ``training``.
        """
        config, device = self.config, self.config.device
        self.sampler.set_epoch(epoch)
        generator = torch.Generator().manual_seed(_stream(self.seed, "augment", epoch))
        self._draws = torch.rand(len(self.images), N_DRAWS, generator=generator)
        self.model.train()
        decoded = self.images.n_decoded
        clock = {"loading": 0.0, "choosing": 0.0}
        loss_sum, correct = torch.zeros(2, device=device, dtype=torch.float64)
        samples = step = 0
        lr = config.lr
        _synchronise(device)
        begin = perf_counter()
        # In-step choices look at the present model, so nothing may be loaded ahead of it.
        depth = config.prefetch if self.method.runs_ahead else 0
        batches = Ahead(lambda skip: islice(self._batches(epoch, clock), skip, None), depth)
        with seeded(_stream(self.seed, "model", epoch), device):
            try:
                for step, batch in enumerate(batches, start=1):
                    n_steps = config.epochs * self.n_steps_per_epoch
                    place = epoch * self.n_steps_per_epoch + step - 1
                    lr = learning_rate(config.lr_schedule, config.lr, place, n_steps)
                    losses, right = self._step(batch, lr)
                    loss_sum += losses.sum()
                    correct += right
                    samples += len(losses)
                    if on_step is not None:
                        on_step(len(losses), losses.mean(), right)
            finally:
                batches.close()
        _synchronise(device)
        total = perf_counter() - begin
        timings = self.sampler.timings
        waiting = timings.wait_seconds + clock["choosing"]
        loading = clock["loading"]
        # Ahead of training these two overlap with it: what the loop felt is the wait.
        felt = batches.waited
        return {
            "epoch": epoch,
            "steps": step,
            "samples": samples,
            "lr": lr,
            "filter_ratio": self.filter_ratio,
            "loss": _plain(loss_sum.item() / max(samples, 1)),
            "accuracy": correct.item() / max(samples, 1),
            "decoded": self.images.n_decoded - decoded,
            "seconds": {
                "total": total,
                "selection": timings.solve_seconds + clock["choosing"],
                "waiting": min(waiting, felt) if depth else waiting,
                "loading": loading,
                "training": max(total - felt, 0.0),
            },
        }

    def _batches(self, epoch: int, clock: dict[str, float]) -> Iterator[_Batch]:
        """Yield the batches of an epoch, chosen and loaded."""
        for number, listed in enumerate(self.sampler):
            indices = np.asarray(listed, dtype=np.int64)
            if self.method.runs_ahead:
                yield _Batch(indices, self._load(indices, clock))
            else:
                yield self._choose_now(indices, epoch, number, clock)

    def _load(self, indices: NDArray[np.int64], clock: dict[str, float]) -> Tensor:
        begin = perf_counter()
        device, places = self.config.device, torch.from_numpy(indices)
        pixels, draws = self.images.take(indices), self._draws[places]
        if device.type == "cuda":
            pixels = pixels.pin_memory().to(device, non_blocking=True)
            draws = draws.to(device, non_blocking=True)
        images = pixels.to(torch.float32).div_(255)
        with torch.no_grad():
            if self.config.augmentation is not None:
                images = self.config.augmentation(images, draws)
            images = normalise(images)
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        clock["loading"] += perf_counter() - begin
        return images

    def _choose_now(
        self, indices: NDArray[np.int64], epoch: int, number: int, clock: dict[str, float]
    ) -> _Batch:
        """Let the method choose by what is known of the candidates at this step."""
        loaded: list[Tensor] = []
        loading = clock["loading"]
        begin = perf_counter()

        def fresh_loss() -> NDArray[Any]:
            if not loaded:
                loaded.append(self._load(indices, clock))
            self.model.eval()
            with torch.no_grad(), self._autocast():
                labels = self.labels[torch.from_numpy(indices)].to(self.config.device)
                losses = functional.cross_entropy(
                    self.model(loaded[0]).float(), labels, reduction="none"
                )
            self.model.train()
            return np.asarray(losses.cpu())

        method = self.method
        choice = method.choose(
            Candidates(
                indices,
                self.labels.numpy()[indices],
                n_kept(len(indices), self.filter_ratio),
                np.random.default_rng([_stream(self.seed, "choice"), epoch, number]),
                features=self.features[indices] if FEATURES in method.needs else None,
                last_loss=self.last_loss[indices] if LAST_LOSS in method.needs else None,
                fresh_loss=fresh_loss if FRESH_LOSS in method.needs else None,
            )
        )
        choice = check_choice(choice, method, len(indices))
        clock["choosing"] += perf_counter() - begin - (clock["loading"] - loading)
        positions = torch.from_numpy(choice.positions)
        kept = indices[choice.positions]
        images = loaded[0][positions.to(loaded[0].device)] if loaded else self._load(kept, clock)
        weights = None
        if choice.weights is not None:
            weights = torch.as_tensor(choice.weights, dtype=torch.float32)
            weights = weights.to(self.config.device)
        return _Batch(kept, images, weights)

    def _step(self, batch: _Batch, lr: float) -> tuple[Tensor, Tensor]:
        """Take one optimiser step; return each sample's loss and how many were right."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        labels = self.labels[torch.from_numpy(batch.indices)].to(
            self.config.device, non_blocking=True
        )
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            logits = self.model(batch.images)
        losses = functional.cross_entropy(logits.float(), labels, reduction="none")
        loss = losses.mean() if batch.weights is None else (losses * batch.weights).mean()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self.optimizer)
        self._scaler.update()
        losses = losses.detach()
        if LAST_LOSS in self.method.needs:
            self.last_loss[batch.indices] = losses.cpu().numpy()
        return losses, (logits.detach().argmax(1) == labels).sum()

    def _autocast(self) -> Any:
        return torch.autocast(
            self.config.device.type, dtype=self._dtype, enabled=self._dtype is not None
        )

    def warm_up(self) -> None:
        """Take a step of the method's batch size on a copy, so that no timer sees the first."""
        twin = copy.copy(self)
        twin.model = copy.deepcopy(self.model).train()
        twin.optimizer = torch.optim.SGD(twin.model.parameters(), lr=0.0, momentum=0.9, fused=True)
        twin.last_loss = self.last_loss.copy()
        twin._scaler = torch.amp.GradScaler(self.config.device.type, enabled=False)
        count = n_kept(self.config.candidate_size, self.filter_ratio)
        size = self.config.image_size
        images = torch.zeros(count, 3, size, size, device=self.config.device)
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with seeded(0, self.config.device):
            twin._step(_Batch(np.arange(count), images), 0.0)
        _synchronise(self.config.device)


def evaluate(
    model: nn.Module, images: DecodedImages, labels: Any, config: TrainConfig
) -> dict[str, Any]:
    """Return accuracy and mean cross-entropy of a model on a part of the data.

    Parameters
    ----------
    model : Module
        Its mode is left as it was.
    images : DecodedImages
        The part's images.
    labels : array of int, shape (n,)
        Their classes.
    config : TrainConfig
        For device and layout.

    Returns
    -------
    dict
        ``count``, ``accuracy`` and ``loss``; the last two None where there is no image.
    """
    n = len(images)
    if not n:
        return {"count": 0, "accuracy": None, "loss": None}
    labels = torch.as_tensor(np.asarray(labels))
    dtype = _amp_dtype(config.device) if config.amp else None
    was_training, loss, correct = model.training, 0.0, 0
    model.eval()
    with torch.no_grad(), torch.autocast(config.device.type, dtype=dtype, enabled=config.amp):
        for start in range(0, n, _EVAL_BATCH):
            part = np.arange(start, min(start + _EVAL_BATCH, n))
            batch = normalise(images.take(part).to(config.device, torch.float32).div_(255))
            if config.channels_last:
                batch = batch.contiguous(memory_format=torch.channels_last)
            expected = labels[part[0] : part[-1] + 1].to(config.device)
            logits = model(batch).float()
            loss += functional.cross_entropy(logits, expected, reduction="sum").item()
            correct += int((logits.argmax(1) == expected).sum())
    model.train(was_training)
    return {"count": n, "accuracy": correct / n, "loss": _plain(loss / n)}


def _stream(seed: int, name: str, *more: int) -> int:
    """Return the seed of one kind of randomness."""
    sequence = np.random.SeedSequence([seed, _STREAMS[name], *more])
    return int(sequence.generate_state(1)[0])


def _amp_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _plain(number: float) -> float | None:
    """Return a number that JSON can hold: None for one that is not finite."""
    return number if isfinite(number) else None
