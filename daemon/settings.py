"""Reads leadmaster.toml and the environment into frozen settings; reports all problems at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_type_hints

import msgspec

from daemon import validation_errors
from daemon.errors import SettingsRejected

T = TypeVar("T")
_UNIT_STATE_DIR: Final = Path("/var/lib/leadmaster")
_MOST: Final = 500_000
"""No quantity may be more, in days either: dates begin 2,000 years ago."""
_NO_QUANTITIES: Final = frozenset({"simulated.seed"})
"""Numbers that nothing is reckoned with."""
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
NonNegativeInt = Annotated[int, msgspec.Meta(ge=0)]


class SettingsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class DaemonSettings(SettingsSection, frozen=True):
    """The process: where it keeps its data, and where it listens."""

    state_dir: str = "/var/lib/leadmaster"
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 3012
    open_to_network: bool = False
    """Listen on a `host` that other machines reach, although the daemon has no TLS of its own."""
    control_socket: str = ""
    """Empty: `control.sock` in the state folder."""
    time_zone: str = "America/Argentina/Buenos_Aires"
    default_region: Annotated[
        str, msgspec.Meta(pattern="^[A-Z]{2}$", description="two capital letters, such as AR")
    ] = "AR"
    restore_stagger_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.2
    drain_seconds: PositiveFloat = 20.0


class ClockSettings(SettingsSection, frozen=True):
    """An injected clock; refused where a session is not simulated, so for a manual one too."""

    start: datetime | None = None
    rate: PositiveFloat = 1.0

    @property
    def effective_rate(self) -> float:
        """The rate of the clock in use; 1 without a start, which is the machine's own clock."""
        return self.rate if self.start else 1.0


class PluginSettings(SettingsSection, frozen=True):
    """Which installed plugins are not loaded, by name; how long a call of one may take."""

    blocked: tuple[str, ...] = ()
    limit_seconds: PositiveFloat = 2.0


class RulesSettings(SettingsSection, frozen=True):
    """Where the rule files are, and which engines judge."""

    gate: tuple[str, ...] = ()
    """Files of the gate; empty: the shipped ones."""
    score: tuple[str, ...] = ()
    dir: str = "/etc/leadmaster/rules"
    """The operator's own files, which overrule those; a change there is checked, and goes live."""
    shadow: str = ""
    """A folder whose rules are evaluated beside the live ones, without effect; empty: none."""
    engines: Literal["both", "reference"] = "both"
    check_seconds: PositiveFloat = 20.0
    """How long checking a changed folder may take before it is given up."""


class PacingSettings(SettingsSection, frozen=True):
    """Budgets of a phone number over all channels, in rolling 24 hours unless it says more."""

    new_chats_first_week: NonNegativeInt = 3
    new_chats_to_day_30: NonNegativeInt = 5
    new_chats_later: NonNegativeInt = 10
    new_chat_gap_minutes: Annotated[float, msgspec.Meta(ge=0)] = 15.0
    manual_new_chats_first_month: NonNegativeInt = 8
    """First contacts by hand in one day of the number's time zone, in its first 30 days."""
    manual_new_chats_later: NonNegativeInt = 15
    manual_new_chats_24h_first_month: NonNegativeInt = 12
    """First contacts by hand in rolling 24 hours; the stricter of both counts."""
    manual_new_chats_24h_later: NonNegativeInt = 20
    messages_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 6
    number_checks: NonNegativeInt = 30
    number_check_min_age_days: NonNegativeInt = 14


class InboundSettings(SettingsSection, frozen=True):
    """How what contacts write is read."""

    phrases_file: str = ""
    """A file of your own phrases, which change the shipped lists; empty: none."""


class SessionSettings(SettingsSection, frozen=True):
    """How long a session waits before it goes on by itself, and how often it tries again."""

    start_seconds: PositiveFloat = 60.0
    """Until a channel shows a code or finds a login."""
    pairing_seconds: PositiveFloat = 60.0
    """Until a code that was scanned leads to a linked phone, and that to a connection."""
    connect_seconds: PositiveFloat = 120.0
    """Without a connection for so long, the channel's process is replaced."""
    sync_seconds: PositiveFloat = 10.0
    silence_seconds: PositiveFloat = 45.0
    """Without any sign of the platform for so long, nothing is sent until the next one."""
    degraded_seconds: PositiveFloat = 180.0
    """Without an answer for so long, the channel's process is replaced."""
    stream_error_seconds: PositiveFloat = 10.0
    stable_seconds: PositiveFloat = 60.0
    """Ready for so long, the next wait to reconnect is the shortest again."""
    backoff_seconds: PositiveFloat = 2.0
    """The first wait to reconnect; each is twice as long as the one before."""
    longest_backoff_seconds: PositiveFloat = 900.0
    refusal_retry_seconds: PositiveFloat = 900.0
    """Until the one retry after WhatsApp refused the connection."""
    crashes: Annotated[int, msgspec.Meta(ge=1)] = 5
    """So many ends of the channel's process within `crash_window_seconds` need a person."""
    crash_window_seconds: PositiveFloat = 600.0


class SendingSettings(SettingsSection, frozen=True):
    """Limits of one send and of one message's life."""

    answer_seconds: PositiveFloat = 90.0
    """How long one answer is waited for: the library of linked phones itself waits 75 s."""
    own_message_seconds: PositiveFloat = 20.0
    """How long the phone's report of what was typed there is waited for: only then does a receipt
    settle an unconfirmed message."""
    permit_minutes: PositiveFloat = 10.0
    manual_lease_minutes: PositiveFloat = 10.0
    approval_hours: PositiveFloat = 24.0
    reply_expires_hours: PositiveFloat = 24.0
    expires_days: PositiveFloat = 7.0
    retries: NonNegativeInt = 5
    longest_retry_hours: PositiveFloat = 24.0
    """The longest wait for a next attempt that a platform may ask for when it refuses a message."""
    gate_fault_retries: NonNegativeInt = 5
    opt_out_confirmation: str = ""
    """Text of the one confirmation after an opt-out; empty: none is sent."""
    share_question: Annotated[str, msgspec.Meta(min_length=1, pattern=r"\{client\}")] = (
        "¿Te puede escribir {client} por acá? Respondé sí o no."
    )
    """Text that asks whether a client may write to them; `{client}` becomes the client's name."""


class ValidationSettings(SettingsSection, frozen=True):
    """The technical validation of a prospect's number."""

    valid_days: Annotated[int, msgspec.Meta(ge=1)] = 90
    """How long a number counts as validated; a message from the contact renews it."""


class RetentionSettings(SettingsSection, frozen=True):
    """How long data is kept, in days."""

    events: Annotated[int, msgspec.Meta(ge=1)] = 30
    bodies: Annotated[int, msgspec.Meta(ge=1)] = 180
    never_contacted: Annotated[int, msgspec.Meta(ge=1)] = 90
    decision_facts: Annotated[int, msgspec.Meta(ge=1)] = 180
    strangers: Annotated[int, msgspec.Meta(ge=1)] = 30
    quarantine: Annotated[int, msgspec.Meta(ge=1)] = 30
    """Signals of channels that could not be stored."""
    uploads: Annotated[int, msgspec.Meta(ge=1)] = 7


class AuthSettings(SettingsSection, frozen=True):
    """Signing in: how long it lasts, and the address that people open."""

    public_url: str = ""
    """What people open, such as `https://leads.example.org`: sign-in links begin with it, and
    requests for another host are refused. Empty: the daemon's own address."""
    sign_in_idle_hours: PositiveFloat = 12.0
    """A browser that was not used for so long must sign in again."""
    sign_in_days: PositiveFloat = 7.0
    """A browser must sign in again after this, used or not."""
    token_days: PositiveFloat = 90.0
    """The longest life of a token, at most 365; a rotated key verifies for as long."""


class SimulatedSettings(SettingsSection, frozen=True):
    """The in-process WhatsApp of demo, training and tests."""

    seed: int = 1
    script: str = ""
    """A JSON file that says how contacts and connections behave; empty: all answer as hoped."""


class LinkedSettings(SettingsSection, frozen=True):
    """The channel of linked devices."""

    worker_socket: str = ""
    """The socket of a worker's systemd unit, such as `/run/leadmaster-linked/{slot}.sock`, where
    `{slot}` is the number that a session gets when it is added. Empty: workers are children of
    ours."""


class BackupSettings(SettingsSection, frozen=True):
    """Sealed copies of everything that a new server needs."""

    dir: str = ""
    """The folder of the sealed copies; empty: that of the backup's unit, or without one `copies` in
    the state folder."""
    target: str = ""
    """A second folder, on another disk, to which each sealed copy goes too; empty: none."""
    command: tuple[str, ...] = ()
    """A command of yours that takes the sealed copies elsewhere; it gets their folder as its last
    argument, after each copy and after each opt-out."""
    keep_days: Annotated[int, msgspec.Meta(ge=1)] = 14
    every_hours: PositiveFloat = 24.0
    linked_dir: str = ""
    """The folder of the linked phones' workers where they are systemd units; empty: the usual one,
    or without units the state folder."""
    secrets: tuple[str, ...] = (
        "/etc/leadmaster/secrets/jwt_secret",
        "/etc/leadmaster/secrets/alerts.toml",
    )
    """Secrets outside of the state folder, of those that are there."""
    socket: str = ""
    """The socket of the backup's systemd unit. Empty: it is a child process of the daemon."""


class AlertSettings(SettingsSection, frozen=True):
    """Who is woken when something is wrong, and when the morning line goes out."""

    targets_file: str = ""
    """The file with the addresses that are notified, which its owner alone may read; empty:
    `alerts.toml` in the state folder. The systemd unit that sends gets a file of its own."""
    language: Literal["en", "es"] = "en"
    morning: Annotated[
        str, msgspec.Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9])?$", description="such as 08:00")
    ] = "08:00"
    """When the morning line goes out, in the daemon's time zone; empty: never."""
    quiet: Annotated[
        str,
        msgspec.Meta(
            pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])?$",
            description="such as 22:00-07:00",
        ),
    ] = ""
    """Hours in the daemon's time zone at whose end notices go out, and not before; empty: none. A
    ban, a halt, the breaker, a disk that takes nothing and the morning line never wait."""
    review_hours: PositiveFloat = 4.0
    """What waits in the review for longer wakes somebody."""
    disconnected_minutes: PositiveFloat = 30.0
    """A session that should run, and has tried to connect for longer, wakes somebody."""
    ping_minutes: PositiveFloat = 5.0
    """How often the ping of the targets file is asked for, while all is fine."""
    socket: str = ""
    """The socket of the alerts' systemd unit. Empty: what sends is a child process of the
    daemon."""


class Settings(SettingsSection, frozen=True):
    """Everything an installation can set."""

    daemon: DaemonSettings = DaemonSettings()
    clock: ClockSettings = ClockSettings()
    plugins: PluginSettings = PluginSettings()
    rules: RulesSettings = RulesSettings()
    pacing: PacingSettings = PacingSettings()
    inbound: InboundSettings = InboundSettings()
    sessions: SessionSettings = SessionSettings()
    sending: SendingSettings = SendingSettings()
    validation: ValidationSettings = ValidationSettings()
    retention: RetentionSettings = RetentionSettings()
    auth: AuthSettings = AuthSettings()
    simulated: SimulatedSettings = SimulatedSettings()
    linked: LinkedSettings = LinkedSettings()
    backup: BackupSettings = BackupSettings()
    alerts: AlertSettings = AlertSettings()

    @property
    def state_dir(self) -> Path:
        """Return the folder that holds everything this installation keeps."""
        return Path(self.daemon.state_dir)

    @property
    def backup_dir(self) -> Path:
        """Return the folder of the sealed copies."""
        usual = self._find_unit_folder("leadmaster-backup")
        return Path(self.backup.dir or usual or self.state_dir / "copies")

    @property
    def linked_dir(self) -> Path | None:
        """Return the folder of the workers' units, None where there are none."""
        usual = self._find_unit_folder("private/leadmaster-linked")
        return Path(self.backup.linked_dir or usual) if self.backup.linked_dir or usual else None

    def _find_unit_folder(self, name: str) -> str:
        """Return the folder that systemd makes for a unit beside our own, '' where it did not."""
        # Beside the state folder of the shipped unit alone: another one is no installation of it.
        found = self.state_dir.parent / name
        is_there = os.path.isdir(found)  # noqa: PTH112 - False, too, for who may not look
        return str(found) if self.state_dir == _UNIT_STATE_DIR and is_there else ""

    @property
    def alert_targets(self) -> Path:
        """Return the file with the addresses that are notified when something is wrong."""
        return Path(self.alerts.targets_file or self.state_dir / "alerts.toml")

    @property
    def control_socket(self) -> Path:
        """Return the path of the unix control socket."""
        return Path(self.daemon.control_socket or self.state_dir / "control.sock")


def load_settings(path: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of the file, overruled by ``LEADMASTER_SECTION__KEY`` variables.

    Raises :class:`SettingsRejected` with every problem and its key path.
    """
    environ = os.environ if environment is None else environment
    tables: dict[str, Any] = _read_file(path) if path else {}
    problems: list[str] = []
    for name, section, key, value in _list_environment_settings(environ):
        if section not in Settings.__struct_fields__:
            problems.append(f"{name}: there is no section {section!r}")
            continue
        tables.setdefault(section, {})
        # A section that is no table is reported below, with the file's other problems.
        if isinstance(tables[section], dict):
            tables[section][key] = value
    sections: dict[str, Any] = {
        name: _convert_section(name, kind, tables.pop(name, {}), problems)
        for name, kind in get_type_hints(Settings).items()
        if name in Settings.__struct_fields__
    }
    problems += [f"{name}: there is no such section" for name in tables]
    if problems:
        raise SettingsRejected("The settings have problems: " + "; ".join(problems))
    return Settings(**sections)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsRejected(f"{path}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsRejected(f"{path}: not TOML: {error}") from error


def _list_environment_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for name, value in sorted(environ.items()):
        if name.startswith("LEADMASTER_") and "__" in name:
            section, key = name.removeprefix("LEADMASTER_").lower().split("__", 1)
            yield name, section, key, value


def _convert_section(name: str, kind: type[T], table: object, problems: list[str]) -> T | None:
    """Return a section from its table; append to `problems` what is wrong with each key."""
    if not isinstance(table, dict):
        problems.append(f"{name}: must be a table")
        return None
    # Key by key: msgspec would stop at the first problem of the whole table.
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            problems.append(f"{name}.{key}: there is no such setting")
            continue
        items = value if isinstance(value, list) else [value]
        if any("\0" in str(item) for item in items):  # of a path, each use of it would fail
            problems.append(f"{name}.{key}: holds the character NUL")
            continue
        try:
            # An environment variable is always a text: lax conversion takes "8" for a number.
            found = msgspec.convert(value, hints[key], strict=not isinstance(value, str))
        except msgspec.ValidationError as error:
            problems.append(
                validation_errors.format_field_error(f"{name}.{key}", error, hints[key])
            )
            continue
        bounded = isinstance(found, int | float) and f"{name}.{key}" not in _NO_QUANTITIES
        if bounded and not abs(found) <= _MOST:  # TOML has nan, too
            problems.append(f"{name}.{key}: must be a number up to {_MOST:,}")
        values[key] = found
    return kind(**values)
