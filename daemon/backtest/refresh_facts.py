"""Decodes the stored facts of past decisions, and recomputes those that depend on the ruleset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from daemon.gate import recipient_locale
from daemon.rulesets import history
from daemon.rulesets.rule_files import RulesetPair
from rules.facts import FactType
from rules.replay import Replay
from rules.ruleset import to_hashable_json
from storage.backtest_queries import DecisionBatch
from storage.column_formats import parse_timestamp
from storage.tx import Reader

_SCORE, _TEXT = "prospect.score_contactabilidad", "message.text"
_WINDOWS = "clock.in_window"
_NOTHING: Mapping[str, object] = MappingProxyType({})
untyped_decoder = msgspec.json.Decoder(dict[str, Any])


class RefreshedFacts:
    """The facts of past decisions that a candidate ruleset would see otherwise.

    A stored snapshot has no text, and its open windows and its score are those of the rulesets of
    the time. Windows and score are recomputed where the candidate's differ from the live ones.
    """

    def __init__(self, reader: Reader, sets: RulesetPair) -> None:
        self._gate, self._score = sets.gate, Replay(sets.score)
        self.reads_text = any(fact.name == _TEXT for fact in sets.gate.reads)
        self._score_changed = history.get_live_score_hash(reader) not in (None, sets.score.hash)
        live = history.load_live_gate(reader)
        self._windows_changed = live is not None and to_hashable_json(
            live.windows
        ) != to_hashable_json(sets.gate.windows)

    @property
    def needs_messages(self) -> bool:
        """Whether the columns of the messages are needed, beside those of the decisions."""
        return self.reads_text or self._windows_changed

    def refresh(self, page: DecisionBatch, kept: Sequence[int]) -> Sequence[Mapping[str, object]]:
        """Return for each of the rows ``kept`` the facts that replace stored ones."""
        if not self.needs_messages and not self._score_changed:
            return [_NOTHING] * len(kept)
        changes = [self._refresh_message_facts(page, place) for place in kept]
        if self._score_changed:
            stored_facts = [untyped_decoder.decode(page.facts[place]) for place in kept]
            rows = [
                self._score.row_from_facts({**k, **c})
                for k, c in zip(stored_facts, changes, strict=True)
            ]
            for facts, change, now in zip(
                stored_facts, changes, self._score.decide(rows), strict=True
            ):
                # What was unknown at the time stays unknown.
                if facts.get(_SCORE) is not None:
                    change[_SCORE] = now.score
        return changes

    def _refresh_message_facts(self, page: DecisionBatch, place: int) -> dict[str, object]:
        changed: dict[str, object] = {_TEXT: page.texts[place]} if self.reads_text else {}
        recipient = page.recipients[place]
        if self._windows_changed and recipient:  # retention has blanked it in old decisions
            locale = recipient_locale.locale_from_phone(recipient, page.zones[place] or "UTC")
            clock_facts = locale.build_clock_facts(
                self._gate, parse_timestamp(page.times[place] or "")
            )
            changed[_WINDOWS] = clock_facts[_WINDOWS]
        return changed


_TYPES: Final[Mapping[FactType, Any]] = {
    FactType.BOOL: bool | None,
    FactType.NUMBER: int | float | None,
    FactType.ENUM: str | None,
    FactType.TEXT: str | None,
    FactType.NAMES: tuple[str, ...] | None,
}


class ReplayRowDecoder:
    """Decodes stored facts, as JSON, to rows of one replay."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        # A struct made of the replay's columns: msgspec skips all other facts without decoding.
        names = {f"f{place}": fact.name for place, fact in enumerate(replay.columns)}
        fields = [
            (field, _TYPES[fact.type], None)
            for field, fact in zip(names, replay.columns, strict=True)
        ]
        self._decoder = msgspec.json.Decoder(
            msgspec.defstruct("Row", fields, rename=names, gc=False)
        )

    def decode_row(self, facts: bytes, changes: Mapping[str, object]) -> tuple[object, ...]:
        """Return the row of these facts, with ``changes`` applied."""
        if not changes:
            try:
                return msgspec.structs.astuple(self._decoder.decode(facts))
            # A value of another type, below treated as unknown, as the evaluator does it.
            except msgspec.ValidationError:
                pass
        return self._replay.row_from_facts({**untyped_decoder.decode(facts), **changes})
