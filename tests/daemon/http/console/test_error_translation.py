"""What is wrong with a request, in the language of the page that made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.http.console.language import load_language
from tests.helpers.client.http import build_settings, open_http_server

FIELD = "user: is missing."


@pytest.mark.parametrize(
    ("sentence", "theirs"),
    [
        (
            "reason: must have at least 3 characters.",
            "reason: tiene que tener al menos 3 caracteres.",
        ),
        ("[0].text: is missing.", "[0].text: falta."),
        ("hours: must be more than 0.", "hours: tiene que ser más de 0."),
        ("text: the message is empty.", "text: no hay nada para enviar."),
        ("Nobody knows this: a sentence.", "Nobody knows this: a sentence."),
    ],
)
def test_a_sentence_about_a_field_keeps_its_name(sentence: str, theirs: str) -> None:
    """What is wrong is translated; what is not known stays as it is."""
    assert load_language("es").translate(sentence) == theirs
    assert load_language("en").translate(sentence) == sentence


async def test_a_page_is_told_in_its_language_and_a_program_in_ours(short_folder: Path) -> None:
    """The browser's own mark makes the difference; code and status never change."""
    async with open_http_server(build_settings(short_folder)) as opened:
        spanish = {"Accept-Language": "es-AR"}
        page = {**spanish, "Sec-Fetch-Site": "same-origin"}
        for headers, told in ((page, "user: falta."), (spanish, FIELD)):
            reply = await opened.public.call("POST", "/v1/sign-in", json={}, headers=headers)
            assert (reply.status, reply.document["code"]) == (400, "bad_request")
            assert reply.document["detail"] == told
