"""The checks of `leadmaster doctor` on what an installation keeps: files, database, backups, rules.

Each yields findings about one part, whether a daemon runs or not.
"""

from __future__ import annotations

import platform
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeVar

import rules
from daemon.backup.status import (
    UNREADABLE_CODE,
    BackupConcern,
    find_last_copy,
    list_concerns,
    read_status,
)
from daemon.cli.doctor_finding import DoctorFinding
from daemon.errors import RulesRejected
from daemon.rulesets import rule_files
from daemon.rulesets.active import CompiledRulesets
from daemon.settings import Settings
from rules.evaluator import BOTH_ENGINES
from storage import do_not_call, history
from storage.errors import StorageError
from storage.integrity import (
    SQLITE_VERSION,
    check_state_folder,
    find_damage,
    read_database_file,
)
from storage.schema_steps import MIGRATIONS
from storage.state_folder import StateFolder
from storage.tx import Reader

T = TypeVar("T")

MAX_REGISTER_DAYS: Final = 30
"""The age after which the shipped rules ask for a newer do-not-call register."""
MAX_RESTORE_AGE: Final = timedelta(days=2)
"""A copy is made each day, and its restore is tested at once."""
_NO_HISTORY: Final = "Or say that there is none: leadmaster history none --reason WHY"
DATABASE_COMMANDS: Final[Mapping[str, str]] = {
    "database_cloned": "leadmaster doctor --adopt REASON",
    "database_newer": "apt-get install --only-upgrade leadmaster",
    "installation_moved": "leadmaster move revoke --reason WHY",
    "restore_unfinished": "leadmaster restore --finish",
}
"""What heals a database that is refused, by the error's code; for all others a restore."""
_WITHOUT_DAEMON: Final = ("leadmaster restore", "leadmaster doctor --adopt")
_PRIVATE_PATTERNS: Final = (
    "*.db*",
    "*.anchor",
    "*.journal",
    "*.key",
    "*.sock",
    "alerts.toml",
    "sessions",
    "uploads",
)
_OTHERS_MODE: Final = 0o077


def check_versions(_settings: Settings) -> Iterator[DoctorFinding]:
    """Report the versions of LeadMaster, Python and SQLite."""
    found = (
        f"leadmaster {version('leadmaster')}, Python {platform.python_version()},"
        f" SQLite {SQLITE_VERSION}"
    )
    yield DoctorFinding("versions", ok=True, sentence=found)


def check_modes(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that only the daemon's user may read the state folder, and only root the secrets."""
    if not settings.state_dir.exists():
        sentence = f"{settings.state_dir} is not there yet; the first start makes it."
        yield DoctorFinding("modes", ok=True, sentence=sentence)
        return
    loose = [path for path in _private_paths(settings) if _mode(path) & _OTHERS_MODE]
    yield from (
        DoctorFinding(
            "modes",
            ok=False,
            sentence=f"{path} is open to others.",
            command=f"chmod go= {shlex.quote(str(path))}",
        )
        for path in loose
    )
    if not loose:
        sentence = f"{settings.state_dir} is open to the daemon only."
        yield DoctorFinding("modes", ok=True, sentence=sentence)


def _private_paths(settings: Settings) -> list[Path]:
    """Return the paths that hold personal data or secrets; the settings are no secret."""
    folder = settings.state_dir
    secrets = [path for each in settings.backup.secrets if (path := Path(each)).exists()]
    found = (path for each in _PRIVATE_PATTERNS for path in sorted(folder.glob(each)))
    return [folder, *found, *secrets]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_database(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the database is ours, whole, of a known version, and no copy."""
    folder = StateFolder(settings.state_dir)
    try:
        anchor = check_state_folder(folder, MIGRATIONS)
        damage = read_database_file(folder, find_damage)
    except StorageError as error:
        command = _find_database_command(settings, error.code)
        yield DoctorFinding(
            "database",
            ok=False,
            sentence=error.sentence,
            hint=f"{error.hint} {require_stop(command)}".strip(),
            command=command,
        )
        return
    if damage:
        command = _find_database_command(settings, "database_corrupt")
        yield DoctorFinding(
            "database",
            ok=False,
            sentence=f"{folder.database} is damaged: {damage}.",
            hint=require_stop(command),
            command=command,
        )
        return
    seen = f"{folder.database} is intact." if anchor else "There is no database yet."
    yield DoctorFinding("database", ok=True, sentence=seen)


def require_stop(command: str) -> str:
    """Return the hint to stop the daemon before a command that needs that; else an empty one."""
    if command.startswith(_WITHOUT_DAEMON):
        return "Stop the daemon first: systemctl stop leadmaster"
    return ""


def _find_database_command(settings: Settings, code: str) -> str:
    folder = settings.state_dir
    if code == "database_read_only":
        return f"chmod -R u+rwX {shlex.quote(str(folder))}"
    last = find_last_copy(read_status(settings), datetime.now(UTC))
    newest = shlex.quote(str(settings.backup_dir / last.name)) if last else "FILE"
    return DATABASE_COMMANDS.get(code, f"leadmaster restore {newest} --reason WHY")


def check_history(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that a former system's history was imported, or that a person said there is none."""
    settled = _read_database(settings, history.is_history_settled)
    if settled is None:
        return
    sentence = (
        "What was sent before is known, or a person said that there was nothing."
        if settled
        else "What was sent before is not known: who said no then is written to again."
    )
    yield DoctorFinding(
        "history",
        ok=True,
        sentence=sentence,
        hint="" if settled else _NO_HISTORY,
        warns=not settled,
        command="" if settled else "leadmaster history import FILE",
    )


def check_backups(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that there is a late enough backup elsewhere, and that somebody has its key."""
    if settings.clock.start is not None or not settings.state_dir.exists():
        return
    now = datetime.now(UTC)
    status = read_status(settings)
    found = list_concerns(status, now, now)
    yield from map(_judge_concern, found)
    if not found and (last := find_last_copy(status, now)):
        sentence = f"The last backup is of {last.made_at:%Y-%m-%d %H:%M} UTC."
        yield DoctorFinding("backup", ok=True, sentence=sentence)
    if status.copies:
        yield _judge_tested_restore(status.last_tested_restore, now)


def _judge_concern(concern: BackupConcern) -> DoctorFinding:
    command = concern.hint.rpartition(": ")[2]
    is_command = command.startswith("leadmaster ")
    return DoctorFinding(
        "backup",
        ok=concern.code != UNREADABLE_CODE,
        sentence=concern.sentence,
        hint="" if concern.hint.startswith("leadmaster ") else concern.hint,
        warns=True,
        command=command if is_command else "editor /etc/leadmaster/leadmaster.toml",
    )


def _judge_tested_restore(tested_at: datetime | None, now: datetime) -> DoctorFinding:
    if tested_at is not None and now - tested_at <= MAX_RESTORE_AGE:
        sentence = f"A restore was last tested at {tested_at:%Y-%m-%d %H:%M} UTC."
        return DoctorFinding("restore", ok=True, sentence=sentence)
    when = "never" if tested_at is None else f"last at {tested_at:%Y-%m-%d %H:%M} UTC"
    return DoctorFinding(
        "restore",
        ok=True,
        sentence=f"A restore was tested {when}.",
        warns=True,
        command="leadmaster backup now",
    )


def check_registers(settings: Settings) -> Iterator[DoctorFinding]:
    """Check how old the do-not-call registers are that are in force."""
    found = _read_database(settings, do_not_call.list_registers_in_force)
    if found is None:
        return
    if not found:
        sentence = "No do-not-call register is in force; commercial messages go without one."
        yield DoctorFinding("register", ok=True, sentence=sentence)
    for register in found:
        age = max(0, (datetime.now(UTC).date() - register.dated).days)
        name = f"The do-not-call register of {register.country} is of {register.dated}"
        if age <= MAX_REGISTER_DAYS:
            yield DoctorFinding("register", ok=True, sentence=f"{name}, {age} days ago.")
            continue
        yield DoctorFinding(
            "register",
            ok=True,
            sentence=f"{name}, {age} days ago: the shipped rules let commercial messages to numbers"
            " of AR wait for a newer one.",
            warns=True,
            command="leadmaster do-not-call import FILE --dated YYYY-MM-DD"
            f" --country {register.country}",
        )


def _read_database(settings: Settings, query: Callable[[Reader], T]) -> T | None:
    """Return what a query reads; None without a database, or where its own check found it bad."""
    try:
        return read_database_file(StateFolder(settings.state_dir), query)
    except StorageError:
        return None


def check_rules(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the rule files load, your own too, and which engines evaluate them."""
    try:
        compiled = _compile_rules(settings)
    except (rules.RulesInvalid, RulesRejected, OSError) as error:
        yield DoctorFinding(
            "rules", ok=False, sentence=str(error), command="leadmaster rules check"
        )
        return
    gate, score = (each[:12] for each in compiled.hashes)
    sentence = f"The files are sound: gate {gate}, score {score}, engine {compiled.gate.engine}."
    yield DoctorFinding("rules", ok=True, sentence=f"{sentence} In force: leadmaster rules status.")
    if compiled.gate.engine != BOTH_ENGINES:
        is_chosen = settings.rules.engines == "reference"
        why = (
            "the settings say so." if is_chosen else "durable-rules is not installed or not loaded."
        )
        yield DoctorFinding(
            "engine",
            ok=True,
            sentence=f"Only one rule engine is in use: {why}",
            hint="" if is_chosen else "Build it as systemd/README.md says, then start again.",
            warns=not is_chosen,
            command="" if is_chosen else "apt-get install --reinstall leadmaster",
        )


def read_rule_hashes(settings: Settings) -> tuple[str, str] | None:
    """Return the hashes of gate and score by the files; None where they can't be loaded."""
    try:
        return _compile_rules(settings).hashes
    except (rules.RulesInvalid, RulesRejected, OSError):
        return None


def _compile_rules(settings: Settings) -> CompiledRulesets:
    files = rule_files.read_configured_files(settings.rules)
    return CompiledRulesets.compile_files(files, settings.rules)
