"""Registry of methods by name, and parsing of names with options."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from spectral_select._utils.suggestions import did_you_mean
from spectral_select.integrations.methods.interface import Method

__all__ = ["check_methods", "get_method", "method_names", "register"]

_REGISTRY: dict[str, type[Method]] = {}


def register(method: type[Method]) -> type[Method]:
    """Register a method under its name; use as a class decorator.

    Parameters
    ----------
    method : type
        A subclass of `Method` with a ``name``.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    ValueError
        If another class has the same name.

    Examples
    --------
    >>> from spectral_select.integrations.methods import Method
    >>> class Mine(Method):
    ...     name = "random"
    >>> register(Mine)
    Traceback (most recent call last):
        ...
    ValueError: method 'random' is already registered: Random
    """
    known = _REGISTRY.setdefault(method.name, method)
    if known is not method:
        raise ValueError(f"method {method.name!r} is already registered: {known.__qualname__}")
    return method


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, in the order they were registered.

    Returns
    -------
    tuple of str
        Names without options.

    Examples
    --------
    >>> method_names()[:3]
    ('full', 'full-short', 'random')
    """
    return tuple(_REGISTRY)


def get_method(spec: str) -> Method:
    """Return the method called `spec`, a name with optional settings.

    Parameters
    ----------
    spec : str
        ``NAME`` or ``NAME:option=value,option=value``.

    Returns
    -------
    Method
        An instance with these options.

    Raises
    ------
    ValueError
        If there is no method with this name, an option is unknown or repeated, or a value is
        invalid.

    Examples
    --------
    >>> get_method("fiedler").summary
    'the largest |v| of the Fiedler vector (SALN)'
    >>> get_method("gstds:shape=cosine,end=0.5").spec
    'gstds:shape=cosine,end=0.5'
    """
    name, colon, text = spec.partition(":")
    if name not in _REGISTRY:
        known = ", ".join(method_names())
        raise ValueError(f"method must be one of {known}; got {name!r}{_hint(name)}")
    method = _REGISTRY[name]
    known_options: dict[str, Any] = (
        {f.name: f for f in fields(method)} if is_dataclass(method) else {}
    )
    options: dict[str, Any] = {}
    for part in text.split(",") if colon else []:
        key, _, value = part.partition("=")
        if key not in known_options:
            expected = ", ".join(known_options) or "none"
            raise ValueError(
                f"method {spec!r} has no option {key!r}; options of {name}: {expected}"
            )
        if key in options:
            raise ValueError(f"method {spec!r} has option {key!r} twice")
        options[key] = _value(value, known_options[key].default, f"option {key!r} of {spec!r}")
    try:
        return method(**options)
    except (ValueError, TypeError) as error:
        raise ValueError(f"method {spec!r}: {error}") from error


def _hint(name: str) -> str:
    """Return a suggestion for an unknown method name."""
    if {part.partition(":")[0] for part in name.split(",")} <= {*_REGISTRY}:
        return "; separate methods with spaces"
    close = did_you_mean(name, _REGISTRY)
    return f": {close}" if close else ""


def _value(text: str, default: Any, what: str) -> Any:
    """Convert an option's value to the type of its default, or to float if the default is None."""
    kind = float if default is None else type(default)
    if kind is bool and text in ("true", "false", "True", "False"):
        return text.lower() == "true"
    try:
        if kind is not bool:
            return kind(text)
    except ValueError:
        pass
    expected = {bool: "true or false", int: "an integer", float: "a number"}.get(kind, "a string")
    raise ValueError(f"{what} must be {expected}; got {text!r}")


def check_methods(specs: Sequence[str]) -> list[Method]:
    """Return the methods named in `specs`, which must not be empty or contain duplicates.

    Parameters
    ----------
    specs : sequence of str
        Names, with optional settings.

    Returns
    -------
    list of Method
        In the order given.

    Raises
    ------
    ValueError
        If the list is empty, a method is unknown, or a method is repeated.

    Examples
    --------
    >>> [method.spec for method in check_methods(["full", "random"])]
    ['full', 'random']
    """
    if isinstance(specs, str) or not len(specs):
        raise ValueError(f"methods must be a list of one or more names; got {specs!r}")
    methods = [get_method(spec) for spec in specs]
    canonical = [method.spec for method in methods]
    if len(set(canonical)) != len(canonical):
        raise ValueError(f"methods must not contain duplicates; got {' '.join(specs)}")
    return methods
