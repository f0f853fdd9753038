"""Embed texts with sentence-transformers, using only safetensors and no remote code."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spectral_select.integrations.models.compute_options import check_device, check_precision
from spectral_select.integrations.models.pretrained_weights import hash_weights

__all__ = ["PREFIX", "SentenceEncoder"]

#: Prefix for the names of these encoders on the command line.
PREFIX = "st:"

_ORGANIZATION = "sentence-transformers"  # for names without an organization
# The files of a model; other formats of the weights are neither downloaded nor read.
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*/*.json", "*/*.safetensors")
_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class SentenceEncoder:
    """Map texts to the embeddings of a sentence-transformers model.

    Texts are truncated to the model's maximum length. Weights are read from safetensors only;
    nothing is unpickled, and no code from the model's repository is run.

    Parameters
    ----------
    model : str or path
        A model's folder, or its name on the Hugging Face hub, such as "all-MiniLM-L6-v2" or
        "BAAI/bge-small-en-v1.5".
    device : str or torch.device, default "cpu"
        Device of the model.
    precision : {"auto", "float32", "float16", "bfloat16"}, default "float32"
        Precision of the weights and of the arithmetic; "auto" is float16 on a GPU.
    batch_size : int, default 64
        Number of texts per forward pass.
    download : bool, default True
        Whether to download a model that is not in the hub's cache.

    Attributes
    ----------
    name : str
        "st:" and the name of the model or its folder.
    dim : int
        Length of an embedding.
    weights : str
        Where the weights came from; recorded with results.
    weights_hash : str
        SHA-256 of the weights, the configuration and the precision.
    library, library_version : str
        sentence-transformers and its version.

    Raises
    ------
    FileNotFoundError
        If the model does not exist.
    ValueError
        If the folder is not a model, has no weights in safetensors, or requires its own code; or
        if this machine lacks the device, or the precision is unknown.

    Examples
    --------
    >>> SentenceEncoder("a/folder/that/is/missing")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder a/folder/that/is/missing with a model
    """

    library = "sentence-transformers"

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str | torch.device = "cpu",
        precision: str = "float32",
        batch_size: int = 64,
        download: bool = True,
    ) -> None:
        import sentence_transformers

        where = check_device(device)
        dtype = check_precision(precision, where)
        self.library_version = str(sentence_transformers.__version__)
        name = os.fspath(model)
        folder, self.weights = _find(name, download=download)
        _check_safetensors(folder)
        try:
            with _no_progress_bars():
                self._model: Any = sentence_transformers.SentenceTransformer(
                    str(folder),
                    device=str(where),
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{name} cannot be loaded by sentence-transformers: {reason}"
            ) from error
        self._model.to(dtype).eval()
        self._batch_size = batch_size
        self.name = PREFIX + (Path(name).resolve().name if Path(name).is_dir() else name)
        digest = hashlib.sha256(
            f"{str(dtype).removeprefix('torch.')}\0{hash_weights(self._model)}\0".encode()
        )
        for file in sorted(folder.rglob("*.json")):
            digest.update(f"{file.relative_to(folder).as_posix()}\0".encode() + file.read_bytes())
        self.weights_hash = digest.hexdigest()
        self.dim = self.encode(["one text"]).shape[1]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings of texts.

        Parameters
        ----------
        texts : sequence of str
            The texts.

        Returns
        -------
        ndarray of shape (n, dim), float32
        """
        rows = self._model.encode(
            list(texts),
            batch_size=self._batch_size,
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        result: NDArray[np.float32] = rows.float().cpu().numpy()
        return result


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Hide the bars that transformers draws while it loads weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _find(name: str, *, download: bool) -> tuple[Path, str]:
    """Return the folder of a model, and where the model comes from."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder, "local folder"
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise FileNotFoundError(f"there is no folder {name} with a model")
    from huggingface_hub import snapshot_download

    repository = name if "/" in name else f"{_ORGANIZATION}/{name}"
    try:
        found = snapshot_download(
            repository, allow_patterns=list(_FILES), local_files_only=not download
        )
    except (OSError, ValueError) as error:  # snapshot_download raises these
        how = "could not be downloaded" if download else "downloads are disabled"
        reason = " ".join(str(error).split())
        raise FileNotFoundError(
            f"the model {repository} is not in the Hugging Face cache, and {how} ({reason})"
        ) from error
    return Path(found), f"{repository} at {Path(found).name}"


def _check_safetensors(folder: Path) -> None:
    """Reject a folder without configuration, or with weights that are not also in safetensors."""
    if not any((folder / name).is_file() for name in ("modules.json", "config.json")):
        raise ValueError(
            f"{folder} is not a sentence-transformers model; expected modules.json or config.json"
        )
    for part in sorted({file.parent for other in _OTHER_WEIGHTS for file in folder.rglob(other)}):
        if not any(part.glob("*.safetensors")):
            raise ValueError(
                f"{part} has no weights in safetensors, and other formats are not read because "
                "they are pickled; convert them with save_pretrained(safe_serialization=True)"
            )
