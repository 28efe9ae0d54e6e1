"""Stored facts, as JSON → the row of those that a replay reads, without building the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rules.facts import FactType
from rules.replay import Replay

_TYPES: Final[Mapping[FactType, Any]] = {
    FactType.BOOL: bool | None,
    FactType.NUMBER: int | float | None,
    FactType.ENUM: str | None,
    FactType.TEXT: str | None,
    FactType.NAMES: tuple[str, ...] | None,
}
_untyped_decoder = msgspec.json.Decoder(dict[str, Any])


class ReplayRowDecoder:
    """Reads stored facts for one replay."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        names = {f"f{place}": fact.name for place, fact in enumerate(replay.columns)}
        fields = [
            (field, _TYPES[fact.type], None)
            for field, fact in zip(names, replay.columns, strict=True)
        ]
        self._decoder = msgspec.json.Decoder(
            msgspec.defstruct("Row", fields, rename=names, gc=False)
        )

    def decode_row(self, facts: bytes, changes: Mapping[str, object]) -> tuple[object, ...]:
        """Return the row of these facts, with some of them changed."""
        if not changes:
            try:
                return msgspec.structs.astuple(self._decoder.decode(facts))
            except msgspec.ValidationError:  # a value of another type: unknown, as for the judge
                pass
        return self._replay.row_from_facts({**_untyped_decoder.decode(facts), **changes})
