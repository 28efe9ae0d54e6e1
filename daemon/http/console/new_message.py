"""The sheet that writes a new message to one person, with what would become of it while typing."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aiohttp import web
from msgspec import Struct

from daemon.api import numbers
from daemon.api.permit import hash_body
from daemon.contacts.prospect_filters import ProspectFilter, build_search
from daemon.errors import NotFound
from daemon.http.bodies import RequestQuery, read_body, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.messages import require_message_id
from daemon.http.console.sessions import NewChatBudget, build_new_chat_budget
from daemon.http.health import get_services
from daemon.http.v1.enqueue import NewMessageBody, build_send_request
from daemon.outbox.forecast import SendForecast, forecast_message
from daemon.outbox.message_check import MessageCheckResult, SendOutlook
from daemon.services import Services
from statemachines.vocabulary import NumberCheckBlock
from storage import contacts, messages, prospect_search, prospects
from storage.messages import MessageRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()

_MAX_PEOPLE: Final = 8
_MIN_SEARCH: Final = 2
_UNCHECKED: Final = frozenset(
    {"not_checked_yet", "not_validated_yet", "hard_limit_not_validated", "still_unknown"}
    | set(NumberCheckBlock)
)
"""Codes of a message whose number nobody has checked or validated."""
_NO_PERMISSION: Final = frozenset({"no_permission", "hard_limit_no_permission"})
_THEIR_WORD: Final = frozenset(
    {"suppressed", "refused", "hard_limit_suppressed", "hard_limit_refused"}
)
"""Codes of what the person said themself: nobody here can change it."""
_LINK: Final = "link_to_a_stranger"
_SAME_TEXT: Final = "duplicate"
_OF_CODE: Final = "hard_limit_"


class NewMessageQuery(RequestQuery, frozen=True):
    """The recipient: the id of a prospect, or a number."""

    prospect: str = ""
    to: str = ""


class PeopleQuery(RequestQuery, frozen=True):
    """Part of a name or of a number."""

    text: str = ""


class SessionOption(Struct, frozen=True):
    """A phone to send by, and the new chats that its number has left."""

    name: str
    budget: NewChatBudget


class PeopleFound(Struct, frozen=True):
    """People whose name or number has a text in it; `unknown`: a number that nobody has."""

    people: list[ProspectRecord]
    unknown: str


class NextSteps(Struct, frozen=True):
    """What a person may do about a message that does not go as it is.

    `checks_left`: how many numbers may be checked today, 0 where none may be now. `final`: only
    their own message changes it. `earlier`: the message that had the same text.
    """

    validate: bool = False
    checks_left: int = 0
    consent: bool = False
    remove_link: bool = False
    earlier: str = ""
    final: bool = False

    @property
    def exist(self) -> bool:
        """Return whether there is anything to do, or a reason why there is not."""
        return self != NextSteps()


class NewMessageCheck(Struct, frozen=True):
    """What would become of the message, and what to do about it; `rule` is its rule's name."""

    result: MessageCheckResult
    steps: NextSteps
    rule: str


@routes.get("/messages/new")
@render_errors
async def show_new_message_page(request: web.Request) -> web.StreamResponse:
    """Show the sheet: it asks for the person, or with one chosen for the text."""
    query, services = read_query(request, NewMessageQuery), get_services(request)
    now = build_page_context(request).now

    def read(reader: Reader) -> tuple[ProspectRecord | None, list[SessionOption]]:
        return _find_person(reader, query, services, now), _list_options(reader, services, now)

    person, options = await services.database.read(read)
    if query.prospect and person is None:
        raise NotFound(f"There is no prospect {query.prospect}.")
    return await render_page(
        request,
        "new_message.html",
        active_page="chats",
        person=person,
        options=options,
        found=await _search(request, query.to.strip() if person is None else ""),
        text=query.to,
    )


@routes.get("/pieces/messages/people")
@render_errors
async def show_people(request: web.Request) -> web.StreamResponse:
    """Show the people whose name or number has a text in it."""
    text = read_query(request, PeopleQuery).text.strip()
    found = await _search(request, text)
    return render_piece(request, "pieces/new_message_people.html", found=found, text=text)


@routes.get("/pieces/messages/unknown")
@render_errors
async def show_unknown_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks where a number that nobody knows is from, and who agreed."""
    text = read_query(request, PeopleQuery).text
    return render_piece(request, "pieces/new_message_unknown.html", text=text)


@routes.post("/pieces/messages/check")
@render_errors
async def show_message_check(request: web.Request) -> web.StreamResponse:
    """Show what would become of a message, and what to do about it; nothing is stored."""
    services, body = get_services(request), await read_body(request, NewMessageBody)
    result = await services.message_check.check(build_send_request(body, None))
    now = services.clock.now()

    def read(reader: Reader) -> tuple[ProspectRecord | None, NextSteps]:
        person = _find_by_number(reader, body.to, services)
        return person, _list_steps(reader, services, result, person, body.text, now)

    person, steps = await services.database.read(read)
    code = result.reason_code
    check = NewMessageCheck(
        result,
        steps,
        "" if code.startswith(_OF_CODE) or result.outlook is SendOutlook.NOW else code,
    )
    return render_piece(request, "pieces/new_message_check.html", check=check, person=person)


@routes.get("/pieces/messages/{id}/sent")
@render_errors
async def show_sent_message(request: web.Request) -> web.StreamResponse:
    """Show the state of a message that was written here, to be refreshed."""
    message_id = await require_message_id(request)
    services, now = get_services(request), build_page_context(request).now

    def read(reader: Reader) -> tuple[MessageRecord, SendForecast | None]:
        message = messages.require_message(reader, message_id)
        return message, forecast_message(reader, services.sessions, services.pacing, message, now)

    message, forecast = await services.database.read(read)
    return render_piece(request, "pieces/new_message_sent.html", message=message, forecast=forecast)


def _find_person(
    reader: Reader, query: NewMessageQuery, services: Services, now: datetime
) -> ProspectRecord | None:
    if query.prospect:
        found = prospects.get_prospect(reader, query.prospect)
    else:
        found = _find_by_number(reader, query.to, services) if query.to else None
    return found.as_of(now) if found else None


def _find_by_number(reader: Reader, text: str, services: Services) -> ProspectRecord | None:
    """Return the prospect who has a number, written in any way; None where nobody has it."""
    phone = _parse_number(text, services)
    contact = contacts.find_contact_by_alias(reader, phone) if phone else None
    return prospects.find_prospect_by_contact(reader, contact) if contact else None


def _parse_number(text: str, services: Services) -> str:
    """Return a number in E.164; empty for a text that is none."""
    try:
        return numbers.parse_phone(text, services.settings.daemon.default_region).e164
    except numbers.NumberUnusable:
        return ""


def _list_options(reader: Reader, services: Services, now: datetime) -> list[SessionOption]:
    return [
        SessionOption(view.name, build_new_chat_budget(reader, services, view.name, now))
        for view in services.sessions.views()
    ]


async def _search(request: web.Request, text: str) -> PeopleFound:
    services = get_services(request)
    if len(text) < _MIN_SEARCH:
        return PeopleFound([], "")
    region = services.settings.daemon.default_region
    found = await services.database.read(
        lambda reader: prospect_search.search_prospect_directory(
            reader,
            build_search(ProspectFilter(text=text), region),
            now=services.clock.now(),
            limit=_MAX_PEOPLE,
        )
    )
    people = [entry.prospect for entry in found]
    number = _parse_number(text, services)
    known = any(person.phone == number for person in people)
    return PeopleFound(people, "" if known else number)


def _list_steps(
    reader: Reader,
    services: Services,
    result: MessageCheckResult,
    person: ProspectRecord | None,
    text: str,
    now: datetime,
) -> NextSteps:
    """Return what a person may do about a verdict."""
    code = result.reason_code
    if person is None or result.outlook is SendOutlook.NOW:
        return NextSteps()
    if code in _UNCHECKED:
        _, left = services.number_checks.choose_session(reader, now)
        return NextSteps(validate=True, checks_left=left)
    if code == _SAME_TEXT:
        earlier = messages.find_same_text(reader, person.contact, hash_body(text.strip()))
        return NextSteps(earlier=earlier or "")
    return NextSteps(
        consent=code in _NO_PERMISSION, remove_link=code == _LINK, final=code in _THEIR_WORD
    )
