"""The checks of `leadmaster doctor --linked`: what a linked phone needs, and its first hour."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from daemon import subprocesses
from daemon.cli.client import ControlClient
from daemon.cli.doctor_finding import DoctorFinding
from daemon.cli.doctor_service import look_from_worker
from daemon.errors import LeadMasterError
from daemon.settings import PacingSettings, Settings
from statemachines.vocabulary import BuiltinChannel

LIBRARY: Final = "neonize"
_LOAD_SECONDS: Final = 60.0
_LOAD_PROGRAM: Final = """\
import sys
from daemon.linked_worker.driver import DriverUnavailable
from daemon.linked_worker.neonize_driver.library import load_library
try:
    load_library()
except DriverUnavailable as reason:
    sys.exit(str(reason))
"""
"""In a process of its own: the daemon never loads the library, nor does the command line."""
_LAST_STATES: Final = frozenset(
    ("banned_temporarily", "blocked", "failed", "logged_out", "outdated", "replaced")
)


def run_linked_checks(settings: Settings, client: ControlClient) -> list[DoctorFinding]:
    """Return every finding, in the order in which problems should be solved."""
    return [
        *check_library(),
        *look_from_worker(),
        *check_budgets(settings.pacing),
        *check_phones(client),
        *list_what_to_watch(),
    ]


def check_library() -> Iterator[DoctorFinding]:
    """Check that the library is installed, is the version that is needed, and can be loaded."""
    try:
        installed = f"{LIBRARY} {version(LIBRARY)}"
    except PackageNotFoundError:
        installed = f"no {LIBRARY}"
    libc = " ".join(platform.libc_ver()) or "an unknown C library"
    versions = f"leadmaster {version('leadmaster')}, {installed}, {libc}"
    try:
        done = subprocesses.run_command([sys.executable, "-c", _LOAD_PROGRAM], _LOAD_SECONDS)
    except subprocess.TimeoutExpired:
        late = f"The library was not loaded within {_LOAD_SECONDS:g} s ({versions})."
        yield DoctorFinding("library", ok=False, sentence=late, command="uptime")
        return
    if done.returncode != 0:
        why = (done.stderr.strip() or "The library ended the process that loaded it.").splitlines()
        yield DoctorFinding(
            "library",
            ok=False,
            sentence=why[-1],
            hint=f"Here: {versions}",
            command="apt-get install leadmaster-linked libmagic1",
        )
        return
    yield DoctorFinding("library", ok=True, sentence=f"{versions}; the library can be loaded.")


def check_budgets(pacing: PacingSettings) -> Iterator[DoctorFinding]:
    """Check that a new number is not given more new chats than the product ships with."""
    shipped, chosen = PacingSettings().new_chats_first_week, pacing.new_chats_first_week
    sentence = f"At most {chosen} new chats in 24 h are begun automatically in a first week."
    if chosen <= shipped:
        yield DoctorFinding("budget", ok=True, sentence=sentence)
        return
    yield DoctorFinding(
        "budget",
        ok=True,
        sentence=sentence,
        hint=f"The shipped budget is {shipped}; set pacing.new_chats_first_week.",
        warns=True,
        command="editor /etc/leadmaster/leadmaster.toml",
    )


def check_phones(client: ControlClient) -> Iterator[DoctorFinding]:
    """Check that a daemon runs which could be halted, and the state of each linked phone."""
    try:
        halt = client.get("halt")["halt"]
        sessions = client.get("sessions")["items"]
    except (LeadMasterError, OSError) as error:
        hint = "leadmaster run; then: leadmaster halt REASON stops everything."
        yield DoctorFinding("stop", ok=True, sentence=str(error), hint=hint, warns=True)
        return
    if halt:
        sentence = "All sending is halted now; leadmaster resume REASON lifts it."
    else:
        sentence = "To stop everything at once, replies too: leadmaster halt REASON"
    yield DoctorFinding("stop", ok=True, sentence=sentence, warns=bool(halt))
    linked = [each for each in sessions if each["channel"] == BuiltinChannel.LINKED]
    if not linked:
        sentence = "No phone is linked yet: leadmaster sessions add NAME --channel linked"
        yield DoctorFinding("phone", ok=True, sentence=sentence)
    for session in linked:
        yield _judge_phone(session)


def _judge_phone(session: dict[str, Any]) -> DoctorFinding:
    name, state = session["name"], session["state"]
    well = state == "ready" and session["sending"] == "all"
    return DoctorFinding(
        "phone",
        ok=state not in _LAST_STATES,
        sentence=f"{name} is {state}, sending: {session['sending']}. {session['sentence']}",
        hint="" if well else "What to do: leadmaster sessions list",
        warns=not well,
    )


def list_what_to_watch() -> Iterator[DoctorFinding]:
    """Yield what a person looks at in the first hour of a phone."""
    for sentence in (
        "In the first hour, leave this open: leadmaster tail",
        "On the phone, Linked devices lists one LeadMaster for each session, and no other.",
        "Halt at the first of: a ban, replies only (463), replaced, blocked, degraded twice.",
        "To take a phone off: leadmaster sessions logout NAME, or Linked devices on the phone.",
    ):
        yield DoctorFinding("watch", ok=True, sentence=sentence)
