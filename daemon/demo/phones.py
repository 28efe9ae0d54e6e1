"""The phones of a demonstration: what is different from one channel to another."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon.demo.script import ANSWERS, SALES, SUPPORT, DemoMessage
from statemachines.vocabulary import BuiltinChannel

if TYPE_CHECKING:
    from daemon.demo.environment import DemoEnvironment
    from daemon.demo.events import EventPrinter

VISITOR_SCRIPT: Final = "visitor.json"
_OWN_SCRIPT: Final = "script.json"  # where the simulated channel looks for it
RULES_FOLDER: Final = "rules.d"
"""The folder in which the visitor's changes of the rules are written."""
VISITOR_SCAN_AFTER: Final = 8.0
"""Seconds until the visitor's simulated phone scans its code: long enough to see the code."""
_OPENING_HOUR_UTC: Final = 14  # 11:00 in Buenos Aires, and still night shift's end in Mexico
_SATURDAY: Final = 5
_DROP_AFTER: Final = 22.0
"""Seconds after its first `ready` at which the sales phone loses its connection."""
_SCAN_AFTER: Final = 5.0
_SETTINGS: Final = """\
# The settings of a demonstration: simulated phones, a clock in business hours, wide budgets.
[daemon]
state_dir = "{folder}"
port = 0
drain_seconds = 3

[clock]
start = {start:%Y-%m-%dT%H:%M:%SZ}
rate = {rate}

[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
messages_per_minute = 120
manual_new_chats_first_month = 50
manual_new_chats_24h_first_month = 50

[simulated]
script = "{folder}/{visitor}"

[rules]
dir = "{folder}/{rules}"
"""


class DemoPhones(ABC):
    """The phones that a demonstration links, and the people who write to them.

    The scenes are the same over each channel. ``roles`` are those of the recipients, in the order
    of their messages.
    """

    channel: BuiltinChannel
    roles: tuple[str, ...]
    variables: Mapping[str, str] = {}
    """What is added to the environment of the daemon."""

    @abstractmethod
    def describe(self) -> str:
        """Return what the first heading says of them."""

    @abstractmethod
    def write_settings(self, folder: Path) -> str:
        """Return the settings of the daemon; write into the folder what they name."""

    @abstractmethod
    def prepare(
        self, environment: DemoEnvironment, recipients: Mapping[str, DemoMessage]
    ) -> Sequence[Mapping[str, Any]]:
        """Make the phones and their people ready; return the options of the two sessions."""

    @abstractmethod
    def watch(self, events: EventPrinter) -> None:
        """Begin to print what the people's phones show, where that can be seen."""

    @abstractmethod
    def break_connection(self) -> None:
        """Break the connection of the sales phone, unless it breaks by itself."""


class SimulatedPhones(DemoPhones):
    """Simulated phones, which follow a script; the daemon's clock is in business hours.

    ``rate`` is how fast that clock goes.
    """

    channel = BuiltinChannel.SIMULATED
    roles = (
        "asks",
        "opts out",
        "reads",
        "is not there",
        "sleeps",
        "was a customer",
        "was found",
        "said no",
        "was not reached",
    )

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start = find_next_working_day(datetime.now(UTC))

    def describe(self) -> str:
        """Return when the clock begins."""
        return f"its clock says {self._start:%A %d %B, %H:%M} UTC"

    def write_settings(self, folder: Path) -> str:
        """Return the settings; make the folder for rules and the script of the visitor's phone."""
        (folder / RULES_FOLDER).mkdir()
        _write_script(folder / VISITOR_SCRIPT, {"scan_after": VISITOR_SCAN_AFTER})
        return _SETTINGS.format(
            folder=folder,
            start=self._start,
            rate=float(self._rate),
            visitor=VISITOR_SCRIPT,
            rules=RULES_FOLDER,
        )

    def prepare(
        self, environment: DemoEnvironment, recipients: Mapping[str, DemoMessage]
    ) -> Sequence[Mapping[str, Any]]:
        """Write the script of the phones and contacts."""
        for name in (SALES, SUPPORT):
            folder = environment.folder / "sessions" / name
            for each in (folder.parent, folder):  # `parents` would leave the first open to others
                each.mkdir(mode=0o700, exist_ok=True)
            _write_script(folder / _OWN_SCRIPT, build_phone_script(recipients))
        return [{"seed": seed} for seed in (7, 8)]

    def watch(self, events: EventPrinter) -> None:
        """Print nothing: nobody is there but the script."""

    def break_connection(self) -> None:
        """Break nothing: the script does."""


def build_phone_script(recipients: Mapping[str, DemoMessage]) -> dict[str, Any]:
    """Build the script of the simulated phones and contacts."""
    return {
        "scan_after": _SCAN_AFTER,
        "defaults": {"ack_delay": 0.5, "deliver_after": 1.0, "read_after": 2.5},
        "contacts": {
            recipients["asks"].phone: _reply(ANSWERS["asks"], after=4.0),
            recipients["opts out"].phone: _reply(ANSWERS["opts out"], after=6.0, from_lid=True),
            recipients["is not there"].phone: {"on_whatsapp": "no"},
        },
        # The connection breaks once, so that the demonstration can show how messages wait for it.
        "line": [{"at": _DROP_AFTER, "do": "disconnect", "session": SALES}],
    }


def _reply(text: str, **how: object) -> dict[str, Any]:
    return {"reply": {"text": text, **how}}


def _write_script(path: Path, script: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(script, ensure_ascii=False, indent=1), encoding="utf-8")


def find_next_working_day(now: datetime) -> datetime:
    """Return 14:00 UTC of the first coming day on which Argentina works."""
    # Not before tomorrow: events of the past would come before the daemon's own start.
    from holidays import country_holidays

    closed = country_holidays("AR")
    day = now.replace(hour=_OPENING_HOUR_UTC, minute=0, second=0, microsecond=0)
    day += timedelta(days=1)
    while day.weekday() >= _SATURDAY or day.date() in closed:
        day += timedelta(days=1)
    return day
