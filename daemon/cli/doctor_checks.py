"""The checks of `leadmaster doctor`: each yields findings about one part of the installation."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from daemon import subprocesses
from daemon.errors import LeadMasterError
from daemon.rulesets.active import ActiveRulesets
from daemon.settings import Settings
from rules.evaluator import BOTH_ENGINES
from storage.errors import StorageError
from storage.integrity import check_state_folder
from storage.migrations import MIGRATIONS
from storage.state_folder import StateFolder

MIN_FREE_BYTES: Final = 200 << 20
UNIT_FOLDERS: Final = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"))
_EARLIEST_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)  # the software is not older
_PRIVATE_PATTERNS: Final = (
    "*.db*",
    "*.anchor",
    "*.journal",
    "*.key",
    "*.sock",
    "sessions",
    "uploads",
)
_OTHERS_MODE: Final = 0o077
_VERIFY_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One result: whether it is ok, what was found, and what to do if it is not."""

    check: str
    ok: bool
    sentence: str
    hint: str = ""


def run_checks(settings: Settings) -> list[DoctorFinding]:
    """Return every finding, in the order in which problems should be solved."""
    return [finding for check in CHECKS for finding in check(settings)]


def check_versions(_settings: Settings) -> Iterator[DoctorFinding]:
    """Report the versions of LeadMaster and Python."""
    both = f"leadmaster {version('leadmaster')}, Python {platform.python_version()}"
    yield DoctorFinding("versions", ok=True, sentence=both)


def check_modes(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that only the daemon's user may read the state folder."""
    if not settings.state_dir.exists():
        sentence = f"{settings.state_dir} is not there yet; the first start makes it."
        yield DoctorFinding("modes", ok=True, sentence=sentence)
        return
    loose = [path for path in _private_paths(settings.state_dir) if _mode(path) & _OTHERS_MODE]
    yield from (
        DoctorFinding(
            "modes", ok=False, sentence=f"{path} is open to others.", hint=f"chmod go= {path}"
        )
        for path in loose
    )
    if not loose:
        sentence = f"{settings.state_dir} is open to the daemon only."
        yield DoctorFinding("modes", ok=True, sentence=sentence)


def _private_paths(folder: Path) -> list[Path]:
    """Return the paths that hold personal data or secrets; the settings are no secret."""
    return [folder, *(path for each in _PRIVATE_PATTERNS for path in sorted(folder.glob(each)))]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_database(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the database is ours, intact, of a known version, and no copy."""
    folder = StateFolder(settings.state_dir)
    try:
        anchor = check_state_folder(folder, MIGRATIONS)
    except StorageError as error:
        yield DoctorFinding("database", ok=False, sentence=error.sentence, hint=error.hint)
        return
    seen = f"{folder.database} is intact." if anchor else "There is no database yet."
    yield DoctorFinding("database", ok=True, sentence=seen)


def check_clock(_settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the machine's clock is plausible."""
    now = datetime.now(UTC)
    yield DoctorFinding(
        "clock",
        ok=now > _EARLIEST_TIME,
        sentence=f"The clock says {now:%Y-%m-%d %H:%M:%S} UTC.",
        hint="" if now > _EARLIEST_TIME else "Set the clock: budgets and quiet hours depend on it.",
    )


def check_disk(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the disk has enough free space."""
    # Before the first start the folder does not exist; its parent is on the same disk, most likely.
    free = shutil.disk_usage(_nearest_existing(settings.state_dir)).free
    yield DoctorFinding(
        "disk",
        ok=free > MIN_FREE_BYTES,
        sentence=f"{free >> 20} MB are free for {settings.state_dir}.",
        hint="" if free > MIN_FREE_BYTES else "Free some space: a full disk stops all sending.",
    )


def _nearest_existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def check_rules(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the shipped rules load, and report which engines evaluate them."""
    try:
        active = ActiveRulesets.load(settings.rules)
    except LeadMasterError as error:
        yield DoctorFinding("rules", ok=False, sentence=str(error), hint=error.hint)
        return
    seen = f"gate {active.gate.ruleset.hash[:12]}, score {active.score.ruleset.hash[:12]}"
    seen = f"Without your folder: {seen}, engine {active.gate.engine}."
    sentence = f"{seen} In force: leadmaster rules status."
    yield DoctorFinding("rules", ok=True, sentence=sentence)
    if active.gate.engine != BOTH_ENGINES:
        is_chosen = settings.rules.engines == "reference"
        why = (
            "the settings say so." if is_chosen else "durable-rules is not installed or not loaded."
        )
        yield DoctorFinding(
            "engine",
            ok=True,
            sentence=f"Only one rule engine is in use: {why}",
            hint="" if is_chosen else "Build it as systemd/README.md says, then start again.",
        )


def check_unit(_settings: Settings) -> Iterator[DoctorFinding]:
    """Check that systemd accepts the unit, where both are installed."""
    found = next(
        (path for each in UNIT_FOLDERS if (path := each / "leadmaster.service").exists()), None
    )
    tool = shutil.which("systemd-analyze")
    if found is None or tool is None:
        missing = "unit" if found is None else "systemd-analyze"
        yield DoctorFinding("unit", ok=True, sentence=f"There is no {missing} here to verify.")
        return
    done = subprocesses.run_command([tool, "verify", os.fspath(found)], _VERIFY_SECONDS)
    output = " ".join(done.stderr.split())
    yield DoctorFinding("unit", ok=done.returncode == 0, sentence=output or f"{found} is accepted.")


CHECKS: Final[tuple[Callable[[Settings], Iterator[DoctorFinding]], ...]] = (
    check_versions,
    check_modes,
    check_disk,
    check_clock,
    check_database,
    check_rules,
    check_unit,
)
