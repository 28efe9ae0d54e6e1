"""The frame of every page: templates, navigation, headers, language, rights and times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from aiohttp import web
from markupsafe import Markup
from msgspec import Struct

from daemon import severity
from daemon.api import numbers
from daemon.auth.identity import Principal
from daemon.auth.sign_ins import derive_csrf_token
from daemon.http.authentication import get_identity
from daemon.http.browser_session import LANGUAGE_COOKIE, get_session_secret
from daemon.http.console import assets, evidence_view, language, navigation, time_format
from daemon.http.console.language import Language
from daemon.http.console.navigation import Badges, NavigationEntry, PlaceTab
from daemon.http.health import get_services
from daemon.late_imports import LateImport

if TYPE_CHECKING:
    import jinja2

# Nothing inline and nothing from elsewhere: a text that a contact wrote can't become a script.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    # Addresses of pages contain ids, which no other site needs to know.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
THEMES: Final = ("auto", "light", "dark")


class PageContext(Struct, frozen=True):
    """What every template knows of its reader: identity, language, zone and rights."""

    identity: Principal
    words: Language
    now: datetime
    zone: ZoneInfo
    daemon_zone: ZoneInfo
    """Times are shown in the reader's `zone`; the day begins at midnight of the daemon's."""

    def may(self, scope: str) -> bool:
        """Return whether the reader has a scope; a page offers nothing else."""
        return scope in self.identity.scopes

    def relative_time(self, at: datetime) -> Markup:
        """Return a `<time>` element: the relative time, with the exact time as its title."""
        return time_format.render_time_element(at, self.now, self.zone, self.words)

    def time_of_day(self, at: datetime) -> str:
        """Return the time of day in the reader's zone."""
        return time_format.format_time_of_day(at, self.now, self.zone, self.words)

    def near_day(self, at: datetime) -> str:
        """Return the time of day after today, yesterday or tomorrow, or after the date."""
        return time_format.format_near_day(at, self.now, self.zone, self.words)

    def day(self, day: date) -> str:
        """Return a date as people write it."""
        return time_format.format_day(day, self.words)

    def exact_time(self, at: datetime) -> str:
        """Return date, time and zone."""
        return time_format.format_exact(at, self.zone)

    @property
    def navigation(self) -> list[NavigationEntry]:
        """Return the entries of the sidebar that the reader may open."""
        return navigation.list_entries(self.identity.scopes)

    @property
    def shortcuts(self) -> dict[str, str]:
        """Return the path that g and each letter lead to."""
        return navigation.list_shortcuts(self.identity.scopes)

    def tabs(self, place: str) -> list[PlaceTab]:
        """Return the tabs of a place that the reader may open."""
        return navigation.list_tabs(place, self.identity.scopes)


@cache
def get_environment() -> jinja2.Environment:
    """Return the environment of the templates; an undefined variable is an error."""
    import jinja2  # noqa: PLC0415 - loaded by now

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"mask": numbers.mask_phone, "mask_digits": numbers.mask_digits}
    environment.globals |= {
        "asset": assets.build_asset_url,
        "languages": language.LANGUAGES,
        "phone_entries": navigation.PHONE_ENTRIES,
        "find_place": navigation.find_place,
        "describe_quote": evidence_view.describe_quote,
        "themes": THEMES,
        "severity": severity,
    }
    return environment


TEMPLATES: Final = LateImport("jinja2", prepare=get_environment)
"""Many daemons show no page for days: programs use them, or the command line."""


def build_page_context(request: web.Request) -> PageContext:
    """Return the context of the page that a request asks for."""
    services = get_services(request)
    daemon_zone = ZoneInfo(services.settings.daemon.time_zone)
    return PageContext(
        identity=get_identity(request),
        words=get_language(request),
        now=services.clock.now(),
        zone=time_format.parse_zone(request.cookies.get(time_format.ZONE_COOKIE, ""), daemon_zone),
        daemon_zone=daemon_zone,
    )


def get_language(request: web.Request) -> Language:
    """Return the reader's language."""
    cookie = request.cookies.get(LANGUAGE_COOKIE)
    return language.choose_language(cookie, request.headers.get("Accept-Language", ""))


_STREAM_START: Final = web.RequestKey("stream_start", int)


async def render_page(
    request: web.Request, template: str, *, active_page: str, status: int = 200, **values: object
) -> web.Response:
    """Return a whole page; `active_page` is the key of its place, or of its tab."""
    services, secret = get_services(request), get_session_secret(request)
    if _STREAM_START not in request:  # a page about a problem: nothing of it follows events
        await note_stream_start(request)
    frame = {
        "active_page": active_page,
        "halt": await services.halt.get_current(),
        "refusal": services.database.refusal,
        "seq": request[_STREAM_START],
        "epoch": services.database.epoch,
        "csrf": derive_csrf_token(secret) if secret else "",
        "theme": get_theme(request),
        "rate": services.settings.clock.effective_rate,
        "badges": await load_page_badges(request),
    }
    return render_piece(request, template, status=status, **frame, **values)


async def note_stream_start(request: web.Request) -> None:
    """Note where the event stream of a page begins: what comes later refreshes its pieces.

    To be called before anything of the page is read, or what happens meanwhile is on neither.
    """
    request[_STREAM_START] = await get_services(request).database.high_water()


async def load_page_badges(request: web.Request) -> Badges:
    """Return the badges of the navigation as the reader of a page sees them."""
    page = build_page_context(request)
    return await navigation.load_badges(get_services(request), page.identity.scopes, page.now)


def render_piece(
    request: web.Request, template: str, *, status: int = 200, **values: object
) -> web.Response:
    """Return one template alone: a part of a page that a script fetches."""
    page = build_page_context(request)
    return render_template(
        template, status, page=page, t=page.words, translate=page.words.translate, **values
    )


def render_template(template: str, status: int = 200, **values: object) -> web.Response:
    """Return a rendered template with the headers that every page has."""
    text = get_environment().get_template(template).render(values)
    return web.Response(text=text, status=status, content_type="text/html", headers=PAGE_HEADERS)


def render_signed_out_page(
    request: web.Request, template: str, *, status: int = 200, **values: object
) -> web.Response:
    """Return a page for somebody who has not signed in; it shows no data."""
    words = get_language(request)
    frame = {"t": words, "translate": words.translate, "theme": get_theme(request)}
    return render_template(template, status, **frame, **values)


def get_theme(request: web.Request) -> str:
    """Return the appearance that the reader chose."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else THEMES[0]
