"""The page of a ban: code and end, the figures before it, who waits, what to write to WhatsApp."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aiohttp import web

from daemon.http.console.error_translation import render_errors
from daemon.http.console.language import Language
from daemon.http.console.layout import PageContext, build_page_context, render_page
from daemon.http.health import get_services
from daemon.outbox.ban_report import LOWEST_IS_WORST, BanReport, load_ban_report
from daemon.sessions.status import SessionView
from storage.bans import BanRecord

routes = web.RouteTableDef()
_PEOPLE: Final = ("opt_outs", "complaints")


@routes.get("/bans/{id}")
@render_errors
async def show_ban_page(request: web.Request) -> web.StreamResponse:
    """Show one ban."""
    services, page = get_services(request), build_page_context(request)
    report = await load_ban_report(services.database, services.pacing, request.match_info["id"])
    return await render_page(
        request,
        "ban.html",
        active_page="sessions",
        report=report,
        lowest_is_worst=LOWEST_IS_WORST,
        appeal=build_appeal(page.words, page, report),
        acknowledges=find_acknowledging_session(services.sessions.views(), report.ban, page.now),
    )


def find_acknowledging_session(
    views: Sequence[SessionView], ban: BanRecord, now: datetime
) -> str | None:
    """Return the session by which a ban that is over can be acknowledged, or None.

    It is the banned one, or where that is deleted another of the same number.
    """
    if ban.acknowledged_at is not None or (ban.until is not None and ban.until > now):
        return None
    names = [view.name for view in views if view.phone is not None and view.phone == ban.phone]
    return ban.session if ban.session in names else next(iter(names), None)


def build_appeal(words: Language, page: PageContext, report: BanReport) -> str:
    """Return what to write to WhatsApp's support, with what the figures show."""
    refused = {each.figure: each.last for each in report.figures if each.figure in _PEOPLE}
    return words(
        "ban.appeal",
        day=page.day(report.ban.at.astimezone(page.zone).date()),
        number=report.ban.phone or "",
        chats=report.first_contacts,
        opt_outs=int(refused.get("opt_outs") or 0),
    )
