"""Reads what a line of a history is, by the cell that says who wrote it or how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from daemon.api.imports import normalise_text
from storage.history import HistoryKind

KIND_WORDS: Final[Mapping[HistoryKind, tuple[str, ...]]] = {
    HistoryKind.SENT: (
        *("sent", "outgoing", "outbound", "out", "from me", "me", "us", "we", "agent", "business"),
        *("enviado", "enviada", "enviados", "saliente", "salida", "yo", "nosotros", "empresa"),
        *("agente", "operador", "vendedor", "delivered", "read", "entregado", "entregada", "leido"),
        *("leida", "entregue", "lido", "saida", "eu", "nos", "mensaje enviado", "message sent"),
    ),
    HistoryKind.RECEIVED: (
        *("received", "incoming", "inbound", "in", "reply", "replied", "answer", "answered"),
        *("recibido", "recibida", "recibidos", "entrante", "entrada", "respuesta", "respondio"),
        *("contesto", "recebido", "recebida", "resposta", "respondeu", "customer", "client"),
        *("cliente", "contact", "contacto", "contato", "lead", "user", "usuario", "them"),
        *("mensaje recibido", "message received"),
    ),
    HistoryKind.DECLINED: (
        *("declined", "refused", "rejected", "not interested", "refusal", "rechazado"),
        *("rechazada", "rechazo", "rechaza", "no interesado", "no interesada", "no interesa"),
        *("no le interesa", "no quiere", "no acepta", "recusado", "recusada", "sem interesse"),
        *("nao interessado", "nao tem interesse", "negativa"),
    ),
    HistoryKind.OPT_OUT: (
        *("opt out", "optout", "opted out", "unsubscribe", "unsubscribed", "stop", "blocked"),
        *("do not contact", "do not call", "blacklist", "baja", "dado de baja", "dada de baja"),
        *("pidio baja", "desuscripto", "desuscrito", "no contactar", "no molestar", "no llamar"),
        *("lista negra", "bloqueado", "bloqueada", "descadastrado", "descadastrada", "nos bloqueo"),
    ),
}
"""Words of the column, normalised. What is not here is asked, never guessed."""

_BY_WORD: Final = {word: kind for kind, words in KIND_WORDS.items() for word in words}
_FROM_ME_HEADERS: Final = frozenset({"from me", "fromme", "is from me", "de mi", "enviado por mi"})
_YES_OR_NO: Final = {
    **dict.fromkeys(("true", "1", "yes", "si", "verdadero", "verdadeiro"), HistoryKind.SENT),
    **dict.fromkeys(("false", "0", "no", "nao", "falso"), HistoryKind.RECEIVED),
}
"""Of a column such as "from me"; elsewhere a bare yes or no says nothing on who wrote."""


def find_line_kind(header: str, cell: str, words: Mapping[str, HistoryKind]) -> HistoryKind | None:
    """Return what a line is by a filled cell of the column ``header``; None for an unknown word.

    ``words`` are what a person said of further words, normalised, and stand above the table.
    """
    word = normalise_text(cell)
    if word in words:
        return words[word]
    if normalise_text(header) in _FROM_ME_HEADERS and word in _YES_OR_NO:
        return _YES_OR_NO[word]
    return _BY_WORD.get(word)
