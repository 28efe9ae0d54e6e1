"""The listener plugin: finds purchase intent in inbound messages, and questions about origin."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.effects import AskReview, ContactView, InboundEffect, Intent, SetIntent
from daemon.api.signals import InboundMessage

_INTENT_PHRASES: dict[Intent, tuple[str, ...]] = {
    Intent.ASKED: (
        "precio",
        "precios",
        "cuanto sale",
        "cuanto cuesta",
        "cuanto vale",
        "que valor tiene",
        "presupuesto",
        "cotizacion",
        "cotizar",
        "lista de precios",
        "price",
        "prices",
        "pricing",
        "how much",
        "quote",
    ),
    Intent.CLEAR: (
        "me interesa",
        "nos interesa",
        "estoy interesado",
        "estoy interesada",
        "quiero comprar",
        "lo compro",
        "la compro",
        "lo quiero",
        "la quiero",
        "como compro",
        "como lo pido",
        "im interested",
        "i am interested",
        "i want to buy",
        "i will take it",
    ),
    Intent.WEAK: (
        "mas informacion",  # codespell:ignore informacion
        "mas info",
        "contame mas",
        "cuentame mas",
        "mandame info",
        "tell me more",
        "more information",
        "more info",
    ),
}
"""Phrases by intent, the strongest first: the first phrase that is found decides."""

_NEGATIONS = frozenset({"no", "not", "ni", "nunca", "dont", "tampoco", "sin", "never"})
_ORIGIN_PHRASES = (
    "de donde sacaron mi numero",
    "de donde sacaste mi numero",
    "de donde saco mi numero",
    "de donde tienen mi numero",
    "de donde tenes mi numero",
    "de donde obtuvieron mi numero",
    "como consiguieron mi numero",
    "como conseguiste mi numero",
    "quien les dio mi numero",
    "quien te dio mi numero",
    "where did you get my number",
    "how did you get my number",
    "who gave you my number",
)
_SENTENCE = re.compile(r"[^.!?¡¿\n]+")
_QUOTE_LIMIT = 200


def find_intent(text: str) -> tuple[Intent, str] | None:
    """Return the strongest intent in a text, with the sentence that shows it, or None."""
    sentences = [match.group().strip() for match in _SENTENCE.finditer(text)]
    for intent, phrases in _INTENT_PHRASES.items():
        for sentence in sentences:
            words = _split_words(sentence)
            if any(_has_phrase(phrase.split(), words) for phrase in phrases):
                return intent, sentence[:_QUOTE_LIMIT]
    return None


def is_origin_question(text: str) -> bool:
    """Return whether a text asks where we have the number from."""
    words = " ".join(_split_words(text))
    return any(phrase in words for phrase in _ORIGIN_PHRASES)


def _split_words(text: str) -> list[str]:
    """Return the words of a text without case, accents and punctuation."""
    # Without apostrophes first: "don't" and "I'm" are one word each in the lists.
    plain = unicodedata.normalize("NFKD", text.casefold().replace("'", "").replace("’", ""))
    kept = "".join(each for each in plain if not unicodedata.combining(each))
    return "".join(each if each.isalnum() else " " for each in kept).split()


def _has_phrase(phrase: list[str], words: list[str]) -> bool:
    """Return whether the words contain the phrase, with no negation right before it."""
    # "no me interesa" is no interest.
    return any(
        words[start : start + len(phrase)] == phrase
        and (start == 0 or words[start - 1] not in _NEGATIONS)
        for start in range(len(words) - len(phrase) + 1)
    )


@hookimpl
async def leadmaster_interpret_inbound(
    inbound: InboundMessage, contact: ContactView
) -> Sequence[InboundEffect]:
    """Return the intent in a message, and a review where it asks where we have the number from."""
    effects: list[InboundEffect] = []
    if found := find_intent(inbound.text):
        intent, quote = found
        effects.append(SetIntent(intent, quote))
    if is_origin_question(inbound.text):
        # A review and not a reply: whether to answer, and how, is a person's decision.
        effects.append(AskReview(_build_origin_answer(contact)))
    return effects


def _build_origin_answer(contact: ContactView) -> str:
    """Return the reason for the review, with a prepared answer, in Spanish."""
    origin = contact.origen_en_palabras or contact.cartera_origen
    if origin is None:
        return "Pregunta de dónde sacamos su número, y no consta en ninguna cartera."
    return (
        "Pregunta de dónde sacamos su número. Respuesta preparada: "
        f"«Tenemos tu número de: {origin}. Si no querés más mensajes, respondé BAJA.»"
    )
