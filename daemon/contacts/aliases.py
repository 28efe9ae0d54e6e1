"""The aliases of one contact: every form of the number, and hidden ids.

Suppression, deduplication and the one-message-at-a-time rule work on the whole set, because the
platform, a list and a person each write the same number differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from daemon.api.numbers import list_phone_spellings as number_forms
from storage.contacts import Alias, AliasKind


class Aliases:
    """Makes alias sets; ``keyed_hash`` is the suppression journal's."""

    def __init__(self, keyed_hash: Callable[[str], str]) -> None:
        self._hash = keyed_hash

    def from_phone(self, phone: str) -> tuple[Alias, ...]:
        """Return every form of an E.164 number."""
        return tuple(
            Alias(form, self._hash(form), AliasKind.PHONE) for form in sorted(number_forms(phone))
        )

    def from_lid(self, lid: str) -> tuple[Alias, ...]:
        """Return the one form of a hidden id."""
        return (Alias(lid, self._hash(lid), AliasKind.LID),)

    def from_sender(self, sender: str, phone: str | None) -> tuple[Alias, ...]:
        """Return the set that an inbound shows: its sender, and its number where it is known."""
        forms: Iterable[Alias] = self.from_phone(phone) if phone else ()
        own = self.from_phone(sender) if sender.startswith("+") else self.from_lid(sender)
        return tuple(dict.fromkeys((*own, *forms)))
