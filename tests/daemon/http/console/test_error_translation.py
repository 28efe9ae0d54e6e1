"""What is wrong with a request, in the language of the page that made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.http.console.language import load_language
from tests.helpers.client.http import build_settings, open_http_server

FIELD = "user: is missing."


@pytest.mark.parametrize(
    ("sentence", "ours", "theirs"),
    [
        (
            "reason: must have at least 3 characters.",
            "Reason: must have at least 3 characters.",
            "Motivo: tiene que tener al menos 3 caracteres.",
        ),
        ("[0].text: is missing.", "[0].text: is missing.", "[0].text: falta."),
        (
            "hours: must be more than 0.",
            "Hours: must be more than 0.",
            "Horas: tiene que ser más de 0.",
        ),
        (
            "text: the message is empty.",
            "Text: the message is empty.",
            "Texto: no hay nada para enviar.",
        ),
        ("Nobody knows this: a sentence.",) * 3,
    ],
)
def test_a_sentence_about_a_field_says_its_label(sentence: str, ours: str, theirs: str) -> None:
    """As the page has it beside the field; what is not known stays as it is."""
    assert load_language("en").translate(sentence) == ours
    assert load_language("es").translate(sentence) == theirs


async def test_a_page_is_told_in_its_language_and_a_program_in_ours(short_folder: Path) -> None:
    """The browser's own mark makes the difference; code and status never change."""
    async with open_http_server(build_settings(short_folder)) as opened:
        spanish = {"Accept-Language": "es-AR"}
        page = {**spanish, "Sec-Fetch-Site": "same-origin"}
        for headers, told in ((page, "Usuario: falta."), (spanish, FIELD)):
            reply = await opened.public.call("POST", "/v1/sign-in", json={}, headers=headers)
            assert (reply.status, reply.document["code"]) == (400, "bad_request")
            assert reply.document["detail"] == told
