"""The messages of the demonstration.

To whom, with which text, and what the simulated phones answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import NotFound

if TYPE_CHECKING:
    from daemon.cli.client import ControlClient


SALES: Final = "ventas"
SUPPORT: Final = "soporte"
DROP_AFTER: Final = 22.0
"""Seconds after its first `ready` at which the line of sales breaks."""
SCAN_AFTER: Final = 5.0
_PAGE_SIZE: Final = 200


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """One message of the demonstration: to whom, what, through which phone."""

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
    "sleeps": (SALES, "Qué tal {name}, aquí el catálogo que solicitaste; dime qué te interesa."),
    "was a customer": (
        SALES,
        "{name}, ¿cómo viene funcionando lo que te instalamos el año pasado?",
    ),
    "was found": (
        SALES,
        "Hola {name}, vimos su comercio en la guía de la feria. ¿Podemos contarle algo?",
    ),
    "said no": (SALES, "{name}, una última oportunidad para sumarte a la promoción de invierno."),
    "waits": (SALES, "{name}, confirmamos tu turno de mañana con nuestro asesor. ¡Gracias!"),
}
_REQUIREMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "asks": ("opted_in", "+549"),
    "opts out": ("opted_in", "+549"),
    "reads": ("opted_in", "+549"),
    "is not there": ("opted_in", "+549"),
    "waits": ("opted_in", "+549"),
    "sleeps": ("opted_in", "+52"),
    "was a customer": ("relationship", "+549"),
    "was found": ("public_source", "+549"),
    "said no": ("refused", "+549"),
}


def choose_recipients(client: ControlClient) -> dict[str, DemoMessage]:
    """Return the part that each role is given to, from the prospects that were imported."""
    parts: dict[str, DemoMessage] = {}
    for role, (permission, prefix) in _REQUIREMENTS.items():
        people = client.get("prospects", permission=permission, limit=_PAGE_SIZE)["items"]
        taken = {part.name for part in parts.values()}
        fitting = (
            person
            for person in people
            if person["phone"].startswith(prefix) and person["name"] and person["name"] not in taken
        )
        if (person := next(fitting, None)) is None:
            raise NotFound(f"The sample has nobody with {permission} and a {prefix} number.")
        parts[role] = _build_message(role, person)
    return parts


def choose_visitor_messages(client: ControlClient) -> list[DemoMessage]:
    """Return messages that a visitor finds waiting: some to decide on, one to send by hand."""
    wanted = (("was a customer", "relationship", 3), ("was found", "public_source", 2))
    known = {message["contact"] for message in client.get("messages", limit=_PAGE_SIZE)["items"]}
    parts: list[DemoMessage] = []
    for role, permission, count in wanted:
        people = client.get("prospects", permission=permission, limit=_PAGE_SIZE)["items"]
        fresh = [
            person
            for person in people
            if person["contact"] not in known and person["name"] and _is_argentine_mobile(person)
        ]
        parts += [_build_message(role, person) for person in fresh[:count]]
    return parts


def _is_argentine_mobile(person: Mapping[str, Any]) -> bool:
    """Only there it is office hours by the demonstration's clock."""
    return str(person["phone"]).startswith("+549")


def _build_message(role: str, person: Mapping[str, Any]) -> DemoMessage:
    session, text = _TEXTS[role]
    name = str(person["name"])
    text = text.format(name=name.partition(" ")[0])
    return DemoMessage(role, name, person["contact"], person["phone"], text, session)


def build_phone_script(parts: Mapping[str, DemoMessage]) -> dict[str, Any]:
    """Return what the virtual phones and contacts will do."""
    return {
        "scan_after": SCAN_AFTER,
        "defaults": {"ack_delay": 0.5, "deliver_after": 1.0, "read_after": 2.5},
        "contacts": {
            parts["asks"].phone: _reply("Sí, me interesa. ¿Cuánto sale?", after=4.0),
            parts["opts out"].phone: _reply("BAJA", after=6.0, from_lid=True),
            parts["is not there"].phone: {"on_whatsapp": "no"},
        },
        "line": [{"at": DROP_AFTER, "do": "disconnect", "session": SALES}],
    }


def _reply(text: str, **how: object) -> dict[str, Any]:
    return {"reply": {"text": text, **how}}


def map_contact_names(parts: Iterable[DemoMessage]) -> dict[str, str]:
    """Return what each contact is called, for lines that people read."""
    return {part.contact: part.name for part in parts}
