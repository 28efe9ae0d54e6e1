"""What every page stands in: its frame, its words, its headers, and who looks at it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import jinja2
from aiohttp import web
from markupsafe import Markup

from daemon.api import numbers
from daemon.auth.identity import Identity
from daemon.auth.scopes import Scope
from daemon.auth.secret import csrf_token
from daemon.errors import LeadMasterError
from daemon.http.auth.cookies import secret_of
from daemon.http.auth.identify import identity_of
from daemon.http.pages import assets, language, moments, tones
from daemon.http.pages.language import Language
from daemon.http.vitals import house_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
THEMES: Final = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the rail: `key` names its words and its icon, `letter` follows `g`."""

    key: str
    path: str
    letter: str
    scope: Scope


NAVIGATION: Final = (
    Place("today", "/", "t", Scope.SESSIONS_READ),
    Place("sessions", "/sessions", "s", Scope.SESSIONS_READ),
    Place("review", "/review", "r", Scope.MESSAGES_READ),
    Place("prospects", "/prospects", "p", Scope.PROSPECTS_READ),
    Place("messages", "/messages", "m", Scope.MESSAGES_READ),
    Place("manual", "/manual", "h", Scope.MESSAGES_READ),
    Place("rules", "/rules", "u", Scope.RULES_READ),
    Place("audit", "/audit", "a", Scope.ADMIN),
)
"""The rail, in order; on a phone the first four stand at the bottom of the screen."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What a template may ask of the page around it."""

    identity: Identity
    words: Language
    now: datetime
    zone: ZoneInfo
    home: ZoneInfo
    """Whoever looks reads times of their own `zone`; the day begins where the house is."""

    def may(self, scope: str) -> bool:
        """Tell whether whoever looks may do this; what they may not is not offered."""
        return scope in self.identity.scopes

    def when(self, at: datetime) -> Markup:
        """Return a moment, relative, with the exact time on hover."""
        return moments.time_element(at, self.now, self.zone, self.words)

    def clock(self, at: datetime) -> str:
        """Return a moment's time of day."""
        return moments.clock(at, self.now, self.zone)

    def exact(self, at: datetime) -> str:
        """Return a moment in full."""
        return moments.exact(at, self.zone)

    @property
    def places(self) -> list[Place]:
        """Return the entries of the rail that are of use to whoever looks."""
        return [place for place in NAVIGATION if self.may(place.scope)]


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mask"] = numbers.mask
    environment.globals |= {
        "asset": assets.address,
        "languages": language.LANGUAGES,
        "themes": THEMES,
        "tones": tones,
    }
    return environment


def shell_of(request: web.Request) -> Shell:
    """Return the shell around one request's page."""
    house = house_of(request)
    home = ZoneInfo(house.settings.daemon.time_zone)
    return Shell(
        identity=identity_of(request),
        words=words_of(request),
        now=house.clock.now(),
        zone=moments.zone_of(request.cookies.get(moments.COOKIE, ""), home),
        home=home,
    )


def words_of(request: web.Request) -> Language:
    """Return the language that whoever looks reads."""
    cookie = request.cookies.get(language.COOKIE)
    return language.preferred(cookie, request.headers.get("Accept-Language", ""))


async def page(
    request: web.Request, template: str, *, here: str, status: int = 200, **values: object
) -> web.Response:
    """Return a whole page; `here` is the key of the rail's entry that it belongs to."""
    house, secret = house_of(request), secret_of(request)
    frame = {
        "here": here,
        "halt": await house.halt.state(),
        "seq": await house.database.high_water(),
        "epoch": house.database.epoch,
        "csrf": csrf_token(secret) if secret else "",
        "theme": _theme(request),
        "rate": house.settings.clock.rate if house.settings.clock.start else 1.0,
    }
    return piece(request, template, status=status, **frame, **values)


def piece(
    request: web.Request, template: str, *, status: int = 200, **values: object
) -> web.Response:
    """Return one template as it is: a part of a page that is fetched anew by itself."""
    shell = shell_of(request)
    return html(template, status, shell=shell, t=shell.words, say=shell.words.say, **values)


def html(template: str, status: int = 200, **values: object) -> web.Response:
    """Return a rendered template with the headers that every page has."""
    text = _templates().get_template(template).render(values)
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)


def bare(request: web.Request, template: str, **values: object) -> web.Response:
    """Return a page for somebody who has not signed in: nothing of the house is in it."""
    return html(template, 200, t=words_of(request), theme=_theme(request), **values)


def told(handler: Handler) -> Handler:
    """Let a page's expected problems be told as a page: what happened, and what to do."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except LeadMasterError as error:
            if "HX-Request" in request.headers:
                return piece(request, "pieces/problem.html", status=error.status, error=error)
            return await page(request, "problem.html", here="", status=error.status, error=error)

    return answer


def _theme(request: web.Request) -> str:
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else THEMES[0]
