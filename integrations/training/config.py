"""What the methods of a comparison have in common: model, data, optimizer, schedule."""

from dataclasses import dataclass, field
from math import cos, pi

import torch

from spectral_select import n_kept
from spectral_select._selectors.ratio import check_filter_ratio
from spectral_select._utils.validation import check_in, check_int, check_number, check_positive_int
from spectral_select.integrations.data.augmentation import Augmentation
from spectral_select.integrations.records.json_records import JsonObject

__all__ = ["LR_SCHEDULES", "TrainConfig", "learning_rate"]

LR_SCHEDULES = ("constant", "cosine", "step")


@dataclass(frozen=True)
class TrainConfig:
    """What all methods of a comparison have in common.

    Parameters
    ----------
    model : str
        A torchvision classification model.
    weights : str
        Its initial weights, as for `build_classifier`.
    image_size : int
        Side of the images in pixels.
    small_input : bool
        ResNets only: a stem for images of about 32 px.
    epochs : int
        Passes over the training data.
    candidate_size : int
        Samples in a candidate batch; the last ones of an epoch, too few for a whole
        one, are left out of it.
    filter_ratio : float
        Share of each candidate batch that the methods discard, in [0, 1).
    lr : float
        Learning rate of stochastic gradient descent, at the start.
    lr_schedule : {"constant", "cosine", "step"}
        How it goes on; see `learning_rate`.
    momentum : float
        Its momentum, in [0, 1).
    weight_decay : float
        Its weight decay, at least 0.
    augmentation : Augmentation or None
        Random changes of the training images.
    device : torch.device
        Where to train.
    amp : bool
        Mixed precision: bfloat16 where the device has it, else float16 with a scaler.
    channels_last : bool
        Memory layout of model and images.
    compile : bool
        Whether training steps go through ``torch.compile``.
    n_ranks : int
        Processes that train together. Each gets as many candidates of every candidate
        batch as the others, and keeps its share of them.
    prefetch : int
        Batches loaded ahead of training, on a thread; 0: none.
    cache_bytes : int
        Memory for decoded images, of each method and each part of the data.
    n_threads : int
        Threads that decode images.

    Raises
    ------
    ValueError, TypeError
        If a value is out of range.

    Examples
    --------
    >>> config = TrainConfig(candidate_size=160, filter_ratio=0.8, epochs=5)
    >>> config.n_kept(config.filter_ratio), config.describe()["model"]
    (32, 'resnet18')
    """

    model: str = "resnet18"
    weights: str = "random"
    image_size: int = 32
    small_input: bool = False
    epochs: int = 25
    candidate_size: int = 128
    filter_ratio: float = 0.8
    lr: float = 0.02
    lr_schedule: str = "cosine"
    momentum: float = 0.9
    weight_decay: float = 0.0
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    n_ranks: int = 1
    prefetch: int = 0
    cache_bytes: int = 4 * 2**30
    n_threads: int = 1

    def __post_init__(self) -> None:
        check_positive_int(self.image_size, "image_size")
        check_positive_int(self.epochs, "epochs")
        check_positive_int(self.candidate_size, "candidate_size")
        check_filter_ratio(self.filter_ratio)
        check_number(self.lr, "lr", 0, closed="neither")
        check_number(self.momentum, "momentum", 0, 1, closed="left")
        check_number(self.weight_decay, "weight_decay", 0)
        check_in(self.lr_schedule, "lr_schedule", LR_SCHEDULES)
        check_int(self.prefetch, "prefetch", 0)
        check_int(self.cache_bytes, "cache_bytes", 0)
        check_positive_int(self.n_threads, "n_threads")
        check_positive_int(self.n_ranks, "n_ranks")
        if self.candidate_size % self.n_ranks:
            raise ValueError(
                f"candidate_size must be a multiple of {self.n_ranks}, the number of processes "
                f"that share each candidate batch; got {self.candidate_size}"
            )
        kept = n_kept(self.rank_candidates, self.filter_ratio)
        if kept < 2:
            shared = f" shared by {self.n_ranks} processes" * (self.n_ranks > 1)
            raise ValueError(
                f"candidate_size {self.candidate_size}{shared} at filter_ratio "
                f"{self.filter_ratio} keeps one sample a batch, and batch normalization needs "
                "two; raise candidate_size or lower filter_ratio"
            )

    @property
    def rank_candidates(self) -> int:
        """Samples of a candidate batch that one rank chooses from."""
        return self.candidate_size // self.n_ranks

    def n_kept(self, ratio: float) -> int:
        """Return how many samples of a candidate batch are kept, over all ranks.

        Parameters
        ----------
        ratio : float
            Share discarded, in [0, 1).

        Returns
        -------
        int
            A multiple of the number of ranks.
        """
        return self.n_ranks * n_kept(self.rank_candidates, ratio)

    def describe(self) -> JsonObject:
        """Return the configuration, for JSON."""
        plain = {k: v for k, v in vars(self).items() if k not in ("augmentation", "device")}
        augmentation = None if self.augmentation is None else self.augmentation.describe()
        return plain | {"device": str(self.device), "augmentation": augmentation}


def learning_rate(schedule: str, lr: float, step: int, n_steps: int) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    schedule : {"constant", "cosine", "step"}
        "cosine" falls to 0 over the run; "step" falls to a tenth at the middle and to a
        hundredth at three quarters.
    lr : float
        Learning rate at the start.
    step, n_steps : int
        Step, from 0, and number of steps of the run.

    Returns
    -------
    float

    Examples
    --------
    >>> [round(learning_rate("cosine", 0.1, step, 4), 3) for step in range(4)]
    [0.1, 0.085, 0.05, 0.015]
    >>> [round(learning_rate("step", 0.1, step, 4), 4) for step in range(4)]
    [0.1, 0.1, 0.01, 0.001]
    """
    check_in(schedule, "lr_schedule", LR_SCHEDULES)
    done = step / n_steps
    if schedule == "cosine":
        return lr * (1 + cos(pi * done)) / 2
    if schedule == "step":
        return lr * 0.1 ** ((done >= 0.5) + (done >= 0.75))
    return lr
