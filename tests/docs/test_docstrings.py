"""Every public name has a complete numpydoc docstring."""

import enum
import importlib
import inspect
import re

import pytest

from spectral_select import integrations

pytest.importorskip("numpydoc", reason="needs the extra `docs`")
from numpydoc.validate import Validator, get_doc_object, validate

# Checks by numpydoc: a docstring with a summary, all parameters in order with types and
# descriptions, Returns or Yields if something is returned, and an example.
FUNCTION = {"GL08", "SS01", "SS06", "PR01", "PR02", "PR03", "PR04", "PR07", "RT01", "YD01", "EX01"}
METHOD = FUNCTION - {"EX01"}  # the class has the example
PROPERTY = {"GL08", "SS01", "SS06"}

ARRAY = re.compile(r"\b(ndarray|array-like|array|tensor|memmap|csr_array)\b", re.IGNORECASE)
SHAPE = re.compile(r"\bshapes?\b|\blength\b|\(n\w*, ?\w*\)")


def modules():
    names = [f"spectral_select.integrations.{name}" for name in integrations.PUBLIC_MODULES]
    return ["spectral_select", *names]


def public():
    """Return the names of all public classes, functions and methods."""
    names = []
    for module_name in modules():
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue  # a constant, which has no docstring
            names.append(f"{module_name}.{name}")
            members = vars(value).items() if inspect.isclass(value) else ()
            names += [
                f"{module_name}.{name}.{member}"
                for member, item in members
                if not member.startswith("_")
                and (callable(item) or isinstance(item, property | classmethod | staticmethod))
            ]
    return names


def load(name):
    """Return the object of a name, its class (or None), and its last name part."""
    owner_name, _, member = name.rpartition(".")
    owner = Validator._load_obj(owner_name)
    value = Validator._load_obj(name)
    return value, owner if inspect.isclass(owner) else None, member


def is_inherited(owner, member):
    """Return whether a base class documents the method, so that sections are not repeated."""
    return any(member in vars(base) and vars(base)[member].__doc__ for base in owner.__mro__[1:])


def names_its_parameters(value):
    """Return whether a docstring without sections mentions every parameter."""
    doc = inspect.getdoc(value) or ""
    parameters = set(inspect.signature(value).parameters) - {"self", "cls"}
    returns = inspect.signature(value).return_annotation not in (None, "None")
    return (
        "Parameters\n" not in doc
        and all(re.search(rf"[`*]{name}\b", doc) for name in parameters)
        and (doc.startswith("Return ") or not returns)
    )


def docstring_errors(name):
    """Return the errors of a docstring."""
    value, owner, member = load(name)
    checks = FUNCTION
    documented = set()
    if inspect.isclass(value):
        # A dataclass documents its parameters as attributes. Users do not create
        # enumeration members or exceptions.
        documented = {entry.name for entry in get_doc_object(value)["Attributes"]}
        documented = {part.strip() for entry in documented for part in entry.split(",")}
        if issubclass(value, enum.Enum):
            checks = checks - {"PR01"}
        if issubclass(value, Exception):
            checks = checks - {"PR01", "EX01"}
    elif owner is not None:
        brief = callable(value) and (is_inherited(owner, member) or names_its_parameters(value))
        checks = PROPERTY if brief or not callable(value) else METHOD
    errors = []
    for code, text in validate(name)["errors"]:
        if code in checks:
            missing = set(re.findall(r"'\*{0,2}(\w+)'", text)) - documented
            if code != "PR01" or missing:
                errors.append(f"{code} {text}")
    return errors


@pytest.mark.parametrize("name", public())
def test_docstring_is_complete(name):
    assert docstring_errors(name) == []


@pytest.mark.parametrize("name", public())
def test_arrays_document_their_shape(name):
    doc = get_doc_object(load(name)[0])
    for section in ("Parameters", "Attributes", "Returns", "Yields"):
        for entry in doc[section]:
            # numpydoc stores the type of an unnamed return value as its name.
            kind = entry.type or (entry.name if section in ("Returns", "Yields") else "")
            if ARRAY.search(kind):
                text = " ".join([entry.name, kind, *entry.desc])
                assert SHAPE.search(text), f"{section}: {entry.name} : {kind}"


def test_detects_undocumented_parameters():
    def undocumented(x):
        """Do something."""
        return x

    def named(self, x):
        """Return `x`."""
        return x

    assert not names_its_parameters(undocumented)
    assert names_its_parameters(named)
    assert len(public()) > 50
