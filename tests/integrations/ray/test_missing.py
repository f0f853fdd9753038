"""The error message for users without Ray."""

import importlib
import sys

import pytest


def test_import_names_the_extra(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("spectral_select.integrations.ray"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'spectral_select\[ray\]'$"):
        importlib.import_module("spectral_select.integrations.ray")
