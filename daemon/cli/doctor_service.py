"""All checks of `leadmaster doctor`, and those on the running service: daemon, proxy, channels."""

from __future__ import annotations

import json
import shlex
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from daemon.backup.status import UNREADABLE_CODE
from daemon.cli import doctor_alerts, doctor_checks, doctor_machine
from daemon.cli.client import ControlClient
from daemon.cli.doctor_checks import DATABASE_COMMANDS, require_stop
from daemon.cli.doctor_finding import DoctorFinding
from daemon.cli.doctor_machine import is_unit
from daemon.cli.worker_sandbox import (
    WORKER_UNIT,
    has_worker_unit,
    run_in_worker_sandbox,
)
from daemon.errors import LeadMasterError, NotRunning
from daemon.settings import Settings
from statemachines.vocabulary import BuiltinChannel

PROXY_CONFIG: Final = "/etc/nginx/sites-available/leadmaster"
SHIPPED_PROXY_CONFIG: Final = "/usr/share/leadmaster/nginx/leadmaster.conf"
_CONNECT_SECONDS: Final = 10.0
_SANDBOX_SECONDS: Final = 60.0
_OK: Final = 200
_LIE: Final = "203.0.113.7"
"""An address that is nobody's: a proxy that passes on what clients write passes it on too."""
_PROXY_COMMAND: Final = f"diff {SHIPPED_PROXY_CONFIG} {PROXY_CONFIG}"
_RELOAD_HINT: Final = "Mend what differs from the shipped file; then: systemctl reload nginx"
_CHECKED_ELSEWHERE: Final = ("alerts_failed", "backup_", "history_unknown", "one_engine")
"""The begin of the daemon's warnings that another check here finds by itself."""
_RESTART: Final = "systemctl restart leadmaster"
_FREE_SPACE: Final = "journalctl --vacuum-size=100M && apt-get clean"
_READ_LOG: Final = "journalctl --unit leadmaster --since -1h"
_READ_KERNEL_LOG: Final = "journalctl --dmesg --priority err"
_RESTORE: Final = "leadmaster restore --help"
_WAIT: Final = "leadmaster status --wait"
_COMMANDS: Final[Mapping[str, str]] = {
    # What the daemon does.
    **dict.fromkeys(("closing", "migrations", "rules", "sockets", "unavailable"), _WAIT),
    **dict.fromkeys(("loop", "outbox", "writer"), _RESTART),
    **dict.fromkeys(("internal", "job_aborted", "storage"), _READ_LOG),
    "not_allowed": "sudo leadmaster doctor",
    # The disk and the database.
    **DATABASE_COMMANDS,
    **dict.fromkeys(("disk_full", "halt_not_stored"), _FREE_SPACE),
    **dict.fromkeys(("database_read_only", "io", "write_failed"), _READ_KERNEL_LOG),
    **dict.fromkeys(("database_corrupt", "database_damaged", "database_foreign"), _RESTORE),
    **dict.fromkeys(("database_missing", "database_outdated", "database_refused"), _RESTORE),
    "database_in_use": "systemctl status leadmaster",
    "database_replaced": "leadmaster doctor --adopt REASON",
    "suppression_key_lost": _RESTORE,
    "closed": _RESTART,
    # Sessions and their numbers.
    "session_stopped": "leadmaster sessions start {session}",
    "session_unlinked": "leadmaster sessions start {session} && leadmaster sessions qr {session}",
    **dict.fromkeys(
        ("session_qr_expired", "session_logged_out"),
        "leadmaster sessions restart {session} && leadmaster sessions qr {session}",
    ),
    "session_replaced": "leadmaster sessions restart {session}",
    "session_banned_temporarily": "leadmaster sessions acknowledge {session}"
    " && leadmaster sessions start {session}",
    "session_blocked": "leadmaster sessions acknowledge {session}",
    "session_outdated": "apt-get install --only-upgrade leadmaster"
    " && leadmaster sessions restart {session}",
    "session_failed": "leadmaster sessions list && leadmaster sessions restart {session}",
    "session_deleted": "leadmaster queue list && leadmaster queue cancel MESSAGE --reason WHY",
    "session_reply_only": "leadmaster sessions list",
    "number_banned": "leadmaster sessions acknowledge {session}",
    "new_chats_stopped": "leadmaster budgets list && leadmaster budgets resume PHONE REASON",
    **dict.fromkeys(("reply_only_after_ban", "other_number_banned"), "leadmaster bans list"),
    # What a person should look at.
    UNREADABLE_CODE: "leadmaster backup now",
    "budget_not_decided": "leadmaster budgets decide --help",
    "expiring": "leadmaster review list",
    "quarantine": "leadmaster quarantine list",
}
"""What heals a blocker, a warning or an error of the status, or shows more of it, by its code.

A code that is not here is a later daemon's, of which no command would be the right one.
"""


def run_checks(settings: Settings, client: ControlClient) -> list[DoctorFinding]:
    """Return every finding, in the order in which problems should be solved."""
    of_files = (
        doctor_checks.check_versions,
        doctor_checks.check_modes,
        doctor_machine.check_disk,
        doctor_machine.check_memory,
        doctor_machine.check_clock,
        doctor_checks.check_database,
        doctor_checks.check_history,
        doctor_checks.check_backups,
        doctor_checks.check_registers,
        doctor_checks.check_rules,
        doctor_machine.check_units,
    )
    of_service = (check_daemon, check_proxy, check_reach, doctor_alerts.check_alerts)
    return [
        *(finding for check in of_files for finding in check(settings)),
        *(finding for check in of_service for finding in check(settings, client)),
    ]


def check_daemon(settings: Settings, client: ControlClient) -> Iterator[DoctorFinding]:
    """Check that the daemon runs, in the installed version, and what it says is in its way."""
    try:
        status = client.get("status")
    except (LeadMasterError, OSError) as error:
        yield judge_error(error, settings)
        return
    yield from judge_status(status)
    yield from compare_rules(status["rules"], settings)


def judge_error(error: LeadMasterError | OSError, settings: Settings) -> DoctorFinding:
    """Return the finding about a status that was not answered."""
    if isinstance(error, NotRunning | OSError):
        command = "systemctl start leadmaster" if is_unit(settings) else "leadmaster run"
        return DoctorFinding("daemon", ok=False, sentence=str(error), command=command)
    code = str(error.to_problem()["code"])
    return _build_finding(code, str(error), hint=error.hint)


def judge_status(status: Mapping[str, Any]) -> Iterator[DoctorFinding]:
    """Yield the version that runs, and what is in its way or needs a person."""
    yield _judge_version(status["version"])
    for blocker in status["blockers"]:
        yield _build_finding(blocker["code"], blocker["sentence"], session=blocker["session"])
    for warning in status["warnings"]:
        if not _is_checked_elsewhere(warning["code"]):
            # Root may read what the daemon can't, so that no other check here finds it.
            warns = warning["code"] != UNREADABLE_CODE
            yield _build_finding(warning["code"], warning["sentence"], warns=warns)
    if halt := status["halt"]:
        what = "Only replies go" if halt["replies_go"] else "Sending is halted"
        sentence = f"{what}: {halt['reason']}"
        command = "leadmaster resume REASON"
        yield DoctorFinding("daemon", ok=True, sentence=sentence, warns=True, command=command)
    yield from _judge_rules(status["rules"])


def _is_checked_elsewhere(code: str) -> bool:
    return code.startswith(_CHECKED_ELSEWHERE) and code != UNREADABLE_CODE


def _build_finding(
    code: str, sentence: str, *, hint: str = "", session: str | None = None, warns: bool = False
) -> DoctorFinding:
    command = _COMMANDS.get(code, "").format(session=shlex.quote(session or "SESSION"))
    return DoctorFinding(
        "daemon",
        ok=warns,
        sentence=sentence,
        hint=require_stop(command) or hint,
        warns=warns,
        command=command,
    )


def _judge_version(running: str) -> DoctorFinding:
    installed = version("leadmaster")
    if running == installed:
        return DoctorFinding("daemon", ok=True, sentence=f"It runs, in version {running}.")
    return DoctorFinding(
        "daemon",
        ok=False,
        sentence=f"Version {running} runs, and {installed} is installed.",
        command="systemctl restart leadmaster",
    )


def _judge_rules(rules: Mapping[str, Any]) -> Iterator[DoctorFinding]:
    if waiting := rules["waiting"]:
        yield DoctorFinding(
            "rules",
            ok=True,
            sentence=f"The rules {waiting[:12]} wait for a person, and are not in force.",
            warns=True,
            command="leadmaster rules status",
        )


def compare_rules(live: Mapping[str, Any], settings: Settings) -> Iterator[DoctorFinding]:
    """Compare the rules in force with the files; that some wait or are faulty is said elsewhere."""
    if live["waiting"] or live["problems"]:
        return
    hashes = doctor_checks.read_rule_hashes(settings)
    if hashes is not None and hashes != (live["gate"], live["score"]):
        yield DoctorFinding(
            "rules",
            ok=True,
            sentence="The rules in the files are not those in force: they were saved a moment ago, "
            "or could not be loaded.",
            warns=True,
            command="leadmaster rules reload",
        )


def check_proxy(settings: Settings, _client: ControlClient) -> Iterator[DoctorFinding]:
    """Check what the daemon sees of a client that comes through the proxy, at its public address.

    A proxy that hides TLS or the client's address breaks signing in and the limit on guessing; one
    that passes on what the client wrote lets everybody be anybody.
    """
    if not (url := settings.auth.public_url):
        sentence = "No proxy is expected: public_url under [auth] is empty."
        yield DoctorFinding("proxy", ok=True, sentence=sentence)
        return
    try:
        status, seen, ours = _ask_health(url)
    except ssl.SSLCertVerificationError as error:
        yield DoctorFinding(
            "proxy",
            ok=False,
            sentence=f"{url} has no certificate that is trusted here: {error.verify_message}.",
            command=f"openssl s_client -connect {_get_address(url)} -brief",
        )
        return
    except (OSError, HTTPException, ValueError) as error:
        yield DoctorFinding(
            "proxy",
            ok=False,
            sentence=f"{url} can't be reached from here: {str(error) or 'no answer'}.",
            command="nginx -t && systemctl restart nginx",
        )
        return
    if problem := _find_proxy_problem(status, seen, ours):
        yield DoctorFinding(
            "proxy", ok=False, sentence=problem, hint=_RELOAD_HINT, command=_PROXY_COMMAND
        )
        return
    sentence = f"Through {url} this machine is seen as {seen['client']['address']}, over https."
    yield DoctorFinding("proxy", ok=True, sentence=sentence)


def _get_address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 443}"


def _ask_health(url: str) -> tuple[int, Mapping[str, Any], str]:
    """Return status and document of `/health` at an address, and our own end of the connection."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    connection: HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = HTTPSConnection(
            parts.hostname, parts.port, timeout=_CONNECT_SECONDS, context=context
        )
    else:
        connection = HTTPConnection(parts.hostname, parts.port, timeout=_CONNECT_SECONDS)
    try:
        connection.connect()
        ours = str(connection.sock.getsockname()[0])
        connection.request("GET", "/health", headers={"X-Forwarded-For": _LIE})
        answer = connection.getresponse()
        text = answer.read(1 << 16)
    finally:
        connection.close()
    # What is no daemon of ours may answer anything.
    document = json.loads(text) if answer.status == _OK else {}
    return answer.status, document if isinstance(document, dict) else {}, ours


def _find_proxy_problem(status: int, seen: Mapping[str, Any], ours: str) -> str:
    """Return what is wrong with what the daemon saw; empty where nothing is."""
    if status != _OK or "client" not in seen:
        return f"The proxy answers /health with {status}, and not as LeadMaster does."
    address, is_https = seen["client"]["address"], seen["client"]["https"]
    if address == _LIE:
        return "The proxy passes on what a client writes into X-Forwarded-For."
    if not is_https:
        return "The proxy does not say X-Forwarded-Proto: https, so nobody can sign in."
    if ip_address(address).is_loopback and not ip_address(ours).is_loopback:
        return "The proxy does not say X-Forwarded-For, so all clients are one."
    return ""


def check_reach(_settings: Settings, client: ControlClient) -> Iterator[DoctorFinding]:
    """Check that the channels in use reach their platform, from where they run."""
    try:
        sessions = client.get("sessions")["items"]
    except (LeadMasterError, OSError):
        return  # said by the check of the daemon
    used = sorted({each["channel"] for each in sessions})
    if BuiltinChannel.LINKED in used:
        yield from look_from_worker()
    elif used:
        sentence = f"No channel in use needs the internet: {', '.join(used)}."
        yield DoctorFinding("reach", ok=True, sentence=sentence)
    else:
        yield DoctorFinding("reach", ok=True, sentence="There is no session yet.")


def look_from_worker() -> Iterator[DoctorFinding]:
    """Check the way to WhatsApp from the sandbox of a linked phone's worker."""
    try:
        done = run_in_worker_sandbox("daemon.cli.whatsapp_probe", _SANDBOX_SECONDS)
    except subprocess.TimeoutExpired:
        sentence = f"WhatsApp was not asked within {_SANDBOX_SECONDS:g} s."
        yield DoctorFinding("reach", ok=False, sentence=sentence, command="uptime")
        return
    except OSError as error:
        yield _build_sandbox_finding(error.strerror or str(error), "sudo leadmaster doctor")
        return
    try:
        found = [DoctorFinding(**each) for each in json.loads(done.stdout)]
    except (ValueError, TypeError):
        why = (done.stderr.strip() or f"it ended with status {done.returncode}").splitlines()[-1]
        yield _build_sandbox_finding(why, f"systemctl cat {WORKER_UNIT}")
        return
    if has_worker_unit():
        sentence = f"Looked from the sandbox of {WORKER_UNIT}."
        yield DoctorFinding("sandbox", ok=True, sentence=sentence)
    yield from found


def _build_sandbox_finding(why: str, command: str) -> DoctorFinding:
    sentence = f"Nothing could be started in the sandbox of a worker: {why}"
    return DoctorFinding("sandbox", ok=False, sentence=sentence, command=command)
