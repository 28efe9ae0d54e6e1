"""The fields of a struct as its source has them, for the generated references."""

from __future__ import annotations

import inspect

from msgspec import Struct


def read_field_types(kind: type[Struct]) -> dict[str, str]:
    """Return each field's annotation as it is written, by the field's name, in order."""
    written: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        written |= {name: str(type_) for name, type_ in inspect.get_annotations(each).items()}
    return {name: written[name] for name in kind.__struct_fields__}


def read_field_defaults(kind: type[Struct]) -> dict[str, object]:
    """Return the default of each field that has one, by the field's name."""
    defaults = kind.__struct_defaults__
    names = kind.__struct_fields__[len(kind.__struct_fields__) - len(defaults) :]
    return dict(zip(names, defaults, strict=True))
