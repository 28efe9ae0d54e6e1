"""What a contact wrote holds messages until a person has read it."""

from __future__ import annotations

import pytest

from statemachines.message import MessageState
from storage import contacts
from storage.contacts import HoldScope
from storage.evidence import EvidenceKind
from tests.helpers.services.messaging import BETO, MessagingServices

S = MessageState
WHY = "The message was not understood; a person should read it."


async def hold(services: MessagingServices, scope: HoldScope, phone: str = BETO) -> str:
    """Ask for a person's look at what somebody wrote."""
    contact = await services.resolve_contact(phone)
    at = services.clock.now()
    await services.database.write(
        lambda tx: contacts.request_contact_review(tx, contact, WHY, at, scope=scope)
    )
    return contact


@pytest.mark.parametrize("permission", ["opted_in", "relationship", "public_source"])
async def test_a_commercial_message_waits_for_a_person(
    services: MessagingServices, permission: str
) -> None:
    """Nobody sends it by hand either; the reason is that of the contact's own message."""
    await services.add_prospect(BETO, permission=permission)
    await hold(services, HoldScope.COMMERCIAL)
    found = await services.get_message(await services.enqueue_and_settle(BETO))
    assert (found.state, found.reason_code, found.sentence) == (S.HELD, "waits_for_a_person", WHY)


@pytest.mark.parametrize(
    ("scope", "state"), [(HoldScope.COMMERCIAL, S.SENT), (HoldScope.ALL, S.HELD)]
)
async def test_a_reply_waits_where_everything_does(
    services: MessagingServices, scope: HoldScope, state: MessageState
) -> None:
    """After a complaint replies wait too."""
    await services.add_prospect(BETO, permission="opted_in")
    contact = await hold(services, scope)
    await services.add_inbound(contact, "courtesy")
    assert await services.get_state(await services.enqueue_and_settle(BETO)) is state


async def test_what_a_complaint_refuses_waits_for_the_person_who_reads_it(
    services: MessagingServices,
) -> None:
    """The reading may be mistaken; without a hold a refusal blocks."""
    await services.add_prospect(BETO, permission="opted_in")
    contact = await hold(services, HoldScope.ALL)
    await services.add_evidence(contact, EvidenceKind.INBOUND, "complaint")
    held = await services.get_message(await services.enqueue_and_settle(BETO, text="Hola, Beto"))
    assert (held.state, held.reason_code) == (S.HELD, "waits_for_a_person")
    await services.database.write(lambda tx: contacts.end_contact_review(tx, contact))
    blocked = await services.get_message(await services.enqueue_and_settle(BETO, text="Otra vez"))
    assert (blocked.state, blocked.reason_code) == (S.BLOCKED, "refused")


async def test_who_is_stopped_is_blocked_as_if_suppressed(services: MessagingServices) -> None:
    """No hold outweighs that."""
    await services.add_prospect(BETO, permission="opted_in")
    contact = await hold(services, HoldScope.ALL)
    await services.database.write(lambda tx: contacts.stop_contact(tx, contact, "minor"))
    found = await services.get_message(await services.enqueue_and_settle(BETO))
    assert (found.state, found.reason_code) == (S.BLOCKED, "suppressed")


async def test_an_approved_message_waits_no_longer(services: MessagingServices) -> None:
    """A person read what they wrote, and this very text."""
    await services.add_prospect(BETO, permission="opted_in")
    await hold(services, HoldScope.COMMERCIAL)
    message = await services.enqueue_and_settle(BETO)
    await services.approve_and_settle(message)
    assert await services.get_state(message) is S.SENT


async def test_who_complained_is_in_the_review_queue(services: MessagingServices) -> None:
    """Though they refused, and nothing may be written to them."""
    await services.add_prospect(BETO, permission="opted_in")
    contact = await hold(services, HoldScope.ALL)
    await services.add_evidence(contact, EvidenceKind.INBOUND, "complaint")
    waiting = await services.review.list_prospects(range(50, 70))
    assert [each.sentence for each in waiting if each.prospect.contact == contact] == [WHY]
