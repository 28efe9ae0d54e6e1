"""What is asked of the program that tells people, over its unit's socket or that of a child.

The daemon has no network, and never reads the addresses: they are the program's own.
"""

from __future__ import annotations

import sys
from typing import Final, TypeAlias

import msgspec

from daemon.alerts.errors import AlertsUnavailable
from daemon.errors import LeadMasterError
from daemon.settings import Settings
from daemon.worker_launcher import open_request_worker
from daemon.worker_protocol import Progress, WorkerFailed, WorkerProtocol, ask_worker

STALL_SECONDS: Final = 45.0
"""The program gives up a target earlier; this is for one that hangs itself."""
_MAX_LINE_BYTES: Final = 1 << 20


class OutgoingNotice(msgspec.Struct, frozen=True):
    """A text, and the fingerprints of the targets that have it already."""

    id: int
    title: str
    text: str
    urgent: bool
    notified: tuple[str, ...] = ()


class SendNotices(msgspec.Struct, frozen=True, tag="send"):
    """Send texts to every target, to each in this order."""

    notices: tuple[OutgoingNotice, ...]


class SendPing(msgspec.Struct, frozen=True, tag="ping"):
    """Ask for the ping's address once: who watches it then knows that we live."""


class CheckTargets(msgspec.Struct, frozen=True, tag="check"):
    """Read the file, and send nothing."""


AlertRequest: TypeAlias = SendNotices | SendPing | CheckTargets


class TargetResult(msgspec.Struct, frozen=True):
    """Whether a target took a notice; `failure` is a sentence, empty where it did.

    `target` is its place in the file and its kind, such as `1, ntfy`: its address is a secret.
    """

    notice: int
    fingerprint: str
    target: str
    failure: str = ""


class SendAnswer(msgspec.Struct, frozen=True, tag="sent"):
    """What became of each notice at each target; how many targets there are."""

    targets: int
    results: tuple[TargetResult, ...]


class PingAnswer(msgspec.Struct, frozen=True, tag="pinged"):
    """Whether there is an address to ping, and why it did not answer; empty where it did."""

    wanted: bool
    failure: str = ""


class CheckAnswer(msgspec.Struct, frozen=True, tag="checked"):
    """How many targets there are, and whether there is an address to ping."""

    targets: int
    has_ping: bool


class AlertRefusal(msgspec.Struct, frozen=True, tag="refusal"):
    """Why nothing was done: the code of the error, its sentence and hint."""

    code: str
    sentence: str
    hint: str


AlertAnswer: TypeAlias = SendAnswer | PingAnswer | CheckAnswer | AlertRefusal
PROTOCOL: Final[WorkerProtocol[AlertRequest, AlertAnswer, None, None]] = WorkerProtocol(
    request=AlertRequest, answer=AlertAnswer, max_line_bytes=_MAX_LINE_BYTES
)


async def ask_to_send(settings: Settings, notices: tuple[OutgoingNotice, ...]) -> SendAnswer:
    """Have notices sent. Raises the program's error, or :class:`AlertsUnavailable`."""
    if not _may_have_targets(settings):
        return SendAnswer(0, ())
    answer = await _ask(settings, SendNotices(notices))
    if not isinstance(answer, SendAnswer):
        raise AlertsUnavailable("The alerts' program answered what it was not asked.")
    return answer


async def ask_to_ping(settings: Settings) -> PingAnswer:
    """Have the ping's address asked for. Raises as :func:`ask_to_send` does."""
    if not _may_have_targets(settings):
        return PingAnswer(wanted=False)
    answer = await _ask(settings, SendPing())
    if not isinstance(answer, PingAnswer):
        raise AlertsUnavailable("The alerts' program answered what it was not asked.")
    return answer


async def ask_to_check(settings: Settings) -> CheckAnswer:
    """Have the file with the targets read, and nothing sent. Raises as :func:`ask_to_send` does."""
    if not _may_have_targets(settings):
        return CheckAnswer(0, has_ping=False)
    answer = await _ask(settings, CheckTargets())
    if not isinstance(answer, CheckAnswer):
        raise AlertsUnavailable("The alerts' program answered what it was not asked.")
    return answer


def _may_have_targets(settings: Settings) -> bool:
    """Return whether the program could know a target: a unit's file is not ours to see."""
    return bool(settings.alerts.socket) or settings.alert_targets.exists()


async def _ask(settings: Settings, request: AlertRequest) -> AlertAnswer:
    command = [sys.executable, "-m", "daemon.alerts.process", str(settings.alert_targets)]
    answer: AlertAnswer | None = None
    try:
        opened = open_request_worker(settings.alerts.socket, command, _MAX_LINE_BYTES)
        async with opened as pipes:
            asked = ask_worker(PROTOCOL, pipes, request, stall_seconds=STALL_SECONDS)
            async for message in asked:
                if not isinstance(message, Progress) and message.body is not None:
                    answer = message.body
    except (WorkerFailed, OSError) as error:
        if settings.alerts.socket and isinstance(error, FileNotFoundError | ConnectionRefusedError):
            raise AlertsUnavailable(
                "Nobody listens at the socket of the alerts' unit.",
                hint="On the server: systemctl enable --now leadmaster-alerts.socket",
            ) from error
        reason = (isinstance(error, WorkerFailed) and error.detail) or str(error)
        raise AlertsUnavailable(f"The alerts' program did not answer: {reason}.") from error
    if answer is None:
        raise AlertsUnavailable("The alerts' program said nothing.")
    if isinstance(answer, AlertRefusal):
        kind = LeadMasterError.registry.get(answer.code, AlertsUnavailable)
        raise kind(answer.sentence, hint=answer.hint)
    return answer
