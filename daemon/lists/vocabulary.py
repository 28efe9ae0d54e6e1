"""The names that headers of lists have, in Spanish, Portuguese and English: one vocabulary for all.

Where they are from: the exports of Google Contacts (old: "Given Name", "Phone 1 - Type"; new:
"First Name", "Phone 1 - Label"), HubSpot and Meta lead ads as in tests/data/lists; Outlook in
English and the old Google export as public programs on GitHub write them (looked up on 2026-11-29);
Outlook in Spanish and Kommo from knowledge, without a sample at hand; the WhatsApp Business app
exports contacts as vCards only, whose columns the vCard source names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from daemon.api.imports import normalise_text
from daemon.api.phone_text import LANDLINE_WORDS, MOBILE_WORDS


class ColumnUse(StrEnum):
    """What a column of a list is used for."""

    PHONE = "phone"
    """A phone number: mobile columns before others, landlines last, a fax never."""
    PHONE_LABEL = "phone_label"
    """The kind of line of the number beside it, as in "Phone 1 - Label"."""
    NAME = "name"
    """The whole name; "Nombre" beside a last name is the first name."""
    FIRST_NAME = "first_name"
    """The first name, joined with the others."""
    MIDDLE_NAME = "middle_name"
    """The middle name, joined with the others."""
    LAST_NAME = "last_name"
    """The last name, joined with the others."""
    ORGANISATION = "organisation"
    """The name of a record that names no person."""
    TRADE = "trade"
    """What they do."""
    CITY = "city"
    """Where they are."""
    EMAIL = "email"
    """Their e-mail address."""
    CARTERA_ORIGEN = "cartera_origen"
    """Where the record came from."""
    PERMISSION = "permission"
    """Whether they agreed; also a question for it, as lead forms ask."""
    REFUSAL = "refusal"
    """A refusal: its yes means no, such as `do_not_call`."""
    EVIDENCE = "evidence"
    """How they agreed."""
    DATA_DATE = "data_date"
    """When the data was known to be true."""
    NOTES = "notes"
    """Notes."""
    REASON = "reason"
    """Why somebody is in a list of opt-outs."""
    BODY = "body"
    """What a message of the past said."""
    DIRECTION = "direction"
    """Who wrote a message of the past, or that they said no."""
    WRITTEN_AT = "written_at"
    """When a message of the past was written."""
    FIELD = "field"
    """Kept under its header, as a person asked."""
    UNUSED = "unused"
    """Not read."""


class ListKind(StrEnum):
    """The kinds of lists."""

    PROSPECTS = "prospects"
    SUPPRESSIONS = "suppressions"
    DO_NOT_CALL = "do_not_call"
    HISTORY = "history"


HEADER_NAMES: Final[Mapping[ColumnUse, tuple[str, ...]]] = {
    ColumnUse.NAME: (
        *("nombre y apellido", "nombre y apellidos", "apellido y nombre", "apellidos y nombres"),
        *("nombre completo", "nombre", "nombre del contacto", "nombre contacto", "contacto"),
        *("nombre del cliente", "nombre cliente", "cliente", "full name", "fullname", "name"),
        *("contact name", "contact", "display name", "customer name", "customer", "nome"),
        *("nome completo", "nome do contato", "nome do cliente", "contato"),
    ),
    ColumnUse.FIRST_NAME: (
        *("first name", "firstname", "given name", "nombres", "nombre de pila", "primer nombre"),
        *("primeiro nome", "forename"),
    ),
    ColumnUse.MIDDLE_NAME: ("middle name", "additional name", "segundo nombre", "nome do meio"),
    ColumnUse.LAST_NAME: (
        *("last name", "lastname", "family name", "surname", "apellido", "apellidos"),
        *("primer apellido", "sobrenome", "ultimo nome"),
    ),
    ColumnUse.ORGANISATION: (
        *("nombre comercial", "razon social", "empresa", "nombre de la empresa", "compania"),
        *("organizacion", "negocio", "comercio", "establecimiento", "company", "company name"),
        *("organization", "organization name", "organization 1 name", "organisation"),
        *("associated company", "business name", "nome fantasia", "razao social"),
        *("nome da empresa", "organizacao"),
    ),
    ColumnUse.TRADE: (
        *("rubro", "actividad", "categoria", "sector", "ramo", "giro", "trade", "industry"),
        *("category", "segmento", "atividade"),
    ),
    ColumnUse.CITY: (
        *("ciudad", "localidad", "municipio", "poblacion", "city", "town", "cidade"),
        *("ciudad del trabajo", "ciudad de trabajo", "ciudad particular", "business city"),
        *("home city", "address 1 city", "other city"),
    ),
    ColumnUse.EMAIL: (
        *("email", "e mail", "mail", "correo", "correo electronico", "email address"),
        *("e mail address", "e mail 1 value", "email 1 value", "direccion de correo"),
        *("direccion de correo electronico", "correo electronico 1 valor", "work email"),
        *("email de trabajo", "email laboral", "endereco de email", "e mail de trabalho"),
    ),
    ColumnUse.CARTERA_ORIGEN: (
        *("cartera origen", "cartera de origen", "cartera", "origen", "fuente", "procedencia"),
        *("origin", "source", "lead source", "original source", "origem", "fonte"),
        *("fuente original", "origen del contacto"),
    ),
    ColumnUse.PERMISSION: (
        *("consentimiento", "permiso", "autorizacion", "opt in", "optin", "consent"),
        *("permission", "consentimento", "permissao", "autorizacao", "acepta", "acepta whatsapp"),
        *("autoriza", "aceita", "opted in", "opt in whatsapp", "whatsapp opt in", "suscripto"),
        *("whatsapp consent", "consent whatsapp", "consentimiento whatsapp", "acepta contacto"),
        *("marketing opt in", "opted in to whatsapp", "opt in de whatsapp", "opt in status"),
    ),
    ColumnUse.EVIDENCE: (
        *("evidencia", "prueba", "evidencia de consentimiento", "como se obtuvo"),
        *("evidence", "proof", "consent evidence", "como acepto", "evidencia del consentimiento"),
        *("forma de consentimiento", "consent source", "opt in source", "opt in method"),
        *("evidencia do consentimento", "prova", "como aceitou"),
    ),
    ColumnUse.DATA_DATE: (
        *("ultimo contacto", "fecha de ultimo contacto", "fecha ultimo contacto"),
        *("fecha de contacto", "last contact", "last contacted", "last activity date"),
        *("ultimo contato", "data do ultimo contato", "fecha", "date", "data", "created time"),
        *("create date", "created at", "created", "date created", "fecha de creacion"),
        *("fecha creacion", "fecha de alta", "fecha alta", "fecha de registro", "fecha de carga"),
        *("data de criacao", "data de cadastro", "creado el", "fecha del formulario"),
    ),
    ColumnUse.NOTES: (
        *("notas", "nota", "observaciones", "observacion", "obs", "comentarios", "comentario"),
        *("notes", "note", "comments", "comment", "remarks", "anotaciones", "observacoes"),
        *("anotacoes",),
    ),
    ColumnUse.REASON: ("motivo", "razon", "reason", "motivo de baja", "motivo de la baja"),
    ColumnUse.BODY: (
        *("mensaje", "message", "texto", "text", "cuerpo", "body", "mensagem", "contenido"),
        *("content", "message body", "texto del mensaje", "conteudo"),
    ),
    ColumnUse.DIRECTION: (
        *("sentido", "direction", "direccion", "direcao", "from me", "fromme", "enviado recibido"),
        *("is from me", "in out", "tipo", "type", "tipo de mensaje", "message type"),
        *("estado", "status", "resultado", "result", "outcome"),
    ),
    ColumnUse.WRITTEN_AT: (
        *("fecha y hora", "fecha hora", "fecha", "datetime", "date time", "timestamp", "date"),
        *("sent at", "written at", "created at", "created time", "enviado el", "data e hora"),
        *("data", "time", "hora", "sent time", "message date"),
    ),
}
"""Header names of each use but the phone's, normalised, best first."""

_PHONE_LIST_USES: Final = frozenset({ColumnUse.NAME, ColumnUse.REASON, ColumnUse.DATA_DATE})
USES_BY_KIND: Final[Mapping[ListKind, frozenset[ColumnUse]]] = {
    ListKind.PROSPECTS: frozenset(HEADER_NAMES)
    - {ColumnUse.REASON, ColumnUse.BODY, ColumnUse.DIRECTION, ColumnUse.WRITTEN_AT},
    ListKind.SUPPRESSIONS: _PHONE_LIST_USES,
    ListKind.DO_NOT_CALL: _PHONE_LIST_USES,
    ListKind.HISTORY: frozenset({ColumnUse.BODY, ColumnUse.DIRECTION, ColumnUse.WRITTEN_AT}),
}
"""The uses, besides the phone's, that headers of each kind of list are searched for."""

_PHONE_NOUNS: Final = frozenset(
    {
        *("telefono", "telefonos", "tel", "tels", "telf", "tlf", "tfno", "fono", "fone", "phone"),
        *("phones", "telephone", "telefone", "telefones", "msisdn", "phonenumber"),
    }
)
_BARE_NUMBERS: Final = frozenset(
    {"numero", "numeros", "number", "numbers", "nro", "alias", "jid", "wa id", "waid", "lid"}
    | {"remote jid", "remotejid"}
)
"""Headers that are a phone number only as a whole: "numero de cliente" is none."""
_LANDLINE_PLACES: Final = frozenset(
    {
        *LANDLINE_WORDS,
        *("casa", "home", "hogar", "particular", "residencial", "trabajo", "trabalho", "work"),
        *("business", "oficina", "office", "laboral", "empresa", "company", "comercial"),
    }
)
_FILLERS: Final = frozenset(
    {
        *("de", "del", "do", "da", "of", "the", "el", "la", "en", "con", "with", "number"),
        *("numero", "nro", "num", "no", "n", "contacto", "contact", "contato", "cliente"),
        *("customer", "client", "principal", "primary", "main", "personal", "pessoal", "e164"),
        *("alternativo", "otro", "outro", "other", "secundario", "valor", "value", "mi", "your"),
        *("tu", "su", "international", "internacional", "codigo", "area", "code", "country"),
        *("pais", "id", "direct", "directo", "lead"),
    }
)
_OTHER_LINES: Final = frozenset({"other", "otro", "outro", "alternativo", "secundario"})
_PAIR: Final = re.compile(
    r"(?:phone|telefono|telefone) (?P<number>\d+) "
    r"(?:(?P<label>label|type|etiqueta|tipo|rotulo)|value|valor)"
)


class PhoneRank(StrEnum):
    """How likely a phone column has the number that WhatsApp is on, best first."""

    MOBILE = "mobile"
    ANY = "any"
    OTHER = "other"
    LANDLINE = "landline"
    NEVER = "never"
    """A fax or a pager."""


_NEVER: Final = frozenset(
    {
        *("fax", "facsimil", "pager", "telex", "isdn", "radio", "tty", "tdd", "callback"),
        *("localizador", "assistant", "asistente", "assistente", "car", "automovil", "carro"),
    }
)


def find_phone_rank(header: str) -> PhoneRank | None:
    """Return how good the phone column of this header is; None where it is no phone's."""
    name = re.sub(r" \d+$", "", normalise_text(header))
    if name in _BARE_NUMBERS:
        return PhoneRank.ANY
    words = {word for word in name.split() if not word.isdigit()}
    nouns = words & (_PHONE_NOUNS | MOBILE_WORDS)
    if not nouns or words - nouns - _FILLERS - _LANDLINE_PLACES - _NEVER:
        return None
    return rank_phone_words(words)


def rank_phone_words(words: frozenset[str] | set[str]) -> PhoneRank:
    """Return the rank of a header's words, or of the label beside a number."""
    if words & _NEVER:
        return PhoneRank.NEVER
    if words & MOBILE_WORDS:
        return PhoneRank.MOBILE
    if words & _LANDLINE_PLACES:
        return PhoneRank.LANDLINE
    return PhoneRank.OTHER if words & _OTHER_LINES else PhoneRank.ANY


def find_pair(header: str) -> tuple[str, bool] | None:
    """Return (pair, whether it is the label) of a header such as "Phone 1 - Label"; else None."""
    match = _PAIR.fullmatch(normalise_text(header))
    return (match["number"], match["label"] is not None) if match else None


_REFUSAL: Final = re.compile(
    r"\b(do ?not (call|contact|text|message|disturb)|dnc|dnd|(no|nao) (contactar|contatar|llamar"
    r"|ligar|molestar|perturbe|enviar|escribir|desea|acepta|aceita|quiere|quer|autoriza)"
    r"|opt(ed)? ?out|unsubscribed?|desuscri\w*|desinscri\w*|descadastr\w*|baja|bajas"
    r"|lista negra|blacklist\w*|block(ed|list)?|bloquead[oa]s?|rechaz[oa]\w*|refused|declined"
    r"|suppressed|suprimido)\b"
)
_QUESTION: Final = re.compile(
    r"\b(acept\w+|autoriz\w+|consient\w+|consent\w*|dese[ao]s?|queres|quieres?|permit\w+|aceit\w+"
    r"|concord\w+|agree|accept|allow|would you like|te gustaria|gostaria|deseja|quer)\b"
)
_ASKED: Final = re.compile(
    r"\b(whats ?app|wsp|wpp|mensajes?|messages?|mensagens|mensagem|contact\w*|contat\w*|recibir"
    r"|receber|receive|novedades|ofertas|promocion\w*|promoc\w*|comunicacion\w*|informacion)\b"
)
_OTHER_CHANNEL: Final = re.compile(r"\b(e ?mails?|mails?|correos?|sms|newsletter|llamadas|calls)\b")


def is_refusal_header(header: str) -> bool:
    """Return whether a yes in this column means no, such as `do_not_call` or "no contactar"."""
    return bool(_REFUSAL.search(normalise_text(header)))


def is_consent_question(header: str) -> bool:
    """Return whether a header asks for consent, as lead forms do: "¿acepta recibir mensajes?"."""
    name = normalise_text(header)
    if not (_QUESTION.search(name) and _ASKED.search(name)):
        return False
    return "whatsapp" in name or not _OTHER_CHANNEL.search(name)
