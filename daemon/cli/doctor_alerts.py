"""The check of `leadmaster doctor` on the alerts: whether somebody would be notified."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from daemon.alerts.delivery import NO_TARGET_SENTENCE
from daemon.alerts.errors import AlertsUnavailable, AlertTargetsRejected
from daemon.cli.client import ControlClient
from daemon.cli.doctor_finding import DoctorFinding
from daemon.cli.doctor_machine import is_unit
from daemon.cli.time_format import format_time
from daemon.errors import LeadMasterError
from daemon.settings import Settings

_UNIT_TARGETS_FILE: Final = "/etc/leadmaster/secrets/alerts.toml"
_TEST: Final = "leadmaster alerts test"
_WHERE: Final = "Where they go: docs/how-to/be-woken.md"


def check_alerts(settings: Settings, client: ControlClient) -> Iterator[DoctorFinding]:
    """Check that somebody is notified when something is wrong, and that it last went out.

    The program that notifies reads its file for this, and sends nothing.
    """
    try:
        status = client.get("alerts", "status")
        client.get("alerts", "targets")
    except (AlertsUnavailable, AlertTargetsRejected) as error:
        yield DoctorFinding("alerts", ok=False, sentence=str(error), hint=error.hint, command=_TEST)
        return
    except (LeadMasterError, OSError):
        return  # said by the check of the daemon
    yield judge_alerts(status, settings)
    if (ping := status["ping"]) and ping["failure"]:
        sentence = f"The last ping did not arrive: {ping['failure']}"
        yield DoctorFinding("alerts", ok=True, sentence=sentence, warns=True, command=_TEST)


def _find_targets_file(settings: Settings) -> str:
    """Return the file that is read: under systemd by the alerts' unit, which hands it over."""
    if settings.alerts.socket or is_unit(settings):
        return _UNIT_TARGETS_FILE
    return str(settings.alert_targets)


def judge_alerts(status: Mapping[str, Any], settings: Settings) -> DoctorFinding:
    """Return the finding about the alerts; times are ISO 8601 in UTC, and so compare as texts."""
    succeeded, failed = status["last_success"] or "", status["last_failure"] or ""
    if status["failure"] == NO_TARGET_SENTENCE:
        return _judge_no_target(status, settings)
    if status["failure"]:
        # Some target took it where the last success is of the same notice.
        is_partial = bool(succeeded) and succeeded >= failed
        last = f"last one that did: {format_time(succeeded)}" if succeeded else "none ever did"
        what = "reach everybody" if is_partial else f"go out ({last})"
        return DoctorFinding(
            "alerts",
            ok=is_partial,
            sentence=f"The last alert did not {what}: {status['failure']}",
            hint=_WHERE,
            warns=True,
            command=_TEST,
        )
    if not succeeded:
        sentence = "No alert went out yet, so nobody knows whether one would."
        return DoctorFinding(
            "alerts", ok=True, sentence=sentence, hint=_WHERE, warns=True, command=_TEST
        )
    sentence = f"An alert last went out at {format_time(succeeded)}."
    return DoctorFinding("alerts", ok=True, sentence=sentence)


def _judge_no_target(status: Mapping[str, Any], settings: Settings) -> DoctorFinding:
    # Without a target a morning line is lost, and that is a choice; an alert is not, but by an
    # injected clock: nobody is woken by a demonstration.
    untold = f" Open alerts: {status['open']}." if status["open"] else ""
    return DoctorFinding(
        "alerts",
        ok=settings.clock.start is not None or not untold,
        sentence=NO_TARGET_SENTENCE + untold,
        hint=_WHERE,
        warns=True,
        command=f"editor {shlex.quote(_find_targets_file(settings))} && {_TEST}",
    )
