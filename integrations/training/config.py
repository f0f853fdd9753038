"""The configuration that all methods in a comparison share: model, data, optimizer, schedule."""

from dataclasses import dataclass, field
from math import cos, pi

import torch

from spectral_select import n_kept
from spectral_select._selectors.ratio import check_filter_ratio
from spectral_select._utils.validation import check_in, check_int, check_number, check_positive_int
from spectral_select.integrations.data.augmentation import Augmentation
from spectral_select.integrations.models.heads import HEADS
from spectral_select.integrations.records.json_records import JsonObject

__all__ = ["LR_SCHEDULES", "TrainConfig", "learning_rate"]

LR_SCHEDULES = ("constant", "cosine", "step")


@dataclass(frozen=True)
class TrainConfig:
    """The configuration that all methods in a comparison share.

    Parameters
    ----------
    model : str
        Name of a torchvision classification model, or "head" or "head-mlp" to train on features
        instead of images (see `build_head`).
    weights : str
        The model's initial weights, as for `build_classifier`.
    image_size : int or None
        Side of the images in pixels; None for a head.
    small_input : bool
        For ResNets only: whether to adapt the network to images of about 32 px.
    epochs : int
        Number of passes over the training data.
    candidate_size : int
        Number of samples in a candidate batch. In each epoch, the samples left over after the
        last complete batch are skipped.
    filter_ratio : float
        Share of each candidate batch that the methods discard, in [0, 1).
    lr : float
        Initial learning rate of stochastic gradient descent.
    lr_schedule : {"constant", "cosine", "step"}
        Learning-rate schedule; see `learning_rate`.
    momentum : float
        Momentum of the optimizer, in [0, 1).
    weight_decay : float
        Weight decay of the optimizer, at least 0.
    clip_norm : float or None
        Maximum gradient norm over all parameters; larger gradients are scaled down to this norm.
        None disables clipping. Pretrained networks without batch normalization, such as
        SqueezeNet, may need clipping.
    evaluate_every : int
        Number of epochs from one evaluation to the next. The last epoch is always evaluated.
    augmentation : Augmentation or None
        Random augmentation of the training images.
    device : torch.device
        Device to train on.
    amp : bool
        Whether to use mixed precision: bfloat16 if the device supports it, otherwise float16
        with a gradient scaler.
    channels_last : bool
        Whether model and images use the channels-last memory layout.
    compile : bool
        Whether to compile training steps with ``torch.compile``.
    n_ranks : int
        Number of processes that train together. Each receives an equal part of every candidate
        batch, and selects samples from that part.
    prefetch : int
        Number of batches that a background thread loads in advance; 0 disables the thread.
    cache_bytes : int
        Memory limit for decoded images, per method and per split of the data.
    n_threads : int
        Number of threads that decode images.

    Raises
    ------
    ValueError, TypeError
        If a value is out of range or has the wrong type.

    Examples
    --------
    >>> config = TrainConfig(candidate_size=160, filter_ratio=0.8, epochs=5)
    >>> config.n_kept(config.filter_ratio), config.describe()["model"]
    (32, 'resnet18')
    """

    model: str = "resnet18"
    weights: str = "random"
    image_size: int | None = 32
    small_input: bool = False
    epochs: int = 25
    candidate_size: int = 128
    filter_ratio: float = 0.8
    lr: float = 0.02
    lr_schedule: str = "cosine"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float | None = None
    evaluate_every: int = 1
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
        if self.takes_features:
            self._check_no_images()
        elif self.image_size is None:
            raise ValueError(f"image_size is required for model {self.model!r}; got None")
        else:
            check_positive_int(self.image_size, "image_size")
        check_positive_int(self.epochs, "epochs")
        check_positive_int(self.candidate_size, "candidate_size")
        check_filter_ratio(self.filter_ratio)
        check_number(self.lr, "lr", 0, closed="neither")
        check_number(self.momentum, "momentum", 0, 1, closed="left")
        check_number(self.weight_decay, "weight_decay", 0)
        if self.clip_norm is not None:
            check_number(self.clip_norm, "clip_norm", 0, closed="neither")
        check_positive_int(self.evaluate_every, "evaluate_every")
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
            each = f", each of the {self.n_ranks} processes" if self.n_ranks > 1 else ", a step"
            raise ValueError(
                f"with candidate_size {self.candidate_size} and filter_ratio {self.filter_ratio}"
                f"{each} keeps one sample, but batch normalization needs two; increase "
                "candidate_size or decrease filter_ratio"
            )

    def _check_no_images(self) -> None:
        """Reject image settings for a model that takes features."""
        expected = {
            "image_size": None,
            "weights": "random",
            "augmentation": None,
            "small_input": False,
        }
        for name, value in expected.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"{name} must be {value!r} for model {self.model!r}, which takes features; "
                    f"got {getattr(self, name)!r}"
                )

    @property
    def takes_features(self) -> bool:
        """Whether the network's inputs are features instead of images."""
        return self.model in HEADS

    @property
    def rank_candidates(self) -> int:
        """Number of samples of each candidate batch that one rank chooses from."""
        return self.candidate_size // self.n_ranks

    def n_kept(self, ratio: float) -> int:
        """Return how many samples in a candidate batch are kept, over all ranks.

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
        """Return the configuration as a JSON object."""
        plain = {k: v for k, v in vars(self).items() if k not in ("augmentation", "device")}
        augmentation = None if self.augmentation is None else self.augmentation.describe()
        return plain | {"device": str(self.device), "augmentation": augmentation}


def learning_rate(schedule: str, lr: float, step: int, n_steps: int) -> float:
    """Return the learning rate for a step.

    Parameters
    ----------
    schedule : {"constant", "cosine", "step"}
        "cosine" falls to 0 over the run; "step" falls to a tenth halfway through and to a
        hundredth after three quarters.
    lr : float
        Initial learning rate.
    step, n_steps : int
        Step, counted from 0, and total number of steps in the run.

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
