"""Facts of past decisions that are otherwise now: the text, the open windows, the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from daemon import places
from daemon.rulebook import past
from daemon.rulebook.folder import Sets
from rules.replay import Replay
from rules.ruleset import plain
from storage.backtests import Page
from storage.times import parse
from storage.tx import Reader

_SCORE, _TEXT = "prospect.score_contactabilidad", "message.text"
_WINDOWS = "clock.in_window"
_NOTHING: Mapping[str, object] = MappingProxyType({})
_facts = msgspec.json.Decoder(dict[str, Any])


class Changes:
    """What a candidate would have been told otherwise.

    A snapshot holds no text. It holds which windows were open by the rules of then, and a score
    by the points of then: both are asked anew where the candidate's are not those that are live.
    """

    def __init__(self, reader: Reader, sets: Sets) -> None:
        self._gate, self._score = sets.gate, Replay(sets.score)
        self.texts = any(fact.name == _TEXT for fact in sets.gate.reads)
        self._scores = past.live_score(reader) not in (None, sets.score.hash)
        live = past.live_gate(reader)
        self._windows = live is not None and plain(live.windows) != plain(sets.gate.windows)

    @property
    def about_messages(self) -> bool:
        """Tell whether the messages themselves are needed, beside what was decided on them."""
        return self.texts or self._windows

    def of(self, page: Page, kept: Sequence[int]) -> Sequence[Mapping[str, object]]:
        """Return the facts to lay over each of these snapshots."""
        if not self.about_messages and not self._scores:
            return [_NOTHING] * len(kept)
        changes = [self._of_message(page, place) for place in kept]
        if self._scores:
            known = [_facts.decode(page.facts[place]) for place in kept]
            rows = [self._score.row({**k, **c}) for k, c in zip(known, changes, strict=True)]
            for facts, change, now in zip(known, changes, self._score.decide(rows), strict=True):
                if facts.get(_SCORE) is not None:
                    change[_SCORE] = now.score
        return changes

    def _of_message(self, page: Page, place: int) -> dict[str, object]:
        changed: dict[str, object] = {_TEXT: page.texts[place]} if self.texts else {}
        recipient = page.recipients[place]
        if self._windows and recipient:  # an old decision forgot whom it was about
            where = places.of(recipient, page.zones[place] or "UTC")
            told = where.clock_facts(self._gate, parse(page.times[place] or ""))
            changed[_WINDOWS] = told[_WINDOWS]
        return changed
