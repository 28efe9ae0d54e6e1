"""Takes over what a linked account's contact list says of prospects: names, and hidden ids."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Final

from daemon.api.clock import Clock
from daemon.api.transport import KnownContact
from daemon.contacts.aliases import Aliases
from daemon.errors import NotFound
from daemon.inbound.alias_handler import AliasHandler
from daemon.sessions import Sessions
from storage import contacts, evidence, prospects
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.tx import Tx

_BATCH_SIZE: Final = 50
"""How many contacts one transaction takes."""


class ContactSync:
    """Reads the contact lists of linked accounts; of people who are no prospects it keeps nothing.

    What a list knows came with messages from before somebody was a prospect here.
    """

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        aliases: Aliases,
        alias_handler: AliasHandler,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._aliases = aliases
        self._alias_handler = alias_handler
        self._clock = clock

    async def sync(self) -> int:
        """Read the list of each session that is ready; return how many prospects were in them."""
        found = 0
        for session in [view.name for view in self._sessions.views() if view.ready]:
            listed: Sequence[KnownContact] = ()
            with contextlib.suppress(NotFound):  # deleted while another one was asked
                listed = await self._sessions.list_contacts(session)
            for start in range(0, len(listed), _BATCH_SIZE):
                batch = listed[start : start + _BATCH_SIZE]
                found += await self._database.write(partial(self._store, session, batch))
        return found

    def _store(self, session: str, listed: Sequence[KnownContact], tx: Tx) -> int:
        now = self._clock.now()
        return sum(self._store_contact(tx, session, each, now) for each in listed)

    def _store_contact(self, tx: Tx, session: str, listed: KnownContact, now: datetime) -> bool:
        """Store what is new about a prospect; return whether the contact is one."""
        aliases = self._aliases.from_identities(*listed.identities)
        contact = contacts.find_contact_by_aliases(tx, aliases)
        if contact is None or prospects.find_prospect_by_contact(tx, contact) is None:
            return False
        for one, other in pairwise(listed.identities):
            self._alias_handler.join_aliases(tx, one, other, now)
        # The name in a message of theirs is newer than what the list remembers.
        joined = contacts.find_contact_by_aliases(tx, aliases) or contact
        if listed.name and not evidence.get_latest_quote(tx, joined, EvidenceKind.PUSH_NAME):
            evidence.insert_evidence(
                tx,
                joined,
                EvidenceKind.PUSH_NAME,
                "given",
                at=now,
                source=f"the contacts of the phone of {session}",
                quote=" ".join(listed.name.split()),
            )
        return True
