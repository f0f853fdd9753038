"""The extra that installs each optional dependency, for error messages."""

from typing import NoReturn

__all__ = ["how_to_install", "missing_package", "raise_missing"]

_EXTRAS = {
    "torch": "torch",
    "torchvision": "torch",
    "PIL": "torch",
    "safetensors": "torch",
    "tqdm": "torch",
    "psutil": "torch",
    "timm": "timm",
    "transformers": "hf",
    "huggingface_hub": "hf",
    "open_clip": "open_clip",
    "sentence_transformers": "st",
    "ray": "ray",
    "jinja2": "report",
    "matplotlib": "report",
    "tensorboard": "report",
}

# Packages that are needed for one format only, so no extra includes them.
_PACKAGES = frozenset({"datasets", "pyarrow"})


def missing_package(error: BaseException) -> str | None:
    """Return the optional package whose absence caused `error`, or None."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    name = (error.name or "").partition(".")[0]
    return name if name in _EXTRAS or name in _PACKAGES else None


def how_to_install(package: str) -> str:
    """Return a message saying that `package` is missing, with the command that installs it."""
    what = f"'spectral_select[{_EXTRAS[package]}]'" if package in _EXTRAS else package
    return f"needs the package {package}, which is not installed: pip install {what}"


def raise_missing(error: ModuleNotFoundError, what: str) -> NoReturn:
    """Raise `error` again; for an optional package, say that `what` needs it and how to get it."""
    if (package := missing_package(error)) is None:
        raise error
    raise ModuleNotFoundError(f"{what} {how_to_install(package)}", name=error.name) from error
