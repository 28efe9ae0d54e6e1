"""The messages of the demonstration: recipients, texts, and what is written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from daemon.errors import NotFound

if TYPE_CHECKING:
    from daemon.cli.client import ControlClient


SALES: Final = "ventas"
SUPPORT: Final = "soporte"
ANSWERS: Final = {"asks": "Sí, me interesa. ¿Cuánto sale?", "opts out": "BAJA"}
"""What the recipients with these roles write back."""
_PAGE_SIZE: Final = 200


class DemoMessage(Struct, frozen=True):
    """One message of the demonstration: recipient, text and session."""

    role: str
    name: str
    contact: str
    phone: str
    text: str
    session: str


_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "asks": (SALES, "Hola {name}, la demo que pediste está lista. ¿Te sirve verla el jueves?"),
    "opts out": (
        SALES,
        "{name}, gracias por anotarte: hay lugar en el taller de la próxima semana.",
    ),
    "reads": (
        SUPPORT,
        "Buen día {name}, soy Ana de Soporte; respondemos tu consulta del formulario.",
    ),
    "is not there": (SUPPORT, "{name}, te paso el presupuesto que pediste en nuestra página."),
    "sleeps": (SALES, "Qué tal {name}, acá va el catálogo que pediste; decime qué te interesa."),
    "was a customer": (
        SALES,
        "{name}, ¿cómo viene funcionando lo que te instalamos el año pasado?",
    ),
    "was found": (
        SALES,
        "Hola {name}, vimos su comercio en la guía de la feria. ¿Podemos contarle algo?",
    ),
    "was recommended": (
        SALES,
        "Buenas {name}, encontré tu negocio en el mapa del barrio y quise presentarme.",
    ),
    "said no": (SALES, "{name}, una última oportunidad para sumarte a la promoción de invierno."),
    "was not reached": (
        SUPPORT,
        "{name}, te mandamos la guía que pediste en el formulario. ¿Te llegó bien?",
    ),
    "waits": (SALES, "{name}, confirmamos tu turno de mañana con nuestro asesor. ¡Gracias!"),
}
_REQUIREMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "asks": ("opted_in", "+549"),
    "opts out": ("opted_in", "+549"),
    "reads": ("opted_in", "+549"),
    "is not there": ("opted_in", "+549"),
    "was not reached": ("opted_in", "+549"),
    "waits": ("opted_in", "+549"),
    "sleeps": ("opted_in", "+52"),
    "was a customer": ("relationship", "+549"),
    "was found": ("public_source", "+549"),
    "said no": ("refused", "+549"),
}


def choose_recipients(client: ControlClient) -> dict[str, DemoMessage]:
    """Choose a prospect for each role among those imported."""
    recipients: dict[str, DemoMessage] = {}
    for role, (permission, prefix) in _REQUIREMENTS.items():
        people = client.get("prospects", permission=permission, limit=_PAGE_SIZE)["items"]
        taken = {recipient.name for recipient in recipients.values()}
        candidates = (
            person
            for person in people
            if person["phone"].startswith(prefix) and person["name"] and person["name"] not in taken
        )
        if (person := next(candidates, None)) is None:
            raise NotFound(f"The sample has nobody with {permission} and a {prefix} number.")
        recipients[role] = _build_message(role, person)
    return recipients


def choose_visitor_messages(client: ControlClient) -> list[DemoMessage]:
    """Build messages that wait for the visitor: some to review, one to send by hand."""
    # A text of its own to send by hand; the one that is like an earlier text waits for a person.
    choices = (
        ("was a customer", "relationship", 3),
        ("was recommended", "public_source", 1),
        ("was found", "public_source", 1),
    )
    known = {message["contact"] for message in client.get("messages", limit=_PAGE_SIZE)["items"]}
    recipients: list[DemoMessage] = []
    for role, permission, count in choices:
        people = client.get("prospects", permission=permission, limit=_PAGE_SIZE)["items"]
        candidates = [
            person
            for person in people
            if person["contact"] not in known and person["name"] and _is_argentine_mobile(person)
        ]
        recipients += [_build_message(role, person) for person in candidates[:count]]
        known |= {recipient.contact for recipient in recipients}
    return recipients


def _is_argentine_mobile(person: Mapping[str, Any]) -> bool:
    """Return whether a prospect's number is an Argentine mobile one."""
    # The demonstration's clock shows business hours in Argentina only.
    return str(person["phone"]).startswith("+549")


def _build_message(role: str, person: Mapping[str, Any]) -> DemoMessage:
    session, text = _TEXTS[role]
    name = str(person["name"])
    text = text.format(name=name.partition(" ")[0])
    return DemoMessage(role, name, person["contact"], person["phone"], text, session)


def map_contact_names(recipients: Iterable[DemoMessage]) -> dict[str, str]:
    """Map contact ids to names."""
    return {recipient.contact: recipient.name for recipient in recipients}
