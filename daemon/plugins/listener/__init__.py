"""The listener: reads purchase intent in what contacts write, and prepares answers for a person."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.effects import AskReview, ContactView, InboundEffect, SetIntent
from daemon.api.signals import InboundMessage
from daemon.plugins.listener.reading import find_intent, is_origin_question


@hookimpl
async def leadmaster_interpret_inbound(
    inbound: InboundMessage, contact: ContactView
) -> Sequence[InboundEffect]:
    """Return the intent that the words show, and the answer to "where did you get my number?".

    That answer is a person's to send: one key in the review, never a reply of our own accord.
    """
    effects: list[InboundEffect] = []
    if found := find_intent(inbound.text):
        intent, quote = found
        effects.append(SetIntent(intent, quote))
    if is_origin_question(inbound.text):
        effects.append(AskReview(_build_origin_answer(contact)))
    return effects


def _build_origin_answer(contact: ContactView) -> str:
    """Return the question and the prepared answer, in the contact's language."""
    origin = contact.cartera_origen
    if origin is None:
        return "Pregunta de dónde sacamos su número, y no consta en ninguna cartera."
    return (
        "Pregunta de dónde sacamos su número. Respuesta preparada: "
        f"«Tenemos tu número de: {origin}. Si no querés más mensajes, respondé BAJA.»"
    )
