"""Reads a cell on consent: a yes, a no, nothing, or a word that a person must explain.

Words and marks are in Spanish, Portuguese and English, and those of the spreadsheets' own TRUE and
FALSE. A yes is only what stands in the table as a whole; a no is also what begins with one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final


class ConsentAnswer(StrEnum):
    """What a cell says about consent. The last one is for a person to decide."""

    YES = "yes"
    RELATIONSHIP = "relationship"
    """Customers, and other dealings before."""
    PUBLIC = "public"
    """A published number, which nobody asked."""
    NONE = "none"
    """That there is no permission, or that nobody knows."""
    NO = "no"
    NOTHING = "nothing"
    """A blank cell, a dash, "not applicable": the cell does not answer."""
    UNKNOWN = "unknown"


ANSWERS: Final = frozenset(
    {ConsentAnswer.YES, ConsentAnswer.RELATIONSHIP, ConsentAnswer.NO, ConsentAnswer.NOTHING}
)
"""What a person can answer about an unknown word."""

CONSENT_WORDS: Final[Mapping[ConsentAnswer, tuple[str, ...]]] = {
    ConsentAnswer.YES: (
        *("si", "s", "sip", "sim", "yes", "y", "yep", "true", "verdadero", "verdadeiro", "1"),
        *("acepta", "acepto", "aceptado", "aceita", "aceito", "aceitou", "accepts", "accepted"),
        *("autoriza", "autorizo", "autorizado", "authorized", "authorised", "agree", "agreed"),
        *("opt in", "optin", "opted in", "consiente", "consiento", "consente", "consents"),
        *("de acuerdo", "de acordo", "i agree", "concordo", "concorda", "si acepto", "si acepta"),
        *("sim aceito", "yes i agree", "✓", "✔", "✅", "☑", "🗹", "👍", "👌", "🆗", "🟢"),
    ),
    ConsentAnswer.RELATIONSHIP: (
        *("relacion previa", "relacion", "cliente", "customer", "relationship"),
        *("relacao previa", "relacao", "trato previo"),
    ),
    ConsentAnswer.PUBLIC: ("publico", "fuente publica", "fonte publica", "public", "public source"),
    ConsentAnswer.NONE: (
        *("ninguno", "ninguna", "nenhum", "nenhuma", "none", "desconocido", "desconhecido"),
        "unknown",
    ),
    ConsentAnswer.NOTHING: (
        *("", "-", "--", "---", "?", "??", "???", ".", "..", "...", "_", "/", "*"),
        *("n/a", "#n/a", "na", "n.a", "nan", "null", "nil", "undefined", "tbd"),
        *("no aplica", "no corresponde", "nao se aplica", "not applicable", "no data"),
        *("s/d", "sd", "sin dato", "sin datos", "sem dado", "sem dados", "s/n"),
        *("ns/nc", "nsnc", "no sabe", "no contesta", "no contesto", "no sabe no contesta"),
        *("no informa", "no informado", "nao informado", "not set", "not specified"),
        *("sin definir", "sin respuesta", "sem resposta", "no answer", "no responde"),
        *("pendiente", "pendente", "pending", "a confirmar", "por confirmar"),
        *("vacio", "vazio", "blank", "empty", "en blanco", "em branco", "☐", "⬜", "◻", "▢"),
    ),
}
"""Words and marks that are known as a whole, folded, by what they mean."""
_BY_WORD: Final = {word: consent for consent, words in CONSENT_WORDS.items() for word in words}
_PLAIN_NO: Final = frozenset(
    {"no", "n", "nao", "nop", "nope", "non", "nein", "false", "falso", "0", "нет", "لا"}
)
"""Words that deny what a header asks, whatever it asks."""
_NO_FIRST: Final = frozenset(
    {*_PLAIN_NO, "not", "never", "nunca", "jamas", "jamais", "dont", "tampoco", "nem", "не", "ні"}
)
"""What a text begins with that refuses, whatever follows: nobody is written to on it."""
_NO_INSIDE: Final = re.compile(
    r"\b(baja|bajas|stop|opt(ed)? out|optout|unsubscri\w*|desuscri\w*|desinscri\w*|descadastr\w*"
    r"|do not|don t|no (contact|llam|escrib|molest|envi|mand)\w*|not? interes\w*|rechaz\w*"
    r"|recus\w*|refus\w*|declin\w*|revoc\w*|revog\w*|deneg\w*|denied|block\w*|bloque\w*"
    r"|nao (contat|lig|enviar|quer)\w*|no (quiere|acepta|desea|autoriza)|blacklist\w*)\b"
)
_PUNCTUATION: Final = (
    " .,;:!¡\"'()[]«»\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
)
_NO_MARKS: Final = frozenset("❌✗✘✖✕☒👎🚫⛔🙅🔴🛑❎")


@lru_cache(maxsize=4096)
def fold_consent(text: str) -> str:
    """Return a cell as it is looked up, and remembered: without case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = []
    for character in plain:
        category = unicodedata.category(character)
        if category == "Pd" or character == "\N{MINUS SIGN}":
            letters.append("-")
        elif category not in {"Mn", "Cf", "Sk"}:  # accents, marks of direction, colours of emoji
            letters.append(character)
    folded = " ".join("".join(letters).split())
    bare = folded.strip(_PUNCTUATION)
    # "opted-out", "no_contactar": words that a program joined.
    return re.sub(r"(?<=\w)[-_,;:.!'’]+\s*(?=\w)|\s*[,;:]\s*", " ", bare) or folded


def read_consent_cell(
    text: str, answers: Mapping[str, ConsentAnswer] | None = None
) -> ConsentAnswer:
    """Return what a cell says on consent.

    ``answers`` are what people said of unknown words, by the word as :func:`fold_consent` gives it.
    """
    word = fold_consent(text)
    known = _BY_WORD.get(word)
    if known is not None:
        return known
    if _says_no(word):
        return ConsentAnswer.NO
    if answers and word in answers:
        return answers[word]
    # "✅ sí": marks and words that all say yes.
    parts = re.findall(r"[^\W_]+(?: [^\W_]+)*|[^\w\s]", word)
    if parts and all(_BY_WORD.get(part) is ConsentAnswer.YES for part in parts):
        return ConsentAnswer.YES
    return ConsentAnswer.UNKNOWN


def _says_no(word: str) -> bool:
    first = re.match(r"\w*", word)
    return bool(
        (first and first[0] in _NO_FIRST) or _NO_INSIDE.search(word) or _NO_MARKS.intersection(word)
    )


def read_refusal_cell(text: str) -> bool:
    """Return whether a cell refuses, in a column whose yes means no, such as `do_not_call`.

    A plain no, nothing and an opt-in refuse nothing; everything else does: a yes, a cross, the date
    of the opt-out, its reason.
    """
    word = fold_consent(text)
    if word in _PLAIN_NO or word in {"opt in", "opted in", "optin"}:
        return False
    return _BY_WORD.get(word) not in {ConsentAnswer.NOTHING, ConsentAnswer.NONE}
