"""Facts come from rows and a clock: each is derived, none is declared."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from daemon.gate import facts
from daemon.gate.gate import EvaluationPhase
from daemon.outbox import SendRequest
from rules.facts import FACTS
from rules.known_values import known_values
from statemachines.message import MessageState
from storage import do_not_call, prospects
from storage.column_formats import format_timestamp
from storage.evidence import EvidenceKind
from storage.receipts import ReceiptRecord, store_receipt
from storage.tx import Tx
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import ANA, BETO, MessagingServices
from tests.helpers.services.messaging_scenarios import send_first_messages


async def known(services: MessagingServices, to: str = ANA, **more: str) -> dict[str, object]:
    """Return the facts of a message that was just queued, and take it back."""
    later = services.clock.now() + timedelta(hours=1)
    asked = {"to": to, "text": "Hola, Ana", "not_before": later, **more}
    request = SendRequest(**asked)  # type: ignore[arg-type]
    message = await services.outbox.enqueue(request, "eva")
    look = await services.gate.evaluate(message, EvaluationPhase.ENQUEUE)
    await services.clock.settle()
    if (await services.get_state(message.id)) not in {MessageState.BLOCKED, MessageState.CANCELLED}:
        await services.outbox.cancel(message.id, "eva", "only looking")
    return dict(look.facts)


async def add_register(services: MessagingServices) -> None:
    """Put a do-not-call register without numbers in force."""
    now = services.clock.now()

    def job(tx: Tx) -> None:
        register = do_not_call.begin_register(
            tx, country="AR", dated=now.date(), filename="r.csv", who="ana", at=now
        )
        do_not_call.finish_register(tx, register, now)

    await services.database.write(job)


async def test_every_fact_is_a_word_of_the_vocabulary(services: MessagingServices) -> None:
    """And every word is given, known or not."""
    assert set(await known(services)) == set(FACTS)


async def test_every_word_gets_a_known_value_from_rows(services: MessagingServices) -> None:
    """A word that nothing stands behind would be unknown in every rule that names it."""
    await send_first_messages(services, 10)
    await services.add_inbound(await services.resolve_contact(ANA))
    await services.clock.leap(7 * 86_400)
    await add_register(services)
    given = await known(services, template="recordatorio", campaign="otoño")
    assert known_values(FACTS.values(), given).keys() == FACTS.keys()


async def test_what_was_judged_before_a_word_had_rows_is_replayed_as_it_was(
    services: MessagingServices,
) -> None:
    """Decisions of old hold no review, rates or campaign; the shipped rules never ask for them."""
    late = {name for name in FACTS if name.endswith("_rate")}
    late |= {"prospect.review", "campaign.automatic", "campaign.sent"}
    [first, *_] = await services.list_decisions(await services.enqueue_and_settle())
    old = {name: value for name, value in first.facts.items() if name not in late}
    assert len(old) == len(first.facts) - 6
    again = services.rulesets.gate.decide(old).to_dict()
    assert json.loads(json.dumps(again)) == first.document


async def test_a_prospects_row_gives_its_facts(services: MessagingServices) -> None:
    """Origin, line, country, ages in days, validation."""
    await services.add_prospect(BETO, data_days=30, line_type="fixed_line")
    given = await known(services, BETO)
    assert given["prospect.cartera_origen"] == "feria_2026"
    assert given["prospect.line_type"] == "fixed_line"
    assert given["prospect.country"] == "AR"
    assert given["prospect.data_age_days"] == 30
    assert given["prospect.validado_tecnicamente"] is True
    assert given["prospect.validation_age_days"] == 0
    assert given["prospect.on_whatsapp"] == "yes"
    assert given["prospect.days_since_inbound"] is None


async def test_a_validation_has_run_out_in_the_moment_in_which_it_ends(
    services: MessagingServices,
) -> None:
    """It holds until then, and not a moment longer."""
    contact = await services.add_prospect(BETO)
    end = services.clock.now() + timedelta(hours=1)
    await services.execute_sql(
        "UPDATE prospects SET expires_at = ? WHERE phone = ?", format_timestamp(end), BETO
    )
    prospect = await services.database.read(
        lambda reader: prospects.find_prospect_by_contact(reader, contact)
    )
    assert prospect is not None
    flags = [
        facts.compute_validado(prospect, end + timedelta(milliseconds=late)) for late in (-1, 0, 1)
    ]
    assert flags == [True, None, None]


async def test_evidence_gives_permission_complaints_bounces_and_the_last_inbound(
    services: MessagingServices,
) -> None:
    """Bounces count since the validation, complaints for ever."""
    contact = await services.resolve_contact(ANA)
    before = services.clock.now() - timedelta(days=200)
    for kind, value, at in (
        (EvidenceKind.BOUNCE, "undeliverable", before),
        (EvidenceKind.BOUNCE, "undeliverable", services.clock.now() + timedelta(seconds=1)),
        (EvidenceKind.COMPLAINT, "block_signal", before),
        (EvidenceKind.INBOUND, "none", before),
        (EvidenceKind.INBOUND, "none", before + timedelta(days=100)),
    ):
        await services.add_evidence(contact, kind, value, at=at)
    given = await known(services)
    assert given["prospect.permission"] == "opted_in"
    assert given["prospect.bounces"] == 1
    assert given["prospect.complaints"] == 1
    assert given["prospect.days_since_inbound"] == 100


async def test_a_contact_without_a_prospect_has_a_permission_and_no_more(
    services: MessagingServices,
) -> None:
    """What is not known is left out, never guessed."""
    given = await known(services, BETO)
    assert given["prospect.permission"] == "none"
    assert "prospect.score_contactabilidad" not in given
    assert "prospect.on_whatsapp" not in given


async def test_a_message_gives_its_length_links_and_template(services: MessagingServices) -> None:
    """Links by scheme, by www and by a bare domain."""
    text = "Mire https://a.example/x, www.b.com o tienda-uno.com.ar"
    given = await known(services, text=text, template="recordatorio", campaign="otoño")
    assert given["message.length"] == len(text)
    assert given["message.links"] == 3
    assert given["message.template"] == "recordatorio"
    assert given["campaign.name"] == "otoño"
    assert given["message.text"] == text


async def test_kind_is_derived_from_their_words(services: MessagingServices) -> None:
    """A reply answers an inbound of the last 24 hours that was no refusal, outside campaigns."""
    contact = await services.resolve_contact(ANA)
    assert (await known(services))["message.kind"] == "commercial"
    await services.add_inbound(contact)
    assert (await known(services))["message.kind"] == "reply"
    assert (await known(services, campaign="otoño"))["message.kind"] == "commercial"
    await services.clock.leap(86_400)
    assert (await known(services))["message.kind"] == "commercial"


async def test_nobody_is_answered_who_refused(services: MessagingServices) -> None:
    """Their no ends the conversation, however young it is."""
    contact = await services.resolve_contact(ANA)
    await services.add_inbound(contact)
    await services.clock.advance(60)
    await services.add_inbound(contact, "declined")
    await services.add_evidence(contact, EvidenceKind.DECLINED, "refused")
    given = await known(services)
    assert given["message.kind"] == "commercial"
    assert given["prospect.permission"] == "refused"
    assert given["session.window_open"] is False


@pytest.mark.parametrize("kind", [EvidenceKind.INBOUND, EvidenceKind.OWN_MESSAGE])
async def test_a_first_contact_is_one_to_whom_nothing_ever_went_in_either_direction(
    services: MessagingServices, kind: EvidenceKind
) -> None:
    """Their message, or one typed on the phone, ends that."""
    assert (await known(services))["message.first_contact"] is True
    await services.add_evidence(await services.resolve_contact(ANA), kind, "none")
    assert (await known(services))["message.first_contact"] is False


async def test_history_counts_what_left_by_the_day_it_left(services: MessagingServices) -> None:
    """24 hours, 7 and 30 days; refused ones never left."""
    await services.enqueue_and_settle(text="one two three four")
    await services.clock.leap(2 * 86_400)
    services.wire.results.append(ScriptedSendResult.REFUSE)
    await services.approve_and_settle(
        await services.enqueue_and_settle(text="five six seven eight")
    )
    given = await known(services)
    counted = [given[f"history.sent_{stretch}"] for stretch in ("24h", "7d", "30d")]
    assert counted == [0, 1, 1]
    assert given["message.first_contact"] is False


async def test_a_late_receipt_does_not_make_a_message_younger(services: MessagingServices) -> None:
    """Read today, sent last week: it counts for last week."""
    await services.enqueue_and_settle()
    await services.clock.leap(3 * 86_400)
    at = services.clock.now()
    read = ReceiptRecord(session="main", wire_id="wire-1", kind="read", at=at)
    await services.database.write(lambda tx: store_receipt(tx, read, at))
    given = await known(services, text="Otra cosa")
    assert (given["history.sent_24h"], given["history.sent_7d"]) == (0, 1)


async def test_unanswered_counts_since_their_last_word(services: MessagingServices) -> None:
    """One without an answer; their inbound sets it back."""
    await services.enqueue_and_settle()
    assert (await known(services, text="¿Y?"))["history.unanswered"] == 1
    await services.clock.advance(60)
    contact = await services.resolve_contact(ANA)
    await services.execute_sql(
        "INSERT INTO inbound (id, session, wire_id, contact, at, received_at, text, request, own)"
        " VALUES ('inb_1', 'main', 'own', ?, ?, ?, '', 'none', 1)",
        contact,
        *[format_timestamp(services.clock.now())] * 2,
    )
    assert (await known(services, text="¿Y?"))["history.unanswered"] == 1, "we typed that ourselves"
    await services.add_inbound(contact)
    assert (await known(services, text="¿Y?"))["history.unanswered"] == 0


async def test_a_duplicate_is_the_same_text_to_the_same_contact_within_30_days(
    services: MessagingServices,
) -> None:
    """What went, or waits to go; not what was cancelled, and not for ever."""
    assert (await known(services))["message.duplicate"] is False
    assert (await known(services))["message.duplicate"] is False, "the first was cancelled"
    await services.enqueue_and_settle()
    assert (await known(services))["message.duplicate"] is True
    await services.clock.leap(31 * 86_400)
    assert (await known(services))["message.duplicate"] is False


async def test_similarity_compares_with_what_went_to_others_today(
    services: MessagingServices,
) -> None:
    """Not with the same contact, not with yesterday."""
    await services.enqueue_and_settle(text="Hola, tenemos una oferta de muebles para su casa")
    await services.add_prospect(BETO)
    near = "Hola, tenemos una oferta de muebles para su jardín"
    assert 0.5 < float(str((await known(services, BETO, text=near))["message.similarity"])) < 1
    assert (await known(services, ANA, text=near))["message.similarity"] == 0
    await services.clock.leap(86_401)
    assert (await known(services, BETO, text=near))["message.similarity"] == 0


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("uno dos tres cuatro", "uno dos tres cuatro", 1),
        ("uno dos tres cuatro", "UNO, dos; tres cuatro!", 1),
        ("uno dos tres cuatro", "uno dos tres cinco", 0.75),
        ("uno dos tres cuatro", "cuatro tres dos uno", 1),
        ("uno uno uno dos", "uno dos", 0.667),
        ("uno", "uno", 1),
        ("uno", "dos", 0),
        ("…", "…", 0),
        ("", "uno", 0),
    ],
)
def test_similarity_is_the_share_of_common_words(text: str, other: str, expected: float) -> None:
    """Case and punctuation do not count; nothing is like nothing."""
    assert facts.compute_similarity(text, [other]) == expected
    assert facts.compute_similarity(text, []) == 0


async def test_the_session_gives_its_standing(services: MessagingServices) -> None:
    """Channel, state, what may leave, age of the number, new chats of the day."""
    await services.enqueue_and_settle()
    given = await known(services, text="Otra cosa")
    assert given["session.channel"] == "simulated"
    assert given["session.state"] == "ready"
    assert given["session.sending"] == "all"
    assert given["session.number_age_days"] == 100
    assert given["session.new_chats_24h"] == 1


async def test_by_hand_only_a_ban_silences_a_number(services: MessagingServices) -> None:
    """The manual channel needs no connection, and stops on a ban."""
    await services.add_session("hand", channel="manual")
    await services.execute_sql("UPDATE sessions SET sending = 'none', connection = 'stopped'")
    assert (await known(services, session="hand"))["session.sending"] == "all"
    await services.execute_sql("UPDATE numbers SET banned_at = '2026-03-01T00:00:00.000Z'")
    assert (await known(services, session="hand"))["session.sending"] == "none"


async def test_a_snapshot_for_storage_replaces_the_text_alone(services: MessagingServices) -> None:
    """Everything else is kept as it was judged."""
    given = await known(services)
    kept = facts.redact_facts(given, "ab")
    assert kept["message.text"] == "sha256:ab"
    assert {**kept, "message.text": given["message.text"]} == given
