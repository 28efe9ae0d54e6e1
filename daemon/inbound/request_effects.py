"""What follows from what a contact's words say: one row for each class, united for a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from daemon.api.effects import ContactRequest, Intent
from daemon.inbound.contact_requests import Finding, Reading
from storage.contacts import HoldScope

_COMMERCIAL, _ALL = HoldScope.COMMERCIAL, HoldScope.ALL


class RequestEffects(Struct, frozen=True):
    """What a message does to permission, queue and intent, and whether a person looks at it.

    ``refuses``: it is a no. ``cancels`` and ``holds``: which waiting messages. ``stops``: nothing
    goes to them any more, until a person has decided. ``intent``: None leaves it as it was.
    """

    refuses: bool = False
    cancels: HoldScope | None = None
    holds: HoldScope | None = None
    stops: bool = False
    asks_a_person: bool = False
    intent: Intent | None = None


_EFFECTS: Final[Mapping[ContactRequest, RequestEffects]] = MappingProxyType(
    {
        ContactRequest.OPT_OUT: RequestEffects(refuses=True, cancels=_ALL, intent=Intent.NONE),
        ContactRequest.OPT_IN: RequestEffects(),
        ContactRequest.DECLINED: RequestEffects(
            refuses=True, cancels=_COMMERCIAL, intent=Intent.NONE
        ),
        ContactRequest.COMPLAINT: RequestEffects(
            refuses=True, holds=_ALL, asks_a_person=True, intent=Intent.NONE
        ),
        ContactRequest.WRONG_PERSON: RequestEffects(
            cancels=_ALL, asks_a_person=True, intent=Intent.NONE
        ),
        ContactRequest.MINOR: RequestEffects(
            cancels=_ALL, stops=True, asks_a_person=True, intent=Intent.NONE
        ),
        ContactRequest.DECEASED: RequestEffects(
            cancels=_ALL, stops=True, asks_a_person=True, intent=Intent.NONE
        ),
        ContactRequest.AUTOMATIC: RequestEffects(),
        ContactRequest.INTERESTED: RequestEffects(cancels=_COMMERCIAL, intent=Intent.CLEAR),
        ContactRequest.QUESTION: RequestEffects(cancels=_COMMERCIAL, intent=Intent.ASKED),
        ContactRequest.COURTESY: RequestEffects(cancels=_COMMERCIAL),
        ContactRequest.UNCLEAR: RequestEffects(holds=_COMMERCIAL, asks_a_person=True),
    }
)
_ABOUT_US: Final = RequestEffects(cancels=_COMMERCIAL, asks_a_person=True)
_BY_STRENGTH: Final = (Intent.NONE, Intent.ASKED, Intent.CLEAR, Intent.WEAK)
"""A no outweighs a wish; a question about the offer says more than interest."""


def list_effects(finding: Finding) -> RequestEffects:
    """Return what one finding does."""
    return _ABOUT_US if finding.about_us else _EFFECTS[finding.request]


def unite_effects(reading: Reading) -> RequestEffects:
    """Return what a message does: the effects of all that it says, the strictest of each kind."""
    found = [list_effects(each) for each in reading.findings]
    intents = {each.intent for each in found}
    return RequestEffects(
        refuses=any(each.refuses for each in found),
        cancels=_widest(each.cancels for each in found),
        holds=_widest(each.holds for each in found),
        stops=any(each.stops for each in found),
        asks_a_person=any(each.asks_a_person for each in found),
        intent=next((each for each in _BY_STRENGTH if each in intents), None),
    )


def _widest(scopes: Iterable[HoldScope | None]) -> HoldScope | None:
    given = set(scopes)
    return next((each for each in (_ALL, _COMMERCIAL) if each in given), None)
