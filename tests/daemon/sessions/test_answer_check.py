"""The check at the port: what a transport answers, and what becomes of an answer that can't be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from daemon.api.identity import Identity, parse_identity
from daemon.api.transport import (
    Acknowledged,
    Capabilities,
    Content,
    KnownContact,
    Media,
    NumberAnswer,
    OnWhatsApp,
    Refused,
    SendResult,
    Template,
    Text,
    Unknown,
)
from daemon.sessions.answer_check import (
    check_contacts,
    check_number_answers,
    check_send_result,
    refuse_content,
)
from tests.helpers.clock import MIDDAY

ANA = "+5491151000007"
BRUNO = "+5491151000008"
ANA_LID = parse_identity("199999000010@lid")
ACKS = Capabilities(acks=True)
HALF = "\ud83d"


def check(result: object, capabilities: Capabilities = ACKS) -> SendResult:
    """Check the answer to a send, at noon."""
    return check_send_result(result, capabilities, MIDDAY)


def change(original: Any, **values: object) -> Any:  # noqa: ANN401 - any answer, any field
    """Return the same answer with other values, whatever their types."""
    return replace(original, **values)


@pytest.mark.parametrize(
    "result",
    [
        Acknowledged("wire-1", MIDDAY),
        Refused("not_on_whatsapp", "The number is not on WhatsApp."),
        Refused("131056", "Pair limit.", True, 131056, "pair rate limit hit", timedelta(minutes=1)),
        Unknown("line_lost", "The line broke."),
    ],
)
def test_a_right_answer_passes_as_it_is(result: SendResult) -> None:
    """Every field of it."""
    assert check(result) == result


def test_a_channel_without_acknowledgements_can_not_acknowledge() -> None:
    """Whatever it says, nobody knows whether the message arrived."""
    result = check(Acknowledged("wire-1", MIDDAY), Capabilities())
    assert isinstance(result, Unknown)
    assert result.reason_code == "acknowledgement_not_declared"


@pytest.mark.parametrize(
    "values",
    [
        {"wire_id": ""},
        {"wire_id": None},
        {"wire_id": 7},
        {"wire_id": f"wire{HALF}"},
        {"wire_id": "x" * 256},
        {"at": MIDDAY.replace(tzinfo=None)},
        {"at": "2026-03-03T15:00:00Z"},
        {"at": None},
    ],
)
def test_an_acknowledgement_that_can_not_be_used_leaves_a_doubt(values: dict[str, object]) -> None:
    """It may have left: it is neither sent nor sent again."""
    result = check(change(Acknowledged("wire-1", MIDDAY), **values))
    assert isinstance(result, Unknown)
    assert result.reason_code == "acknowledgement_unusable"


@pytest.mark.parametrize("result", [None, True, "done", {"id": "wire-1"}, Acknowledged, OSError()])
def test_nonsense_leaves_a_doubt(result: object) -> None:
    """Its type is named, its content is not."""
    found = check(result)
    assert isinstance(found, Unknown)
    assert found.reason_code == "answer_unusable"
    assert "wire-1" not in found.sentence


def test_an_acknowledgement_is_never_from_the_future() -> None:
    """The platform's clock is bounded to ours."""
    later = MIDDAY + timedelta(hours=1)
    assert check(Acknowledged("wire-1", later)) == Acknowledged("wire-1", MIDDAY)


def test_a_refusal_is_mended_and_stays_a_refusal() -> None:
    """It says that nothing left, however badly it says the rest; and it names nobody."""
    badly = change(
        Refused("", ""),
        reason_code=None,
        sentence=f"To {ANA}: no {HALF}",
        retryable="yes",
        code=True,
        detail=404,
        retry_after=60,
    )
    replacement = "\N{REPLACEMENT CHARACTER}"
    assert check(badly) == Refused("unnamed", f"To +54••••0007: no {replacement}")
    assert check(change(badly, sentence=None)) == Refused("unnamed", "The channel gave no reason.")
    wordy = change(badly, code=10**20, detail=f"to {ANA} " * 99, retry_after=timedelta(-1))
    found = check(wordy)
    assert isinstance(found, Refused)
    assert (found.code, found.retry_after, ANA in found.detail) == (None, None, False)
    assert found.detail.startswith("to +54••••0007 to")


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (Template("hello", "es_AR"), Capabilities(templates=True)),
        (Media(Path("a.png"), "image/png", "00"), Capabilities(media=True)),
    ],
)
def test_content_that_is_not_declared_is_refused(content: Content, declared: Capabilities) -> None:
    """For certain, and for good; a text every channel takes."""
    refused = refuse_content(content, ACKS)
    assert refused is not None
    assert (refused.reason_code, refused.retryable) == ("content_not_supported", False)
    assert refuse_content(content, declared) is None
    assert refuse_content(Text("Hola"), Capabilities()) is None


def list_answers(answers: object, *phones: str) -> list[OnWhatsApp]:
    """Return what is believed of these numbers."""
    return [each.answer for each in check_number_answers(answers, phones)]


def test_number_answers_come_one_a_number_and_in_order() -> None:
    """In whatever order and form the channel told them."""
    alias = cast("Identity", "199999000010:2@lid")
    told = [
        NumberAnswer(BRUNO, OnWhatsApp.NO),
        NumberAnswer(ANA.removeprefix("+"), cast("OnWhatsApp", "yes"), "id@s.whatsapp.net", alias),
    ]
    assert check_number_answers(told, [ANA, BRUNO]) == [
        NumberAnswer(ANA, OnWhatsApp.YES, "id@s.whatsapp.net", ANA_LID),
        NumberAnswer(BRUNO, OnWhatsApp.NO),
    ]


@pytest.mark.parametrize(
    "answers",
    [
        [],
        None,
        7,
        ["no"],
        [False],
        [change(NumberAnswer(ANA, OnWhatsApp.NO), answer=False)],
        [change(NumberAnswer(ANA, OnWhatsApp.NO), answer="maybe")],
        [change(NumberAnswer(ANA, OnWhatsApp.NO), phone=None)],
        [change(NumberAnswer(ANA, OnWhatsApp.NO), phone="")],
        [NumberAnswer(BRUNO, OnWhatsApp.NO)],
        [NumberAnswer(ANA, OnWhatsApp.NO), NumberAnswer(ANA, OnWhatsApp.YES)],
    ],
)
def test_what_is_unknown_never_becomes_no(answers: object) -> None:
    """Missing, unreadable, about somebody else, or in contradiction."""
    assert list_answers(answers, ANA) == [OnWhatsApp.UNKNOWN]


def test_a_number_is_known_although_its_other_names_can_not_be_read() -> None:
    """They are left out."""
    told = NumberAnswer(ANA, OnWhatsApp.YES, HALF, cast("Identity", "120363041@g.us"))
    assert check_number_answers([told], [ANA]) == [NumberAnswer(ANA, OnWhatsApp.YES)]


@pytest.mark.parametrize("answer", [None, 7, [None, "Ana", KnownContact(cast("Any", "Ana"))]])
def test_contacts_that_can_not_be_read_are_left_out(answer: object) -> None:
    """All of them, if need be."""
    assert check_contacts(answer) == []


def test_a_contact_keeps_the_names_that_can_be_read() -> None:
    """A group is nobody, and a contact without a name that counts is none."""
    names = cast("Sequence[Identity]", ("5491151000007@c.us", "120363041@g.us", ANA_LID))
    told = [
        KnownContact(tuple(names), f"Ana {HALF}"),
        KnownContact(()),
        change(KnownContact(tuple(names)), name=None),
    ]
    known = (parse_identity(ANA), ANA_LID)
    replacement = "\N{REPLACEMENT CHARACTER}"
    assert check_contacts(told) == [KnownContact(known, f"Ana {replacement}"), KnownContact(known)]
