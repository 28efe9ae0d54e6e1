"""The listener: intent with its quote, and a prepared answer for a person to send."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.effects import AskReview, ContactView, InboundEffect, Intent, SetIntent
from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.plugins.listener import find_intent, leadmaster_interpret_inbound


async def effects_of(
    text: str, origin: str | None = "feria 2025", words: str = ""
) -> list[InboundEffect]:
    """Let the listener read one message."""
    inbound = InboundMessage(
        "1", parse_identity("+5491141234567"), text, datetime(2026, 3, 3, tzinfo=UTC)
    )
    view = ContactView(
        *("pro_1", "Ana", origin, "public_source"), suppressed=False, origen_en_palabras=words
    )
    return list(await leadmaster_interpret_inbound(inbound=inbound, contact=view))


@pytest.mark.parametrize(
    ("text", "intent", "quote"),
    [
        ("Hola. ¿Cuánto sale? Gracias", Intent.ASKED, "Cuánto sale"),
        ("PRECIO por favor", Intent.ASKED, "PRECIO por favor"),
        ("how much is it", Intent.ASKED, "how much is it"),
        ("Me interesa!! y qué precio tiene?", Intent.ASKED, "y qué precio tiene"),
        ("buenas, me interesa", Intent.CLEAR, "buenas, me interesa"),
        ("I'm interested", Intent.CLEAR, "I'm interested"),
        ("mandame info", Intent.WEAK, "mandame info"),
    ],
)
async def test_plain_phrases_show_intent(text: str, intent: Intent, quote: str) -> None:
    """The strongest counts, with the sentence that shows it."""
    assert await effects_of(text) == [SetIntent(intent, quote)]


@pytest.mark.parametrize(
    "text", ["", "hola", "no me interesa", "not interested", "sin precio", "👍"]
)
async def test_what_shows_no_intent_has_no_effect(text: str) -> None:
    """A negated phrase is none."""
    assert await effects_of(text) == []


async def test_a_long_sentence_is_quoted_in_part() -> None:
    """Evidence is a quote, not a copy."""
    [effect] = await effects_of("precio " + "bla " * 200)
    assert isinstance(effect, SetIntent)
    assert len(effect.quote) == 200


async def test_where_from_is_answered_by_a_person_with_one_key() -> None:
    """The answer is ready, with the origin; nothing is sent by itself."""
    [effect] = await effects_of("¿De dónde sacaron mi número?")
    assert isinstance(effect, AskReview)
    assert "Tenemos tu número de: feria 2025" in effect.reason


async def test_where_from_is_answered_in_the_words_of_the_import() -> None:
    """The name of a list is no answer where somebody has said it in words."""
    [effect] = await effects_of("¿De dónde sacaron mi número?", words="la feria de mayo")
    assert isinstance(effect, AskReview)
    assert "Tenemos tu número de: la feria de mayo." in effect.reason
    assert "feria 2025" not in effect.reason


async def test_an_unknown_origin_is_said_plainly() -> None:
    """There is nothing to answer with."""
    [effect] = await effects_of("who gave you my number??", origin=None)
    assert isinstance(effect, AskReview)
    assert "no consta" in effect.reason


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """No text makes the listener raise, and a quote is part of the text."""
    if found := find_intent(text):
        assert found[1] in text
