"""The checked arguments of `build_backbone`, which are passed to every library of networks."""

import os
from dataclasses import dataclass
from pathlib import Path

from spectral_select._utils.validation import check_bool

__all__ = ["BackboneRequest", "check_seed"]


@dataclass(frozen=True)
class BackboneRequest:
    """The checked arguments of `build_backbone`.

    Parameters
    ----------
    name : str
        Name of the network in its library, without the prefix.
    weights : str or path
        "default", "random", or anything else that the library accepts, such as a path.
    image_size : int, optional
        Side of the input images, in pixels.
    seed : int
        Seed for random weights.
    revision : str, optional
        Branch, tag or commit on the model hub.
    trust_remote_code : bool
        Whether Python code from the model's repository may run.

    Examples
    --------
    >>> BackboneRequest("resnet18", image_size=0)
    Traceback (most recent call last):
        ...
    ValueError: image_size must be an integer from 1 to 4096; got 0
    """

    name: str
    weights: str | os.PathLike[str] = "default"
    image_size: int | None = None
    seed: int = 0
    revision: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.weights, str | os.PathLike):
            raise TypeError(
                "weights must be 'default', 'random' or a path; "
                f"got {self.weights!r} of type {type(self.weights).__name__}"
            )
        size = self.image_size
        if size is not None and (
            isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 4096
        ):
            raise ValueError(f"image_size must be an integer from 1 to 4096; got {size!r}")
        check_seed(self.seed)
        if self.revision is not None and (not isinstance(self.revision, str) or not self.revision):
            raise TypeError(f"revision must be a string; got {self.revision!r}")
        check_bool(self.trust_remote_code, "trust_remote_code")

    @property
    def random(self) -> bool:
        """Whether the weights are drawn at random."""
        return self.weights == "random"

    @property
    def path(self) -> Path | None:
        """The path of the user's weights; None for "default" and "random"."""
        return None if self.weights in ("default", "random") else Path(self.weights).expanduser()

    def existing_path(self, expected: str) -> Path | None:
        """Return `path`; if it does not exist, raise an error that names what was `expected`."""
        path = self.path
        if path is not None and not path.exists():
            raise FileNotFoundError(
                f"no weights {os.fspath(self.weights)!r} for {self.name}: expected 'default', "
                f"'random', or {expected}"
            )
        return path

    def reject_revision(self, why: str) -> None:
        """Raise ValueError if `revision` is set; `why` completes the message."""
        if self.revision is not None:
            raise ValueError(f"revision must be omitted, because {why}; got {self.revision!r}")

    def reject_remote_code(self, why: str) -> None:
        """Raise ValueError if `trust_remote_code` is set; `why` completes the message."""
        if self.trust_remote_code:
            raise ValueError(f"trust_remote_code must be omitted, because {why}")


def check_seed(seed: int) -> None:
    """Raise ValueError if `seed` is not a valid seed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer from 0 to 2**63 - 1; got {seed!r}")
