"""The places of the console with their tabs, and the badges that count what waits for a person."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from daemon.auth.identity import Scope
from daemon.chats.reading import CHAT_TABS
from daemon.services import Services
from daemon.severity import Severity, get_session_severity
from storage import campaigns
from storage.delivery_queries import count_disputed_rows
from storage.review_queries import ReviewCounts, read_review_counts
from storage.tx import Reader
from storage.waiting import count_waiting


class PlaceTab(Struct, frozen=True):
    """One page of a place: `key` is that of its name; `letter` leads to it after g, if any."""

    key: str
    path: str
    scope: Scope
    letter: str = ""


class Place(Struct, frozen=True):
    """One entry of the navigation: `key` names word and icon, `letter` is its shortcut after g."""

    key: str
    letter: str
    tabs: tuple[PlaceTab, ...]


class NavigationEntry(Struct, frozen=True):
    """A place as one reader sees it: it leads to the first tab that they may open."""

    key: str
    letter: str
    path: str


PLACES: Final = (
    Place("today", "t", (PlaceTab("today", "/", Scope.SESSIONS_READ),)),
    Place(
        "chats",
        "b",
        (
            *(PlaceTab(key, f"/chats?tab={key}", Scope.MESSAGES_READ) for key in CHAT_TABS),
            PlaceTab("messages", "/messages", Scope.MESSAGES_READ, "m"),
        ),
    ),
    Place(
        "review",
        "r",
        (
            PlaceTab("approvals", "/review", Scope.MESSAGES_READ),
            PlaceTab("meanings", "/review/meanings", Scope.PROSPECTS_READ),
            PlaceTab("manual", "/manual", Scope.MESSAGES_READ, "h"),
            PlaceTab("numbers", "/review/numbers", Scope.PROSPECTS_READ),
            PlaceTab("unconfirmed", "/review/unconfirmed", Scope.MESSAGES_READ),
        ),
    ),
    Place(
        "prospects",
        "p",
        (
            PlaceTab("people", "/prospects", Scope.PROSPECTS_READ),
            PlaceTab("imports", "/prospects/import", Scope.PROSPECTS_WRITE),
            PlaceTab("history", "/prospects/import/history", Scope.PROSPECTS_WRITE),
            PlaceTab("invites", "/invites", Scope.PROSPECTS_READ),
        ),
    ),
    Place(
        "campaigns",
        "c",
        (
            PlaceTab("campaigns", "/campaigns", Scope.CAMPAIGNS_READ),
            PlaceTab("texts", "/texts", Scope.MESSAGES_READ),
        ),
    ),
    Place("deliveries", "e", (PlaceTab("deliveries", "/deliveries", Scope.PROSPECTS_READ),)),
    Place("sessions", "s", (PlaceTab("phones", "/sessions", Scope.SESSIONS_READ),)),
    Place(
        "settings",
        "a",
        (
            PlaceTab("rules", "/rules", Scope.RULES_READ, "u"),
            PlaceTab("users", "/users", Scope.ADMIN),
            PlaceTab("tokens", "/tokens", Scope.ADMIN),
            PlaceTab("budgets", "/budgets", Scope.SESSIONS_READ),
            PlaceTab("backups", "/backups", Scope.SESSIONS_READ),
            PlaceTab("alerts", "/alerts", Scope.SESSIONS_READ),
            PlaceTab("personal_data", "/personal-data", Scope.PROSPECTS_READ),
            PlaceTab("phases", "/phases", Scope.SESSIONS_READ),
            PlaceTab("audit", "/audit", Scope.ADMIN),
        ),
    ),
)
"""The navigation, in order; on a phone the first four are at the bottom of the screen.

"""
PHONE_ENTRIES: Final = 4
_WANTS_A_PERSON: Final = frozenset({Severity.STOPPED, Severity.NEEDS_YOU})


def list_tabs(place: str, scopes: Collection[str]) -> list[PlaceTab]:
    """Return the tabs of a place that a reader with these rights may open."""
    return [tab for each in PLACES if each.key == place for tab in each.tabs if tab.scope in scopes]


def list_entries(scopes: Collection[str]) -> list[NavigationEntry]:
    """Return the places of which a reader may open something."""
    found = [(place, list_tabs(place.key, scopes)) for place in PLACES]
    # The first tab of a place is the place itself: no address of it needs to name the tab.
    return [
        NavigationEntry(place.key, place.letter, tabs[0].path.partition("?")[0])
        for place, tabs in found
        if tabs
    ]


def list_shortcuts(scopes: Collection[str]) -> dict[str, str]:
    """Return the path that g and each letter lead to."""
    entries = {entry.letter: entry.path for entry in list_entries(scopes)}
    tabs = (tab for place in PLACES for tab in list_tabs(place.key, scopes) if tab.letter)
    return entries | {tab.letter: tab.path for tab in tabs}


def find_place(page: str) -> str:
    """Return the key of the place that a page belongs to; `page` is its key, or that of a tab."""
    for place in PLACES:
        if page == place.key or any(page == tab.key for tab in place.tabs):
            return place.key
    return ""


class Badges(Struct, frozen=True):
    """How much waits for a person in each place.

    `campaigns` counts those that the breaker paused, `deliveries` open disputes, `sessions` phones
    that can't send; `settings` rules to accept, and what is wrong with the backups.
    """

    chats: int = 0
    review: int = 0
    campaigns: int = 0
    deliveries: int = 0
    sessions: int = 0
    settings: int = 0

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yield each place with its count."""
        yield from (
            ("chats", self.chats),
            ("review", self.review),
            ("campaigns", self.campaigns),
            ("deliveries", self.deliveries),
            ("sessions", self.sessions),
            ("settings", self.settings),
        )

    @property
    def more(self) -> int:
        """Return the sum of those that have no entry of their own on a phone."""
        return self.campaigns + self.deliveries + self.sessions + self.settings


async def load_badges(services: Services, scopes: Collection[str], now: datetime) -> Badges:
    """Return what waits, of the places that a reader with these rights may open."""
    band = services.rulesets.compiled.review_band
    reads_messages = Scope.MESSAGES_READ in scopes

    def read(reader: Reader) -> tuple[int, ReviewCounts]:
        return count_waiting(reader, now).count, read_review_counts(reader, band, now)

    waiting, review = await services.database.read(read) if reads_messages else (0, ReviewCounts())
    disputes = 0
    if Scope.PROSPECTS_READ in scopes:
        disputes = await services.database.read(count_disputed_rows)
    return Badges(
        deliveries=disputes,
        chats=waiting,
        review=count_work(review, scopes),
        campaigns=await services.database.read(campaigns.count_stopped_by_breaker)
        if Scope.CAMPAIGNS_READ in scopes
        else 0,
        sessions=_count_stopped_phones(services) if Scope.SESSIONS_READ in scopes else 0,
        settings=_count_settings(services) if Scope.RULES_READ in scopes else 0,
    )


def count_work(counts: ReviewCounts, scopes: Collection[str]) -> int:
    """Return how many cases of the review wait; numbers only where a message waits for them."""
    messages = counts.held + counts.by_hand + counts.unconfirmed
    if Scope.PROSPECTS_READ not in scopes:
        return messages
    return messages + counts.prospects + counts.meanings + counts.numbers_holding


def count_tabs(counts: ReviewCounts, scopes: Collection[str]) -> dict[str, int]:
    """Return how many cases each tab of the review has."""
    people = counts.prospects if Scope.PROSPECTS_READ in scopes else 0
    return {
        "approvals": counts.held + people,
        "meanings": counts.meanings,
        "manual": counts.by_hand,
        "numbers": counts.numbers,
        "unconfirmed": counts.unconfirmed,
    }


def _count_stopped_phones(services: Services) -> int:
    return sum(get_session_severity(view) in _WANTS_A_PERSON for view in services.sessions.views())


def _count_settings(services: Services) -> int:
    rules = services.ruleset_service.get_status()
    to_accept = rules.waiting is not None or rules.rejected is not None
    return to_accept + bool(services.backups.list_concerns())
