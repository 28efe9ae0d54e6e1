"""The people of the demonstration: who of the sample list plays which part, and what they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import NotFound

if TYPE_CHECKING:
    from daemon.cli.client import Client

SALES: Final = "ventas"
SUPPORT: Final = "soporte"
DROP_AFTER: Final = 22.0
"""Seconds after its first `ready` at which the line of sales breaks."""
SCAN_AFTER: Final = 5.0
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Part:
    """One message of the demonstration: to whom, what, through which phone."""

    role: str
    name: str
    phone: str
    text: str
    session: str = SALES


_LINES: Final[Mapping[str, tuple[str, str]]] = {
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
_WANTED: Final[Mapping[str, tuple[str, str]]] = {
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


def chosen(client: Client) -> dict[str, Part]:
    """Return the part that each role is given to, from the prospects that were imported."""
    free = {permission: _prospects(client, permission) for permission, _ in _WANTED.values()}
    return {role: _give(role, *wanted, free) for role, wanted in _WANTED.items()}


def _prospects(client: Client, permission: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("prospects", permission=permission, limit=_PAGE)[
        "items"
    ]
    return found


def _give(
    role: str, permission: str, prefix: str, free: Mapping[str, list[dict[str, Any]]]
) -> Part:
    """Take the first who fits off the list, so that nobody plays twice."""
    fitting = (person for person in free[permission] if person["phone"].startswith(prefix))
    person = next(fitting, None)
    if person is None:
        raise NotFound(f"The sample list has nobody with {permission} and a {prefix} number.")
    free[permission].remove(person)
    session, text = _LINES[role]
    name = str(person["name"]).split()[0] if person["name"] else "amigo"
    return Part(
        role, person["name"] or person["phone"], person["phone"], text.format(name=name), session
    )


def script_for(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return what the virtual phones and contacts will do."""
    return {
        "scan_after": SCAN_AFTER,
        "defaults": {"ack_delay": 0.5, "deliver_after": 1.0, "read_after": 2.5},
        "contacts": {
            parts["asks"].phone: _replies("Sí, me interesa. ¿Cuánto sale?", after=4.0),
            parts["opts out"].phone: _replies("BAJA", after=6.0, from_lid=True),
            parts["is not there"].phone: {"on_whatsapp": "no"},
        },
        "line": [{"at": DROP_AFTER, "do": "disconnect", "session": SALES}],
    }


def _replies(text: str, **how: object) -> dict[str, Any]:
    return {"reply": {"text": text, **how}}


def names_of(parts: Iterable[Part]) -> dict[str, str]:
    """Return each number's name, for lines that people read."""
    return {part.phone: part.name for part in parts}
