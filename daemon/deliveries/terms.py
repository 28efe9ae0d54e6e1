"""The terms of clients: what a client pays, for which columns, and until when they object."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.chats.sharing import require_client
from daemon.errors import BadRequest, Conflict, NotFound
from storage import audit, client_terms
from storage.client_terms import NEEDED_COLUMNS, ClientTerms, DeliveryTerms
from storage.clients import ClientRecord
from storage.db import Database
from storage.tx import Reader, Tx

MAX_REASONS: Final = 20
MAX_REASON_LENGTH: Final = 120
LANGUAGES: Final = ("es", "en")
"""In which a file for a client can be written."""
_CURRENCY: Final = re.compile("[A-Z]{3}")
_TERMS_HINT: Final = "Set a price and reasons: leadmaster clients terms CLIENT --price …"


class ClientTermsService:
    """Sets the terms for the next delivery to a client; what is frozen keeps its own."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get_terms(self, client: str) -> ClientTerms:
        """Return the terms of a client. Raises NotFound where nobody has set any."""

        def read(reader: Reader) -> ClientTerms:
            named = require_client(reader, client)
            found = client_terms.get_client_terms(reader, named.id)
            if found is None:
                raise NotFound(f"{named.name} has no terms yet.", hint=_TERMS_HINT)
            return found

        return await self._database.read(read)

    async def set_terms(self, client: str, terms: DeliveryTerms, who: str) -> ClientTerms:
        """Set the terms of a client. Raises NotFound, and BadRequest for what makes no sense."""
        now, checked = self._clock.now(), _check_terms(terms)

        def job(tx: Tx) -> ClientTerms:
            named = require_client(tx, client)
            stored = client_terms.store_client_terms(tx, named.id, checked, at=now, who=who)
            detail = msgspec.to_builtins(checked)
            audit.insert_audit_entry(
                tx, at=now, who=who, action="client_terms_set", subject=named.id, detail=detail
            )
            return stored

        return await self._database.write(job, urgent=True)


def require_terms(reader: Reader, client: ClientRecord) -> ClientTerms:
    """Return the terms that a delivery is made by; raise Conflict where there are none."""
    found = client_terms.get_client_terms(reader, client.id)
    if found is None:
        raise Conflict(f"{client.name} has no terms yet.", hint=_TERMS_HINT)
    return found


def _check_terms(terms: DeliveryTerms) -> DeliveryTerms:
    """Return terms with tidy reasons. Raises BadRequest."""
    reasons = tuple(dict.fromkeys(" ".join(each.split()) for each in terms.reasons))
    for each in reasons:
        if not each or len(each) > MAX_REASON_LENGTH or not each.isprintable():
            raise BadRequest(
                f"reasons: each must have 1 to {MAX_REASON_LENGTH} letters, on one line."
            )
    if terms.dispute_days and not reasons:
        raise BadRequest("reasons: name at least one for which a row may be disputed.")
    if not _CURRENCY.fullmatch(terms.currency):
        raise BadRequest("currency: it must have three capital letters, such as ARS.")
    if terms.language not in LANGUAGES:
        raise BadRequest(f"language: it must be one of {', '.join(LANGUAGES)}.")
    missing = [each for each in NEEDED_COLUMNS if each not in terms.columns]
    if missing:
        raise BadRequest(f"columns: {' and '.join(missing)} can't be left out.")
    return replace(terms, reasons=reasons, columns=tuple(dict.fromkeys(terms.columns)))
