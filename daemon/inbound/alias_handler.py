"""Handles learned aliases: a hidden id and a number that turn out to be one person."""

from __future__ import annotations

from datetime import datetime

from daemon.api.clock import Clock
from daemon.api.identity import Identity
from daemon.api.signals import AliasLearned
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.gate.scoring import Scoring
from daemon.inbound.durable_write import DurableWriter
from storage import contacts
from storage.db import Database
from storage.tx import Tx


class AliasHandler:
    """Joins the aliases of one person; a suppression of either holds for both."""

    def __init__(
        self,
        database: Database,
        aliases: Aliases,
        suppression: SuppressionService,
        scoring: Scoring,
        clock: Clock,
    ) -> None:
        self._writer = DurableWriter(database, clock)
        self._aliases = aliases
        self._suppression = suppression
        self._scoring = scoring
        self._clock = clock

    async def handle_alias(self, _session: str, signal: AliasLearned) -> None:
        """Learn that two names are one person; returns once that is on the disk."""
        await self._writer.write(
            lambda tx: self.join_aliases(tx, signal.alias, signal.phone, self._clock.now())
        )

    def join_aliases(self, tx: Tx, one: Identity, other: Identity, now: datetime) -> None:
        """Join the aliases of a known contact; for a pair of strangers nothing is stored."""
        aliases = self._aliases.from_identities(one, other)
        found = contacts.find_contact_by_aliases(tx, aliases)
        if found is None:
            return
        before = contacts.get_contact_revision(tx, found)
        contact = contacts.resolve_contact(tx, aliases, now)
        if contact == found and contacts.get_contact_revision(tx, contact) == before:
            return  # known already: platforms tell it with every message
        self._suppression.extend_to_new_aliases(tx, contact, at=now)
        self._scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="name_learned",
            sentence="A hidden id and a number belong to the same person.",
        )
