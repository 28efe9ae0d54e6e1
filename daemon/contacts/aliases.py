"""Builds the aliases of a contact: every spelling of the number, and hidden ids.

Suppression, deduplication and the limit of one message at a time use the whole set, because
WhatsApp, lists and people write the same number differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from daemon.api.identity import Identity, IdentityKind
from daemon.api.numbers import list_phone_spellings as number_forms
from daemon.api.numbers import read_phones
from storage.contacts import Alias, AliasKind

_MOBILE_PREFIX: Final = "15"  # how Argentina dials a mobile of the same town
_MIN_LOCAL_DIGITS: Final = 6


def list_searched_spellings(text: str, region: str) -> list[str]:
    """Return the digits by which a number that people search for may be stored.

    ``text`` is the number or its end, as it is dialled in ``region`` or written anywhere; nothing
    for a text without enough digits.
    """
    digits = "".join(filter(str.isdigit, text)).lstrip("0")
    if len(digits) < _MIN_LOCAL_DIGITS:
        return []
    local = digits.removeprefix(_MOBILE_PREFIX)
    found = {digits, local if len(local) >= _MIN_LOCAL_DIGITS else digits}
    for number in read_phones(text, region).numbers:
        found |= {form.removeprefix("+") for form in number_forms(number.e164)}
    return sorted(found)


class Aliases:
    """Builds sets of aliases; ``keyed_hash`` is that of the suppression journal."""

    def __init__(self, keyed_hash: Callable[[str], str]) -> None:
        self._hash = keyed_hash

    def hash_text(self, text: str) -> str:
        """Return the keyed hash of a text that is no alias, with the key of the aliases."""
        return self._hash(text)

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
