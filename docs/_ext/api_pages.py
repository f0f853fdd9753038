"""Write the reference pages from the ``__all__`` of each public module."""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

from spectral_select import integrations
from spectral_select._cli.main import _COMMANDS


def public_modules() -> list[str]:
    """Return the names of the public modules, starting with the library."""
    names = [f"spectral_select.integrations.{name}" for name in integrations.PUBLIC_MODULES]
    return ["spectral_select", *names]


def write_reference(folder: Path) -> list[str]:
    """Write an index and a page for each public module to `folder`; return the page paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    generated = set()
    for name in public_modules():
        page = name.removeprefix("spectral_select.integrations.")
        pages.append(page)
        module = importlib.import_module(name)
        _write(folder / f"{page}.rst", _page(module))
        generated |= {f"{name}.{public}.rst" for public in _described(module)}
    commands = write_commands(folder)
    # Delete pages for names that no longer exist, because Sphinx would warn about them.
    for page in [*folder.glob("*.rst"), *(folder / "generated").glob("*.rst")]:
        if page.stem not in {*pages, "index", *commands} and page.name not in generated:
            page.unlink()
    title = "Reference"
    lines = [title, "=" * len(title), ""]
    lines += [
        "`spectral_select` is the library. It requires NumPy, SciPy and scikit-learn; the samplers",
        "also require PyTorch (extra ``torch``). ``spectral_select.integrations`` contains the",
        "modules behind the command line, which require the extra ``torch``, and ``ray``, which",
        "requires the extra ``ray``.",
        "",
        ".. toctree::",
        "   :maxdepth: 1",
        "",
        *(f"   {_short(page)} <{page}>" for page in pages),
        "   /command_line",
        "   /frameworks",
        "   /frameworks_batches",
        "   /glossary",
        "   /references",
        "   /changelog",
        "",
    ]
    _write(folder / "index.rst", "\n".join(lines))
    return [str(folder / f"{page}.rst") for page in pages]


def write_commands(folder: Path) -> list[str]:
    """Write a page for each sub-command; return their names."""
    names = [f"command_{name}" for name in _COMMANDS]
    for name, page in zip(_COMMANDS, names, strict=True):
        title = f"spectral-select {name}"
        lines = [title, "=" * len(title), "", f".. command-help:: {name}", ""]
        _write(folder / f"{page}.rst", "\n".join(lines))
    return names


def _short(page: str) -> str:
    """Return the short name of a module for the sidebar."""
    return page if page == "spectral_select" else f"integrations.{page}"


def _page(module: ModuleType) -> str:
    doc = (inspect.getdoc(module) or "").strip()
    title = module.__name__
    lines = [title, "=" * len(title), "", f".. currentmodule:: {title}", "", doc, ""]
    lines += [f".. py:module:: {title}", ""]
    values = {name: getattr(module, name) for name in module.__all__ if name[0] != "_"}
    described = _described(module)
    lines += [".. autosummary::", "   :toctree: generated", "   :nosignatures:", ""]
    lines += [f"   {name}" for name in described] + [""]
    constants = {n: repr(v) for n, v in values.items() if n not in described}
    if constants:
        lines += ["Constants", "---------", ""]
        lines += [f"- ``{n}`` = ``{v if len(v) < 200 else '…'}``" for n, v in constants.items()]
    return "\n".join([*lines, ""])


def _described(module: ModuleType) -> list[str]:
    """Return the names of the public classes and functions of a module."""
    values = {name: getattr(module, name) for name in module.__all__}
    return [n for n, v in values.items() if inspect.isclass(v) or inspect.isroutine(v)]


def _write(path: Path, text: str) -> None:
    # Unchanged pages keep their modification time, so that Sphinx does not read them again.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
