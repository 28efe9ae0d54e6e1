"""What can be the text of a message, whoever asks for it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.effects import AddNote, QueueReply
from daemon.errors import BadRequest
from daemon.outbox.enqueue import MAX_TEXT_LENGTH, validate_text
from statemachines.message import MessageState
from storage import messages
from tests.helpers.client.http import build_settings, open_http_server
from tests.helpers.services.contacts import (
    InboundInterpreter,
    build_inbound_services,
    open_contact_services,
)

PHONE = "+5491141234567"
HOSTILE = "Hola\x00 Ana"


@given(st.text(max_size=80))
def test_no_control_character_is_ever_sent(text: str) -> None:
    """What is sendable has tabs and ends of lines, and of the other controls none."""
    try:
        sent = validate_text(text)
    except BadRequest:
        return
    assert {each for each in sent if unicodedata.category(each) == "Cc"} <= {"\n", "\t"}
    assert sent == text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\u200b",
        "\ufeff \u202e",
        "x" * (MAX_TEXT_LENGTH + 1),
        HOSTILE,
        "a\x1b[2J",
        "\x85a",
    ],
)
def test_a_text_that_can_not_be_sent_is_a_sentence(text: str) -> None:
    """It says what is wrong and what to do, and repeats nothing of the text."""
    with pytest.raises(BadRequest, match=r"^text: ") as caught:
        validate_text(text)
    assert caught.value.hint
    assert "Hola" not in str(caught.value)


def test_lines_tabs_and_emoji_stay_as_they_are() -> None:
    """People write in paragraphs; the ends of their lines become the ones that phones use."""
    assert validate_text("Hola 👩‍👩‍👧\r\n\tñandú\n") == "Hola 👩‍👩‍👧\n\tñandú\n"


async def test_the_doors_refuse_it(short_folder: Path) -> None:
    """One by one and in a list; nothing of it is stored."""
    async with open_http_server(build_settings(short_folder)) as opened:
        await opened.control.post("/v1/sessions", name="ventas", channel="simulated")
        order = {"to": PHONE, "text": HOSTILE}
        one = await opened.control.call("POST", "/v1/messages", json=order)
        assert (one.status, one.document["detail"]) == (
            400,
            "text: character 5 is a control character (U+0000).",
        )
        many = await opened.control.call("POST", "/v1/messages", json=[order])
        assert many.document["items"][0]["status"] == 400
        assert (await opened.control.get("/v1/messages")).document["items"] == []


async def test_a_plugins_reply_is_refused_and_the_inbound_is_kept(tmp_path: Path) -> None:
    """The plugin loses its effects, as for any other answer that is none."""
    plugin = InboundInterpreter([AddNote("x"), QueueReply(HOSTILE)])
    async with open_contact_services(tmp_path) as people:
        inbound = build_inbound_services(people, more={"helper": plugin})
        prospect = await inbound.add_prospect()
        await inbound.receive_text("hola")
        assert (await inbound.get_prospect(prospect)).notes == ""
        waiting = await people.database.read(
            lambda r: messages.list_messages(r, states=[MessageState.QUEUED])
        )
        assert waiting == []
        assert plugin.calls
