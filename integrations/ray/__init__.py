"""Inspection and selection of Ray datasets; requires ``pip install 'spectral_select[ray]'``."""

from spectral_select._utils.optional_packages import raise_missing

try:
    import ray  # noqa: F401  # first, so that the error names ray if it is missing
except ModuleNotFoundError as error:
    raise_missing(error, __name__)

from spectral_select.integrations.ray.inspection import inspect
from spectral_select.integrations.ray.selection import select

__all__ = ["inspect", "select"]
