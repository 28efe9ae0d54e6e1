"""Header names of lists, and the guess which column holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from daemon.api.imports import normalise_text

HEADER_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "phone": (
        *("whatsapp", "wsp", "celular", "cel", "movil", "telefono celular", "telefono movil"),
        *("mobile", "mobile phone", "cell", "cell phone", "telefono", "tel", "numero"),
        *("numero de telefono", "nro de telefono", "phone", "phone number", "telephone"),
    ),
    "name": (
        *("nombre", "nombre y apellido", "nombre completo", "nombre comercial", "razon social"),
        *("contacto", "cliente", "empresa", "name", "full name", "contact", "company"),
    ),
    "trade": ("rubro", "actividad", "categoria", "sector", "trade", "industry", "category"),
    "cartera_origen": (
        *("cartera origen", "cartera de origen", "cartera", "origen", "fuente", "procedencia"),
        *("origin", "source"),
    ),
    "permission": (
        *("consentimiento", "permiso", "autorizacion", "opt in", "optin", "consent", "permission"),
    ),
    "evidence": (
        *("evidencia", "prueba", "evidencia de consentimiento", "como se obtuvo"),
        *("evidence", "proof", "consent evidence"),
    ),
    "data_date": (
        *("ultimo contacto", "fecha de ultimo contacto", "fecha de contacto", "fecha"),
        *("last contact", "last contacted", "date"),
    ),
    "notes": ("notas", "nota", "observaciones", "comentarios", "notes", "comments", "remarks"),
}
"""Header names of each column, best first: a mobile number is preferred where a list has both."""


def guess_mapping(headers: Sequence[str]) -> dict[str, str]:
    """Return the header of each column; a column without one is left out."""
    by_name: dict[str, str] = {}
    for header in headers:
        by_name.setdefault(normalise_text(header), header)
    found = {
        column: next((by_name[name] for name in names if name in by_name), None)
        for column, names in HEADER_NAMES.items()
    }
    return {column: header for column, header in found.items() if header is not None}


def is_phone_header(cells: Sequence[str]) -> bool:
    """Return whether a row looks like a header that has a phone column."""
    return "phone" in guess_mapping(cells)
