"""The pages Alerts, Backups and Personal data under Settings: what holds, and what is due."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon.contacts.do_not_call import RegisterPreview
from daemon.contacts.number_lists import NumberListOptions
from daemon.errors import LeadMasterError
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.health import get_services
from daemon.http.streaming import no_time_limit
from daemon.http.uploads import UploadStore
from daemon.settings import Settings
from statemachines.vocabulary import AlertCode
from storage import alerts
from storage.do_not_call import DoNotCallRegister

routes = web.RouteTableDef()

HOME_COUNTRY: Final = "AR"
REGISTER_GOOD_DAYS: Final = 30
"""Of an older register the rules let nothing commercial go to numbers of Argentina."""
RETENTION: Final = (
    *("never_contacted", "bodies", "decision_facts", "strangers"),
    *("uploads", "events", "quarantine", "backups"),
)
_ALERTS_SHOWN: Final = 20


class RegisterRow(Struct, frozen=True):
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
        last=backups.find_last(status),
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


class RegisterQuery(RequestQuery, frozen=True):
    """An uploaded register, whose and of which day it is, and the column of its numbers."""

    upload: str
    country: str = HOME_COUNTRY
    dated: str = ""
    phone: str = ""


class RegisterPreviewView(Struct, frozen=True):
    """What the import of a register would read, or the problem because of which there is none.

    `dated` is the day as it was chosen, None before that; `age_days` how old it is today.
    """

    upload: str
    filename: str
    country: str
    phone: str
    dated: date | None
    age_days: int
    preview: RegisterPreview | None
    problem: LeadMasterError | None

    @property
    def is_old(self) -> bool:
        """Return whether the rules hold messages back for its age."""
        return self.country == HOME_COUNTRY and self.age_days > REGISTER_GOOD_DAYS

    @property
    def options_json(self) -> str:
        """Return the options for the body of `POST /v1/do-not-call`."""
        return msgspec.json.encode({"phone": self.phone} if self.phone else {}).decode()


@routes.get("/pieces/do-not-call/preview")
@render_errors
@no_time_limit
async def show_register_preview(request: web.Request) -> web.StreamResponse:
    """Show what the import of an uploaded register would read, and how old it is."""
    query, services = read_query(request, RegisterQuery), get_services(request)
    page = build_page_context(request)
    path = UploadStore(services.settings.state_dir).get_path(query.upload)
    country, phone = query.country.strip().upper(), query.phone.strip()
    found, problem, dated = None, None, _parse_day(query.dated)
    try:
        options = NumberListOptions(phone=phone or None)
        found = await services.do_not_call.preview(path, options, country=country)
    except LeadMasterError as error:
        problem = error
    today = page.now.astimezone(page.daemon_zone).date()
    view = RegisterPreviewView(
        upload=query.upload,
        filename=path.name,
        country=country,
        phone=phone,
        dated=dated,
        age_days=(today - dated).days if dated else 0,
        preview=found,
        problem=problem,
    )
    return render_piece(request, "pieces/register_preview.html", view=view, today=today)


def _parse_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def read_retention(settings: Settings) -> dict[str, int]:
    """Return how many days each kind of data is kept."""
    days = {name: getattr(settings.retention, name, 0) for name in RETENTION}
    return days | {"backups": settings.backup.keep_days}


_GOOD_FOR: Final = timedelta(days=REGISTER_GOOD_DAYS)
