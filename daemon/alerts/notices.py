"""The texts that people get: of an alert, of its end, of the morning, of a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.alerts.conditions import SESSION_CODES, hide_numbers
from daemon.morning import LeavingToday, MorningReport
from daemon.sessions.status import SessionView
from statemachines.vocabulary import AlertCode
from storage.alerts import AlertRecord
from storage.morning import WaitingPeople

FINE, NEEDS_YOU = "✓", "▲"
_URGENT_FIRST: Final = (AlertCode.WRITES_REFUSED, AlertCode.HALT, *SESSION_CODES)


class Words(Protocol):
    """A language of the console."""

    def __call__(self, key: str, **values: object) -> str:
        """Return the word of a key."""
        ...

    def translate(self, sentence: str) -> str:
        """Return a sentence of the daemon in this language."""
        ...


class NoticeText(Struct, frozen=True):
    """What a person reads: a line, and what is under it."""

    title: str
    text: str


class NoticeWriter:
    """Writes texts in one language, with moments of one time zone."""

    def __init__(self, words: Words, zone: ZoneInfo) -> None:
        self._words = words
        self._zone = zone

    def write_begin(self, code: AlertCode, sentence: str, began_at: datetime) -> NoticeText:
        """Return the text for something that is wrong."""
        title = self._words("alert.title", what=self._words(f"alert.code.{code}"))
        text = self._words.translate(sentence)
        return NoticeText(title, f"{text}\n{self._words('alert.since', at=self._day(began_at))}")

    def write_end(
        self, code: AlertCode, sentence: str, began_at: datetime, ended_at: datetime
    ) -> NoticeText:
        """Return the text for something that is over."""
        title = self._words("alert.title_over", what=self._words(f"alert.code.{code}"))
        lasted = self._words("alert.lasted", began=self._day(began_at), ended=self._day(ended_at))
        return NoticeText(title, f"{lasted}\n{self._words.translate(sentence)}")

    def write_test(self, at: datetime) -> NoticeText:
        """Return the text of a test."""
        return NoticeText(
            self._words("alert.test_title"), self._words("alert.test_text", at=self._day(at))
        )

    def write_morning(
        self, report: MorningReport, alerts: Sequence[AlertRecord], views: Sequence[SessionView]
    ) -> NoticeText:
        """Return the morning line: the worst first, then phones, night, who waits, what leaves."""
        worst = sorted(alerts, key=_rank_alert)
        what = self._words(f"alert.code.{worst[0].code}" if worst else "report.fine")
        title = self._words("report.title", at=self._time(report.at), what=what)
        notified = {alert.subject for alert in alerts if alert.code in SESSION_CODES}
        lines = [
            *(f"{NEEDS_YOU} {self._words.translate(each.sentence)}" for each in worst),
            *self._describe_phones(report, [view for view in views if view.name not in notified]),
            self._describe_night(report),
            self._describe_waiting(report.waiting),
            self._describe_leaving(report.leaving),
        ]
        return NoticeText(title, "\n".join(lines))

    def _describe_phones(
        self, report: MorningReport, views: Sequence[SessionView]
    ) -> Iterator[str]:
        if not report.phones:
            yield f"{NEEDS_YOU} {self._words('report.no_phone')}"
        phones = {phone.session: phone for phone in report.phones}
        for view in views:
            if (phone := phones.get(view.name)) is not None:
                sentence = self._words.translate(hide_numbers(view.sentence))
                yield f"{FINE if phone.new_chats else NEEDS_YOU} {view.name}: {sentence}"

    def _describe_night(self, report: MorningReport) -> str:
        happened = [
            self._words(f"night.{each.kind}", n=each.count, name=hide_numbers(each.name))
            for each in report.troubles
        ]
        if not happened:
            return f"{FINE} {self._words('report.night_fine')}"
        return f"{NEEDS_YOU} {self._words('report.night', what=', '.join(happened))}"

    def _describe_waiting(self, waiting: WaitingPeople) -> str:
        if waiting.since is None:
            return f"{FINE} {self._words('report.nobody_waits')}"
        since = self._day(waiting.since)
        return f"{NEEDS_YOU} {self._words('report.waiting', n=waiting.count, at=since)}"

    def _describe_leaving(self, leaving: LeavingToday) -> str:
        if leaving.first_at is None:
            return f"{FINE} {self._words('report.nothing_leaves')}"
        first = self._time(leaving.first_at)
        return f"{FINE} {self._words('report.leaving', n=leaving.count, at=first)}"

    def _day(self, at: datetime) -> str:
        return f"{at.astimezone(self._zone):%d/%m %H:%M}"

    def _time(self, at: datetime) -> str:
        return f"{at.astimezone(self._zone):%H:%M}"


def _rank_alert(alert: AlertRecord) -> tuple[int, datetime]:
    codes = list(AlertCode)
    first = alert.code in _URGENT_FIRST
    rank = _URGENT_FIRST.index(alert.code) if first else len(codes) + codes.index(alert.code)
    return rank, alert.began_at
