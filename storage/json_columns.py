"""Encodes JSON documents for a column: compact, keys sorted, always valid JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode_json(document: Mapping[str, object]) -> str:
    """Return the text of a document; a number that JSON has no word for (NaN) is null.

    Raises ``TypeError`` for what is neither text, number, flag, list nor mapping.
    """
    return _encoder.encode(document).decode()


def _to_plain_type(value: object) -> object:
    """Return what a plugin's own kind of text or number is underneath."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    message = f"a document can't hold {type(value).__name__}"
    raise TypeError(message)


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=_to_plain_type)
