"""Choose the samples of each training batch by spectral analysis of its similarity graph."""

from typing import Any

import lazy_loader

__version__ = "0.1.0"

# Names load on first use, so that importing the package never imports torch.
_load, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*_names, "__version__"]


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        from spectral_select._utils.optional_packages import raise_missing

        raise_missing(error, f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
