"""Builds the aliases of a contact: every spelling of the number, and hidden ids.

Suppression, deduplication and the limit of one message at a time use the whole set, because
WhatsApp, lists and people write the same number differently.
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.api.identity import Identity, IdentityKind
from daemon.api.numbers import list_phone_spellings as number_forms
from storage.contacts import Alias, AliasKind


class Aliases:
    """Builds sets of aliases; ``keyed_hash`` is that of the suppression journal."""

    def __init__(self, keyed_hash: Callable[[str], str]) -> None:
        self._hash = keyed_hash

    def from_phone(self, phone: str) -> tuple[Alias, ...]:
        """Return an alias for every spelling of an E.164 number."""
        return tuple(
            Alias(form, self._hash(form), AliasKind.PHONE) for form in sorted(number_forms(phone))
        )

    def from_identities(self, *identities: Identity) -> tuple[Alias, ...]:
        """Return the aliases of one person's identities, without repetition, in their order."""
        return tuple(
            dict.fromkeys(alias for each in identities for alias in self._from_identity(each))
        )

    def _from_identity(self, identity: Identity) -> tuple[Alias, ...]:
        if identity.kind is IdentityKind.PHONE:
            return self.from_phone(identity.value)
        kind = AliasKind(identity.kind.value)
        return (Alias(identity.value, self._hash(identity.value), kind),)
