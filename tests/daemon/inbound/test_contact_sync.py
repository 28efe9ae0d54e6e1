"""What a linked account's list of contacts says of prospects; of strangers nothing is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.api.transport import KnownContact
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.gate.scoring import Scoring
from daemon.inbound.alias_handler import AliasHandler
from daemon.inbound.contact_sync import ContactSync
from daemon.settings import RulesSettings
from storage import contacts, evidence, suppressions
from storage.evidence import Evidence, EvidenceKind
from storage.journal import SuppressionJournal
from storage.suppressions import SuppressionSource
from storage.tx import Tx
from tests.helpers.services.database import insert_prospect, load_active_rulesets
from tests.helpers.services.sessions import SESSION_NAME, SessionServices, open_session_services
from tests.helpers.transport import ANA

ANA_LID, BETO = parse_identity("1234@lid"), "+5491155550102"
LISTED = KnownContact((ANA_LID, parse_identity(ANA)), "Ana  María")


@dataclass
class SyncServices:
    """A session with a puppet transport, and the sync of its contacts."""

    services: SessionServices
    aliases: Aliases
    suppression: SuppressionService
    sync: ContactSync

    async def add_prospect(self, phone: str = ANA) -> str:
        """Insert a prospect; return the contact."""
        at = self.services.clock.now()

        def job(tx: Tx) -> str:
            contact = contacts.resolve_contact(tx, self.aliases.from_phone(phone), at)
            insert_prospect(tx, contact, phone, at, cartera_origen="feria")
            return contact

        return await self.services.database.write(job)

    async def list_names(self, contact: str) -> list[Evidence]:
        """Return the names that are known of a contact."""
        found = await self.services.database.read(
            lambda reader: evidence.list_contact_evidence(reader, contact)
        )
        return [each for each in found if each.kind is EvidenceKind.PUSH_NAME]

    async def find_contact(self, *identities: str) -> str | None:
        """Return the contact with these identities, if it is known."""
        aliases = self.aliases.from_identities(*map(parse_identity, identities))
        return await self.services.database.read(
            lambda reader: contacts.find_contact_by_aliases(reader, aliases)
        )

    async def find_suppressed(self, hashes: list[str]) -> set[str]:
        """Return which of these hashes are suppressed."""
        return await self.services.database.read(
            lambda reader: suppressions.find_suppressed_hashes(reader, hashes)
        )


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[SyncServices]:
    """A session that is ready, whose account has Ana in its list."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.known = [LISTED]
        database, clock = services.database, services.clock
        journal = SuppressionJournal(tmp_path)
        aliases = Aliases(journal.hash)
        suppression = SuppressionService(database, journal, aliases, clock)
        scoring = Scoring(load_active_rulesets(RulesSettings(engines="reference")))
        handler = AliasHandler(database, aliases, suppression, scoring, clock)
        sync = ContactSync(database, services.sessions, aliases, handler, clock)
        yield SyncServices(services, aliases, suppression, sync)


async def test_a_prospect_gets_their_name_and_their_hidden_id(linked: SyncServices) -> None:
    """The account knew both before they were imported; the second time nothing is new."""
    contact = await linked.add_prospect()
    assert await linked.sync.sync() == 1
    assert await linked.sync.sync() == 1
    [name] = await linked.list_names(contact)
    assert (name.quote, name.source) == (
        "Ana María",
        f"the contacts of the phone of {SESSION_NAME}",
    )
    assert await linked.find_contact("1234@lid") == contact


async def test_of_a_stranger_nothing_is_kept(linked: SyncServices) -> None:
    """Neither name nor hidden id, though another prospect is there."""
    beto = await linked.add_prospect(BETO)
    assert await linked.sync.sync() == 0
    assert await linked.find_contact("1234@lid", ANA) is None
    assert await linked.list_names(beto) == []


async def test_a_suppression_of_the_number_holds_for_the_hidden_id(linked: SyncServices) -> None:
    """Also where the list is what brings both together."""
    await linked.add_prospect()
    source, reason = SuppressionSource.OPERATOR, "asked on the phone"
    await linked.suppression.suppress(ANA, source=source, reason=reason, who="ana")
    hidden = [each.hash for each in linked.aliases.from_identities(ANA_LID)]
    assert not await linked.find_suppressed(hidden)
    await linked.sync.sync()
    assert await linked.find_suppressed(hidden) == set(hidden)


async def test_a_session_that_is_not_ready_is_not_asked(linked: SyncServices) -> None:
    """It has no list to show."""
    await linked.add_prospect()
    await linked.services.sessions.stop(SESSION_NAME, "ana")
    await linked.services.clock.settle()
    assert await linked.sync.sync() == 0
