"""The handlers of what sessions must never lose, one for each kind of signal, built together."""

from __future__ import annotations

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.gate.scoring import Scoring
from daemon.inbound.alias_handler import AliasHandler
from daemon.inbound.contact_requests import ContactRequestReader
from daemon.inbound.handler import InboundHandler
from daemon.inbound.own_messages import OwnMessageHandler
from daemon.inbound.quarantine import SignalQuarantine
from daemon.inbound.receipts import ReceiptHandler
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from storage.db import Database


class SignalHandlers(Struct, frozen=True):
    """Each method of these returns once its transaction is on the disk."""

    inbound: InboundHandler
    own_messages: OwnMessageHandler
    receipts: ReceiptHandler
    aliases: AliasHandler
    quarantine: SignalQuarantine


def build_signal_handlers(
    *,
    database: Database,
    plugins: Plugins,
    suppression: SuppressionService,
    scoring: Scoring,
    aliases: Aliases,
    request_reader: ContactRequestReader,
    clock: Clock,
    settings: Settings,
) -> SignalHandlers:
    """Build them over one writer, one set of aliases and one score."""
    return SignalHandlers(
        inbound=InboundHandler(
            database=database,
            plugins=plugins,
            suppression=suppression,
            scoring=scoring,
            aliases=aliases,
            request_reader=request_reader,
            clock=clock,
            settings=settings,
        ),
        own_messages=OwnMessageHandler(database, aliases, scoring, clock),
        receipts=ReceiptHandler(database, aliases, scoring, clock),
        aliases=AliasHandler(database, aliases, suppression, scoring, clock),
        quarantine=SignalQuarantine(
            database=database,
            aliases=aliases,
            suppression=suppression,
            request_reader=request_reader,
            clock=clock,
        ),
    )
