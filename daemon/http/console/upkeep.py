"""The pages Alerts, Backups and Personal data under Settings: what holds, and what is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.health import get_services
from daemon.settings import Settings
from statemachines.vocabulary import AlertCode
from storage import alerts
from storage.do_not_call import DoNotCallRegister

routes = web.RouteTableDef()

REGISTER_GOOD_DAYS: Final = 30
"""Of an older register the rules let nothing commercial go to numbers of Argentina."""
RETENTION: Final = (
    *("never_contacted", "bodies", "decision_facts", "strangers"),
    *("uploads", "events", "quarantine", "backups"),
)
_ALERTS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """A do-not-call register and its age in days; `is_old` where the rules hold messages for it."""

    register: DoNotCallRegister
    age_days: int
    is_old: bool


@routes.get("/alerts")
@render_errors
async def show_alerts_page(request: web.Request) -> web.StreamResponse:
    """Show whether people are notified, what is wrong now, and what was."""
    services = get_services(request)
    return await render_page(
        request,
        "alerts.html",
        active_page="alerts",
        delivery=await services.alerts.read_status(),
        known=await services.database.read(lambda r: alerts.list_alerts(r, _ALERTS_SHOWN, None)),
        codes=tuple(AlertCode),
        quiet_hours=services.settings.alerts.quiet,
    )


@routes.get("/pieces/alerts/test")
@render_errors
async def show_alert_test_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that sends a test, and then what each target answered."""
    return render_piece(request, "pieces/alert_test.html")


@routes.get("/backups")
@render_errors
async def show_backups_page(request: web.Request) -> web.StreamResponse:
    """Show the sealed copies, when the next is due, and the last restore that was tested."""
    backups = get_services(request).backups
    status = backups.read_status()
    return await render_page(
        request,
        "backups.html",
        active_page="backups",
        backup=status,
        wanted=backups.is_wanted,
        concerns=backups.list_concerns(),
        next_at=backups.find_next(status),
    )


@routes.get("/personal-data")
@render_errors
async def show_personal_data_page(request: web.Request) -> web.StreamResponse:
    """Show how long what is kept, and the do-not-call registers with their age."""
    services, page = get_services(request), build_page_context(request)
    today = page.now.astimezone(page.daemon_zone).date()
    registers = [
        RegisterRow(each, (today - each.dated).days, today - each.dated > _GOOD_FOR)
        for each in await services.do_not_call.list_registers()
    ]
    return await render_page(
        request,
        "personal_data.html",
        active_page="personal_data",
        registers=registers,
        in_force=[row for row in registers if row.register.in_force],
        kept=read_retention(services.settings),
    )


def read_retention(settings: Settings) -> dict[str, int]:
    """Return how many days each kind of data is kept."""
    days = {name: getattr(settings.retention, name, 0) for name in RETENTION}
    return days | {"backups": settings.backup.keep_days}


_GOOD_FOR: Final = timedelta(days=REGISTER_GOOD_DAYS)
