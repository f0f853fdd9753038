"""Dataclasses that are read from and written to JSON, and checked against their annotations."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Self, TypeAlias, get_args, get_origin

__all__ = ["JsonObject", "JsonRecord"]

#: A JSON object with arbitrary keys, for the parts of a record without a fixed schema.
JsonObject: TypeAlias = dict[str, Any]

_NAMES = {dict: "an object", list: "a list", str: "a string", int: "an integer"}


class JsonRecord:
    """Base class for dataclasses whose fields are numbers, strings, lists and other records.

    A field without a default must be present in the JSON object, and ``X | None`` accepts null.
    A field ``extra`` collects all other keys; without this field, other keys are ignored. A field
    with the metadata ``omit`` is left out of the JSON object if its value is None.
    """

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "") -> Self:
        """Convert a JSON object to a record.

        Parameters
        ----------
        content : mapping
            The JSON object.
        where : str, default=""
            Name of the object in error messages.

        Raises
        ------
        ValueError
            If a key is missing or a value has the wrong type. Callers prepend the file name to
            the message.
        """
        record: Self = _decode(cls, content, where)
        return record

    def to_json(self) -> JsonObject:
        """Return the record as a JSON object."""
        content: JsonObject = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.name == "extra":
                content |= value
            elif value is not None or "omit" not in field.metadata:
                content[field.name] = _encode(value)
        return content


def _encode(value: Any) -> Any:
    if isinstance(value, JsonRecord):
        return value.to_json()
    return [_encode(item) for item in value] if isinstance(value, list) else value


def _decode(kind: Any, value: Any, where: str) -> Any:
    optional = get_origin(kind) is UnionType
    if optional:
        if value is None:
            return None
        (kind,) = (arg for arg in get_args(kind) if arg is not type(None))
    if is_dataclass(kind):
        _check_type(value, dict, where)
        return _decode_record(kind, value, where)
    if get_origin(kind) is list:
        _check_type(value, list, where)
        (item_kind,) = get_args(kind)
        return [_decode(item_kind, item, f"{where}[{i}]") for i, item in enumerate(value)]
    _check_type(value, get_origin(kind) or kind, where, optional=optional)
    if get_origin(kind) is dict and (item_kind := get_args(kind)[1]) is not Any:
        return {key: _decode(item_kind, value[key], f"{where}.{key}") for key in value}
    return value


def _decode_record(kind: Any, value: Mapping[str, Any], where: str) -> Any:
    arguments: dict[str, Any] = {}
    known = {field.name for field in fields(kind)}
    for field in fields(kind):
        name = f"{where}.{field.name}" if where else field.name
        if field.name == "extra":
            arguments["extra"] = {key: value[key] for key in value if key not in known}
        elif field.name in value:
            arguments[field.name] = _decode(field.type, value[field.name], name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"lacks {name}")
    return kind(**arguments)


def _check_type(value: Any, kind: Any, where: str, *, optional: bool = False) -> None:
    accepted = (int, float) if kind is float else kind
    # Reject NaN and values too large for figures. A diverging loss is accepted, because finite
    # float32 values are below 1e39.
    drawable = not isinstance(value, int | float) or abs(value) < 1e100
    if isinstance(value, accepted) and not isinstance(value, bool) and drawable:
        return
    expected = _NAMES.get(kind, "a finite number") + (" or null" if optional else "")
    shown = repr(value) if len(repr(value)) <= 40 else f"a {type(value).__name__}"
    raise ValueError(f"has {shown} for {where}; expected {expected}")
