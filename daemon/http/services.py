"""The services of the daemon that HTTP handlers use, as a protocol that the container fulfils."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Protocol

from daemon.api.clock import Clock
from daemon.auth import AuthService
from daemon.bus import EventBus
from daemon.contacts.imports.service import ImportService
from daemon.contacts.prospects import ProspectService
from daemon.contacts.suppression import SuppressionService
from daemon.contacts.validation import ValidationService
from daemon.outbox import Outbox
from daemon.outbox.halt import Halt
from daemon.outbox.manual import ManualSending
from daemon.outbox.pacing import Pacing
from daemon.outbox.review import ReviewService
from daemon.plugin_manager import Plugins
from daemon.rulesets.active import ActiveRulesets
from daemon.rulesets.service import RulesetService
from daemon.rulesets.watcher import RulesetWatcher
from daemon.sessions import Sessions
from daemon.settings import Settings
from storage.db import Database


class HttpServices(Protocol):
    """The services behind the HTTP servers. `daemon.app.Application` is one."""

    @property
    def settings(self) -> Settings:
        """The settings of this installation."""
        ...

    @property
    def auth(self) -> AuthService:
        """Users, tokens and sign-ins."""
        ...

    @property
    def clock(self) -> Clock:
        """The daemon's clock."""
        ...

    @property
    def database(self) -> Database:
        """The SQLite database."""
        ...

    @property
    def plugins(self) -> Plugins:
        """The loaded plugins."""
        ...

    @cached_property
    def pacing(self) -> Pacing:
        """Budgets: when a message may go."""
        ...

    @property
    def bus(self) -> EventBus:
        """Events, as they are committed."""
        ...

    @cached_property
    def sessions(self) -> Sessions:
        """WhatsApp sessions."""
        ...

    @cached_property
    def outbox(self) -> Outbox:
        """Messages on their way out."""
        ...

    @cached_property
    def review(self) -> ReviewService:
        """Messages that wait for a person's approval."""
        ...

    @cached_property
    def manual(self) -> ManualSending:
        """Messages that a person sends by hand."""
        ...

    @cached_property
    def halt(self) -> Halt:
        """The switch that stops all sending."""
        ...

    @cached_property
    def validation(self) -> ValidationService:
        """Technical validation of numbers, by checks and by hand."""
        ...

    @cached_property
    def prospects(self) -> ProspectService:
        """Prospects that a person enters or corrects."""
        ...

    @cached_property
    def imports(self) -> ImportService:
        """Lists of prospects on their way in."""
        ...

    @cached_property
    def suppression(self) -> SuppressionService:
        """Who is not to be written to."""
        ...

    @property
    def rulesets(self) -> ActiveRulesets:
        """The rule sets in force."""
        ...

    @cached_property
    def ruleset_service(self) -> RulesetService:
        """Reloads, edits, accepts and rolls back rulesets."""
        ...

    @cached_property
    def ruleset_watcher(self) -> RulesetWatcher:
        """Watches the rule folders for saved files."""
        ...

    @property
    def started_at(self) -> datetime:
        """When the daemon was opened."""
        ...
