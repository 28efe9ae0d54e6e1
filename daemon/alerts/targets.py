"""The addresses that are notified, from their file, and how a text goes to each of them.

This runs in the program that tells people, and nowhere else: what it reads are secrets.
"""

from __future__ import annotations

import hashlib
import logging
import re
import stat
import threading
import tomllib
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, Queue
from time import monotonic
from typing import Any, Final
from urllib.error import HTTPError

import msgspec
from msgspec import Struct

from daemon.alerts.errors import INSTALL_COMMAND, AlertsUnavailable, AlertTargetsRejected
from daemon.alerts.requests import OutgoingNotice, TargetResult

SEND_SECONDS: Final = 25.0
"""All texts together: who is notified later than this is notified by the next attempt."""
ANSWER_SECONDS: Final = 15.0
"""What a target may take to answer: apprise's 4 s would send to a slow one again and again."""
PING_SECONDS: Final = 10.0
_MAX_TARGETS: Final = 16
_OTHERS_MODE_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
_STATUS: Final = re.compile(r"error[ =:]+(\d{3})\b")
_FINGERPRINT_DIGITS: Final = 12
_UNKNOWN_ADDRESS: Final = "It is not an address that apprise knows."


class TargetsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: addresses as apprise writes them, and an address to ask for while all is fine."""

    targets: tuple[str, ...] = ()
    ping: str = ""


class Target(Struct, frozen=True):
    """One address: a fingerprint of it, its place and kind, and what sends to it."""

    fingerprint: str
    name: str
    notify: Callable[[OutgoingNotice], str]
    """Sends a text; returns why it was not taken, empty where it was."""
    is_known: bool = True
    """Whether it is an address that apprise knows; where it is none, only its neighbours are."""


def read_targets_file(path: Path, *, is_credential: bool = False) -> TargetsFile:
    """Return what the file says, nothing where there is none; no error holds a part of an address.

    A credential is a copy that systemd guards, whatever its mode is.
    Raises :class:`AlertTargetsRejected`.
    """
    try:
        mode = path.stat().st_mode
        # What is no file is not read: a pipe would have nothing to say for ever.
        text = path.read_text("utf-8") if stat.S_ISREG(mode) else ""
    except FileNotFoundError:
        return TargetsFile()
    except OSError as error:
        raise AlertTargetsRejected(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise AlertTargetsRejected(f"{path} is not written in UTF-8.") from None
    if not stat.S_ISREG(mode):
        raise AlertTargetsRejected(f"{path} is not a regular file.")
    if mode & _OTHERS_MODE_BITS and not is_credential:
        raise AlertTargetsRejected(
            f"Others may read {path}, whose addresses are secrets.", hint=f"chmod 600 {path}"
        )
    try:
        found = msgspec.convert(tomllib.loads(text), TargetsFile)
    except tomllib.TOMLDecodeError as error:
        raise AlertTargetsRejected(f"{path} is not TOML: {_hide_values(str(error))}.") from None
    except msgspec.ValidationError as error:
        raise AlertTargetsRejected(f"{path} has a problem: {error}.") from None
    if len(found.targets) > _MAX_TARGETS:
        raise AlertTargetsRejected(f"{path} has more than {_MAX_TARGETS} targets.")
    if found.ping and not found.ping.startswith(("https://", "http://")):
        raise AlertTargetsRejected(f"{path}: ping must begin with https:// or http://.")
    return found


def _hide_values(text: str) -> str:
    """Return an error of the parser, of which only the place is certainly no secret."""
    place = re.search(r"at line \d+, column \d+", text)
    return place[0] if place else "at its end"


def load_targets(file: TargetsFile) -> list[Target]:
    """Return the targets; one with an address that is none takes nothing, and says so.

    Raises :class:`AlertsUnavailable` where the library is not installed.
    """
    if not file.targets:
        return []
    try:
        # Here and not above: it takes a second, and a ping needs none of it.
        import apprise  # noqa: PLC0415
    except ImportError as error:
        raise AlertsUnavailable(
            "Alerts need a library that is not installed: apprise.", hint=INSTALL_COMMAND
        ) from error
    asset = apprise.AppriseAsset(app_id="LeadMaster", secure_logging=True, async_mode=False)
    return [
        _build_target(
            place,
            address,
            apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True),
        )
        for place, address in enumerate(file.targets, 1)
    ]


def require_known_targets(targets: Sequence[Target], path: Path) -> None:
    """Raise :class:`AlertTargetsRejected` for the first address that is none."""
    for target in targets:
        if not target.is_known:
            raise AlertTargetsRejected(
                f"Target {target.name} in {path} is not an address that apprise knows.",
                hint="Such as ntfys://ntfy.sh/TOPIC; see docs/how-to/be-woken.md",
            )


def _build_target(place: int, address: str, plugin: Any) -> Target:  # noqa: ANN401 - no types there
    digest = hashlib.sha256(address.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
    if plugin is None:
        # The others are notified all the same.
        return Target(digest, str(place), lambda _notice: _UNKNOWN_ADDRESS, is_known=False)
    # Unless the address itself says how long (`rto=`).
    if plugin.socket_read_timeout == type(plugin).socket_read_timeout:
        plugin.socket_read_timeout = max(plugin.socket_read_timeout, ANSWER_SECONDS)
    return Target(digest, f"{place}, {plugin.service_name}", _build_notify(plugin))


def _build_notify(plugin: Any) -> Callable[[OutgoingNotice], str]:  # noqa: ANN401 - no types there
    """Return a function that sends a text through a plugin of apprise."""

    def notify(notice: OutgoingNotice) -> str:
        heard = _ReasonHandler()
        logger = logging.getLogger("apprise")
        logger.addHandler(heard)
        try:
            kind = "failure" if notice.urgent else "info"
            taken = plugin.notify(
                body=notice.text, title=notice.title, notify_type=kind, body_format="text"
            )
        except Exception:  # noqa: BLE001 - of a hundred plugins, whatever they raise
            return "Its plugin failed."
        finally:
            logger.removeHandler(heard)
        return "" if taken else heard.reason or "It could not be reached."

    return notify


class _ReasonHandler(logging.Handler):
    """Takes the status of an answer out of what apprise logs in this thread, and nothing else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line: it may hold an address, of which nothing is kept."""
        if record.thread == self._thread and (found := _STATUS.search(record.getMessage())):
            self.reason = f"It answered {found[1]}."


def send_notices(
    targets: Sequence[Target],
    notices: Sequence[OutgoingNotice],
    *,
    seconds: float = SEND_SECONDS,
) -> tuple[TargetResult, ...]:
    """Send every text to each target that has it not yet; each target in a thread of its own.

    A target that does not answer in time keeps nobody else waiting.
    """
    asked = {
        (target.fingerprint, notice.id): target
        for target in targets
        for notice in notices
        if target.fingerprint not in notice.notified
    }
    ended: Queue[TargetResult] = Queue()
    for target in targets:
        # Daemons: the process ends without waiting for one that hangs.
        arguments = (target, notices, ended)
        threading.Thread(target=_send_in_order, args=arguments, daemon=True).start()
    results: list[TargetResult] = []
    ends = monotonic() + seconds
    while len(results) < len(asked) and (left := ends - monotonic()) > 0:
        try:
            results.append(ended.get(timeout=left))
        except Empty:
            break
    known = {(each.fingerprint, each.notice) for each in results}
    late = f"It did not answer within {seconds:g} s."
    results += [
        TargetResult(key[1], key[0], target.name, late)
        for key, target in asked.items()
        if key not in known
    ]
    return tuple(results)


def _send_in_order(
    target: Target, notices: Sequence[OutgoingNotice], ended: Queue[TargetResult]
) -> None:
    for notice in notices:
        if target.fingerprint not in notice.notified:
            failure = target.notify(notice)
            ended.put(TargetResult(notice.id, target.fingerprint, target.name, failure))


def ping(address: str) -> str:
    """Ask for an address once; return why it did not answer, empty where it did."""
    request = urllib.request.Request(address, headers={"User-Agent": "LeadMaster"})  # noqa: S310 - read_targets_file lets nothing but http pass
    try:
        with urllib.request.urlopen(request, timeout=PING_SECONDS):  # noqa: S310 - as above
            return ""
    except HTTPError as error:
        return f"It answered {error.code}."
    except (OSError, ValueError):
        return "It could not be reached."
