"""The four lines of the morning as Today shows them: a mark, a few words, and where they lead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from daemon.api.numbers import mask_phone
from daemon.auth.identity import Scope
from daemon.http.console.layout import PageContext
from daemon.morning import LeavingToday, MorningPhone, MorningReport
from daemon.severity import CONNECTION_SEVERITY, Severity
from storage.morning import NightTrouble, NightTroubleKind, WaitingPeople

_TROUBLE_PAGES: Final = {
    NightTroubleKind.EXPIRED: "/messages?state=expired,failed,in_doubt",
    NightTroubleKind.FAILED: "/messages?state=expired,failed,in_doubt",
    NightTroubleKind.IN_DOUBT: "/review/unconfirmed",
    NightTroubleKind.BANNED: "/sessions",
    NightTroubleKind.NEW_CHATS_STOPPED: "/sessions",
    NightTroubleKind.QUARANTINED: "/quarantine",
    NightTroubleKind.BACKUP: "",
}
_NO_TROUBLE: Final = "/messages"


class MorningLine(Struct, frozen=True):
    """One line: `key` is that of its name, `path` the page of its work, empty where none is."""

    key: str
    severity: Severity
    text: str
    path: str


def build_morning_lines(report: MorningReport, page: PageContext) -> list[MorningLine]:
    """Return the lines that a reader may see."""
    phones = _build_phones(report.phones, page)
    if not page.may(Scope.MESSAGES_READ):
        return [phones]
    return [
        phones,
        _build_night(report.troubles, page),
        _build_waiting(report.waiting, page),
        _build_leaving(report, page),
    ]


def _build_phones(phones: Sequence[MorningPhone], page: PageContext) -> MorningLine:
    if not phones:
        return MorningLine("phones", Severity.OFF, page.words("morning.no_phone"), "/sessions")
    at = page.time_of_day(page.now)
    others = [each for each in phones if not each.can_send]
    if not others and len(phones) > 1:
        text = page.words("morning.phones_ready", n=len(phones), at=at)
        return MorningLine("phones", Severity.READY, text, "/sessions")
    if not others:
        text = page.words("morning.phone_ready", session=phones[0].session, at=at)
        return MorningLine("phones", Severity.READY, text, f"/sessions/{phones[0].session}")
    text = " · ".join(_format_phone(each, page) for each in others)
    level = max((CONNECTION_SEVERITY[each.state] for each in others), key=_rank)
    path = f"/sessions/{others[0].session}" if len(others) == 1 else "/sessions"
    return MorningLine("phones", level, text, path)


def _rank(level: Severity) -> int:
    """Return how bad a phone's state is, among those in which it can't send."""
    return (Severity.OFF, Severity.WAITING, Severity.NEEDS_YOU, Severity.STOPPED).index(level)


def _format_phone(phone: MorningPhone, page: PageContext) -> str:
    state = page.words(f"connection.{phone.state}")
    since = page.near_day(phone.since)
    return page.words(
        "morning.phone_other", session=phone.session, state=state[:1].lower() + state[1:], at=since
    )


def _build_night(troubles: Sequence[NightTrouble], page: PageContext) -> MorningLine:
    if not troubles:
        text = page.words("morning.quiet_night")
        return MorningLine("night", Severity.READY, text, _NO_TROUBLE)
    text = ", ".join(
        page.words(f"night.{each.kind}", n=each.count, name=_mask_name(each.name))
        for each in troubles
    )
    return MorningLine("night", Severity.NEEDS_YOU, text, _TROUBLE_PAGES[troubles[0].kind])


def _mask_name(name: str) -> str:
    """Return a name; of somebody without one the number, masked as everywhere."""
    return mask_phone(name) if name.startswith("+") else name


def _build_waiting(waiting: WaitingPeople, page: PageContext) -> MorningLine:
    if waiting.since is None:
        return MorningLine("waiting", Severity.READY, page.words("morning.nobody"), "/chats")
    since = page.near_day(waiting.since)
    text = page.words("morning.people", n=waiting.count, at=since)
    # Straight into the box of whoever waits longest, where the reader may open a chat.
    whole = page.may(Scope.PROSPECTS_READ)
    path = f"/chats/{waiting.contact}#chat-text" if whole else "/chats"
    return MorningLine("waiting", Severity.NEEDS_YOU, text, path)


def _build_leaving(report: MorningReport, page: PageContext) -> MorningLine:
    path = "/messages?state=cleared,deferred"
    if report.halted and not report.leaving.count:
        text = page.words("morning.halted")
        return MorningLine("leaving", Severity.STOPPED, text, path)
    return MorningLine("leaving", Severity.READY, _format_leaving(report.leaving, page), path)


def _format_leaving(leaving: LeavingToday, page: PageContext) -> str:
    if leaving.first_at is None:
        return page.words("morning.nothing_leaves")
    if leaving.first_at <= page.now:
        return page.words("morning.leaves_now", n=leaving.count)
    return page.words("morning.leaves", n=leaving.count, at=page.time_of_day(leaving.first_at))
