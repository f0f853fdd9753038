"""Every public name says what it takes, what it gives, and shows it, in numpydoc's form."""

import enum
import importlib
import inspect
import re

import pytest

from spectral_select import integrations

pytest.importorskip("numpydoc", reason="the documentation's tools (extra `docs`)")
from numpydoc.validate import Validator, get_doc_object, validate

# numpydoc's checks: a docstring, its summary, parameters (all, in order, with types and
# descriptions), Returns or Yields where something is returned, and an example.
FUNCTION = {"GL08", "SS01", "SS06", "PR01", "PR02", "PR03", "PR04", "PR07", "RT01", "YD01", "EX01"}
METHOD = FUNCTION - {"EX01"}  # its example is that of the class
PROPERTY = {"GL08", "SS01", "SS06"}

ARRAY = re.compile(r"\b(ndarray|array-like|array|tensor|memmap|csr_array)\b", re.IGNORECASE)
SHAPE = re.compile(r"\bshapes?\b|\blength\b|\(n\w*, ?\w*\)")


def modules():
    names = [f"spectral_select.integrations.{name}" for name in integrations.PUBLIC_MODULES]
    return ["spectral_select", *names]


def public():
    """Return every public class and function, and the public methods of the classes."""
    found = []
    for module_name in modules():
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue  # a constant: it has a comment, not a docstring
            found.append(f"{module_name}.{name}")
            members = vars(value).items() if inspect.isclass(value) else ()
            found += [
                f"{module_name}.{name}.{member}"
                for member, it in members
                if not member.startswith("_")
                and (callable(it) or isinstance(it, property | classmethod | staticmethod))
            ]
    return found


def load(name):
    """Return what a name stands for, the class it is in (or None), and its own name there."""
    owner_name, _, own = name.rpartition(".")
    owner = Validator._load_obj(owner_name)
    value = Validator._load_obj(name)
    return value, owner if inspect.isclass(owner) else None, own


def is_inherited(owner, own):
    """Tell whether a class above has the method too: its sections are not repeated."""
    return any(own in vars(base) and vars(base)[own].__doc__ for base in owner.__mro__[1:])


def names_its_parameters(value):
    """Tell whether a docstring without sections speaks of each parameter."""
    doc = inspect.getdoc(value) or ""
    parameters = set(inspect.signature(value).parameters) - {"self", "cls"}
    returns = inspect.signature(value).return_annotation not in (None, "None")
    return (
        "Parameters\n" not in doc
        and all(re.search(rf"[`*]{name}\b", doc) for name in parameters)
        and (doc.startswith("Return ") or not returns)
    )


def faults(name):
    """Return what is missing from a docstring."""
    value, owner, own = load(name)
    checks = FUNCTION
    documented = set()
    if inspect.isclass(value):
        # The parameters of a dataclass are its attributes, and described as such. Who
        # raises an exception or an enumeration makes none of their own.
        documented = {entry.name for entry in get_doc_object(value)["Attributes"]}
        documented = {part.strip() for entry in documented for part in entry.split(",")}
        if issubclass(value, enum.Enum):
            checks = checks - {"PR01"}
        if issubclass(value, Exception):
            checks = checks - {"PR01", "EX01"}
    elif owner is not None:
        brief = callable(value) and (is_inherited(owner, own) or names_its_parameters(value))
        checks = PROPERTY if brief or not callable(value) else METHOD
    found = []
    for code, text in validate(name)["errors"]:
        if code in checks:
            missing = set(re.findall(r"'\*{0,2}(\w+)'", text)) - documented
            if code != "PR01" or missing:
                found.append(f"{code} {text}")
    return found


@pytest.mark.parametrize("name", public())
def test_docstring_is_complete(name):
    assert faults(name) == []


@pytest.mark.parametrize("name", public())
def test_arrays_have_a_shape(name):
    doc = get_doc_object(load(name)[0])
    for section in ("Parameters", "Attributes", "Returns", "Yields"):
        for entry in doc[section]:
            # What is returned without a name has its type for a name.
            kind = entry.type or (entry.name if section in ("Returns", "Yields") else "")
            if ARRAY.search(kind):
                text = " ".join([entry.name, kind, *entry.desc])
                assert SHAPE.search(text), f"{section}: {entry.name} : {kind}"


def test_what_is_missing_is_found():
    def undocumented(x):
        """Do something."""
        return x

    def named(self, x):
        """Return `x`."""
        return x

    assert not names_its_parameters(undocumented)
    assert names_its_parameters(named)
    assert len(public()) > 50
