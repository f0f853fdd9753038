"""Inspection and selection of Ray datasets; requires ``pip install 'spectral_select[ray]'``."""

from spectral_select.integrations.ray.inspection import inspect
from spectral_select.integrations.ray.selection import select

__all__ = ["inspect", "select"]
