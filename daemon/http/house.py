"""What the doors ask of the house: its rooms, as the composition root hands them in."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Protocol

from daemon.api.clock import Clock
from daemon.auth import AuthService
from daemon.bus import EventBus
from daemon.halt import Halt
from daemon.imports.importer import ImportService
from daemon.manual import ManualSending
from daemon.outbox import Outbox
from daemon.pacing import Pacing
from daemon.plugin_manager import Plugins
from daemon.prospects import ProspectService
from daemon.review import ReviewService
from daemon.rulebook import ActiveRulesets, RulesetService, RulesetWatcher
from daemon.sessions import Sessions
from daemon.settings import Settings
from daemon.suppression import SuppressionService
from daemon.validation import ValidationService
from storage.db import Database


class HttpServices(Protocol):
    """The rooms behind the doors. `daemon.app.House` is one."""

    @property
    def settings(self) -> Settings:
        """Everything that was set."""
        ...

    @property
    def auth(self) -> AuthService:
        """Who may come in, by which way."""
        ...

    @property
    def clock(self) -> Clock:
        """The house's time."""
        ...

    @property
    def database(self) -> Database:
        """The one file."""
        ...

    @property
    def plugins(self) -> Plugins:
        """What the installation was given: channels, sources, hooks."""
        ...

    @cached_property
    def pacing(self) -> Pacing:
        """When a message may go."""
        ...

    @property
    def bus(self) -> EventBus:
        """News, as it is committed."""
        ...

    @cached_property
    def sessions(self) -> Sessions:
        """The phones."""
        ...

    @cached_property
    def outbox(self) -> Outbox:
        """Messages on their way out."""
        ...

    @cached_property
    def review(self) -> ReviewService:
        """Messages that wait for a person's word."""
        ...

    @cached_property
    def manual(self) -> ManualSending:
        """Messages that a person sends by hand."""
        ...

    @cached_property
    def halt(self) -> Halt:
        """The stop of everything."""
        ...

    @cached_property
    def validation(self) -> ValidationService:
        """Number checks, and an operator's word."""
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
        """What changes them."""
        ...

    @cached_property
    def ruleset_watcher(self) -> RulesetWatcher:
        """What sees a rule file saved."""
        ...

    @property
    def started_at(self) -> datetime:
        """When the house was opened."""
        ...
