"""Which unclear messages of a former system a person still has to read.

What they made clear later, in a welcome or a no, needs nobody to read what they wrote before it:
the permission is the same, whatever that meant. The result is the same in every order of lines.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from daemon.api.effects import ContactRequest
from daemon.gate.consent import NOBODY_TO_WRITE_TO, REFUSALS, WELCOMES
from daemon.inbound.classification_effects import settle_hold
from daemon.inbound.context import InboundContext
from daemon.inbound.reading import InboundReading, list_evidence_values
from storage import evidence, inbound_reviews
from storage.evidence import EvidenceKind
from storage.inbound_reviews import ReviewCause
from storage.tx import Tx

_MADE_CLEAR: Final = REFUSALS | NOBODY_TO_WRITE_TO | WELCOMES | {ContactRequest.OPT_IN}
_UNCLEAR_CAUSES: Final = (ReviewCause.MAY_ASK_TO_STOP, ReviewCause.NOT_UNDERSTOOD)


def is_settled_later(tx: Tx, context: InboundContext) -> bool:
    """Return whether a message is unclear, and they were clear after it."""
    if is_clear(context.reading) or not context.reading.words.says(ContactRequest.UNCLEAR):
        return False
    found = evidence.list_contact_evidence(tx, context.contact)
    return any(
        each.at > context.record.at and _makes_clear(each.kind, each.value)
        for each in evidence.drop_withdrawn(found)
    )


def settle_earlier_reviews(tx: Tx, contact: str, at: datetime) -> None:
    """Let nobody read unclear messages of a former system from before ``at``, and end their hold.

    Call it where the contact was clear at ``at``.
    """
    for sentence in inbound_reviews.delete_imported_reviews(tx, contact, _UNCLEAR_CAUSES, at):
        settle_hold(tx, contact, sentence)


def is_clear(reading: InboundReading) -> bool:
    """Return whether a message is a welcome or a no of any kind."""
    return not _MADE_CLEAR.isdisjoint(list_evidence_values(reading))


def _makes_clear(kind: EvidenceKind, value: str) -> bool:
    return kind is EvidenceKind.DECLINED or (kind is EvidenceKind.INBOUND and value in _MADE_CLEAR)
