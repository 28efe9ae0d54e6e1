"""`/v1/suppressions`: lists, checks, adds, lifts and imports suppressions."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from daemon.api import numbers
from daemon.contacts.number_lists import NumberListOptions
from daemon.contacts.suppression import CONTACT_ID_PREFIX, SuppressionResult
from daemon.contacts.suppression_lists import SuppressionImportResult
from daemon.errors import Conflict, ImportRejected, NotFound, NumberRejected
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    PhoneText,
    ReasonText,
    RequestBody,
    RequestQuery,
    ResponseBody,
    ResultPage,
    json_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.streaming import no_time_limit
from daemon.http.uploads import UploadStore
from daemon.services import Services
from storage import suppressions
from storage.suppressions import SuppressionRecord, SuppressionSource

routes = web.RouteTableDef()


class SuppressionBody(RequestBody, frozen=True):
    """A person, by number or contact id, and the reason."""

    phone: PhoneText
    reason: ReasonText


class SuppressionCheckQuery(RequestQuery, frozen=True):
    """A person, by number or contact id."""

    phone: PhoneText


class SuppressionImportBody(RequestBody, frozen=True):
    """An uploaded list of any format, the reason, and how to read it."""

    upload: str
    reason: ReasonText
    options: NumberListOptions = NumberListOptions()


class LiftedSuppression(ResponseBody, frozen=True):
    """Whose suppression was lifted: the number in E.164, or the contact's id."""

    lifted: str


class SuppressionStatus(ResponseBody, frozen=True):
    """Whether a person is suppressed, by which records, or why they are stopped as if they were.

    `stopped` is why nothing goes to them until a person has decided: `minor` or `deceased`.
    """

    suppressed: bool
    records: Sequence[SuppressionRecord]
    stopped: str | None = None


@routes.get("/v1/suppressions")
@operation(ResultPage[SuppressionRecord], query=PageQuery)
async def list_suppressions(request: web.Request) -> web.Response:
    """Return the suppressions in force."""
    query = read_query(request, PageQuery)
    found = await get_services(request).database.read(
        lambda reader: suppressions.list_suppressions(
            reader, after=query.after, limit=query.limit + 1
        )
    )
    return page_response(found, query.limit, lambda record: record.alias_hash)


@routes.get("/v1/suppressions/check")
@operation(SuppressionStatus, query=SuppressionCheckQuery, errors=(NumberRejected, NotFound))
async def check_suppression(request: web.Request) -> web.Response:
    """Return whether a person is suppressed or stopped, in whatever form the number is written."""
    query, services = read_query(request, SuppressionCheckQuery), get_services(request)
    target = _parse_target(query.phone, services)
    # The stop first: where a person confirms it meanwhile, the records have what follows.
    stopped = await services.suppression.find_stop_reason(target)
    found = await services.suppression.check(target)
    return json_response(SuppressionStatus(bool(found or stopped), found, stopped))


@routes.post("/v1/suppressions")
@operation(SuppressionResult, body=SuppressionBody, errors=(NumberRejected, NotFound))
async def create_suppression(request: web.Request) -> web.Response:
    """Suppress a person in every form of their number, and cancel their waiting messages."""
    asked, services = await read_body(request, SuppressionBody), get_services(request)
    done = await services.suppression.suppress(
        _parse_target(asked.phone, services),
        source=SuppressionSource.OPERATOR,
        reason=asked.reason,
        who=request[ACTOR],
    )
    return json_response(done)


@routes.post("/v1/suppressions/lift")
@operation(LiftedSuppression, body=SuppressionBody, errors=(NumberRejected, NotFound, Conflict))
async def lift_suppression(request: web.Request) -> web.Response:
    """Lift a suppression by an operator or an import; one that the person asked for stays (409)."""
    asked, services = await read_body(request, SuppressionBody), get_services(request)
    target = _parse_target(asked.phone, services)
    await services.suppression.correct(target, who=request[ACTOR], reason=asked.reason)
    return json_response(LiftedSuppression(target))


@routes.post("/v1/suppressions/import")
@operation(SuppressionImportResult, body=SuppressionImportBody, errors=(NotFound, ImportRejected))
@no_time_limit
async def import_suppressions(request: web.Request) -> web.StreamResponse:
    """Suppress every number of an uploaded list; other lines are reported and left out."""
    asked, services = await read_body(request, SuppressionImportBody), get_services(request)
    path = UploadStore(services.settings.state_dir).get_path(asked.upload)
    done = await services.suppression_lists.import_list(
        path, asked.options, reason=asked.reason, who=request[ACTOR]
    )
    return json_response(done)


def _parse_target(phone: str, services: Services) -> str:
    """Return a contact's id unchanged, a number in E.164."""
    if phone.startswith(CONTACT_ID_PREFIX):
        return phone
    try:
        return numbers.parse_phone(phone, services.settings.daemon.default_region).e164
    except numbers.NumberUnusable as error:
        raise NumberRejected(f"phone: {error.sentence}") from error
