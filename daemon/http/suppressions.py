"""`/v1/suppressions`: who is not to be written to again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.api import numbers
from daemon.errors import Conflict, ImportRejected, NotFound, NumberRejected
from daemon.http.bodies import (
    Answer,
    Body,
    PageQuery,
    Query,
    Reason,
    ResultPage,
    answer,
    body,
    page,
    query,
)
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.openapi import operation
from daemon.http.streams import endless
from daemon.http.uploads import Uploads
from daemon.http.vitals import house_of
from daemon.suppression import (
    SuppressionImportResult,
    SuppressionRecord,
    SuppressionResult,
    SuppressionSource,
    import_csv,
)
from storage import suppressions

routes = web.RouteTableDef()

PhoneText = Annotated[str, msgspec.Meta(min_length=3, max_length=64)]


class SuppressionBody(Body, frozen=True):
    """A person, by number or contact id, and why."""

    phone: PhoneText
    reason: Reason


class SuppressionCheckQuery(Query, frozen=True):
    """A person, by number or contact id."""

    phone: PhoneText


class SuppressionImportBody(Body, frozen=True):
    """An upload with a number a line, why these are suppressed, and where short numbers belong."""

    upload: str
    reason: Reason
    region: (
        Annotated[
            str, msgspec.Meta(pattern="^[A-Z]{2}$", description="two capital letters, such as AR")
        ]
        | None
    ) = None


class LiftedSuppression(Answer, frozen=True):
    """Whose suppression was lifted: the number in its one form, or the contact's id."""

    lifted: str


class SuppressionStatus(Answer, frozen=True):
    """Whether a person is suppressed, and by which words."""

    suppressed: bool
    records: Sequence[SuppressionRecord]


@routes.get("/v1/suppressions")
@operation(ResultPage[SuppressionRecord], query=PageQuery)
async def list_(request: web.Request) -> web.Response:
    """Return the suppressions in force."""
    wanted = query(request, PageQuery)
    found = await house_of(request).database.read(
        lambda reader: suppressions.page(reader, after=wanted.after, limit=wanted.limit + 1)
    )
    return page(found, wanted.limit, lambda record: record.alias_hash)


@routes.get("/v1/suppressions/check")
@operation(SuppressionStatus, query=SuppressionCheckQuery, refuses=(NumberRejected, NotFound))
async def check(request: web.Request) -> web.Response:
    """Tell whether a person is suppressed, in whatever form the number is written."""
    wanted, house = query(request, SuppressionCheckQuery), house_of(request)
    found = await house.suppression.check(_target(wanted.phone, house))
    return answer(SuppressionStatus(bool(found), found))


@routes.post("/v1/suppressions")
@operation(SuppressionResult, body=SuppressionBody, refuses=(NumberRejected, NotFound))
async def suppress(request: web.Request) -> web.Response:
    """Suppress a person in every form of their number, and cancel all that waits for them."""
    asked, house = await body(request, SuppressionBody), house_of(request)
    done = await house.suppression.suppress(
        _target(asked.phone, house),
        source=SuppressionSource.OPERATOR,
        reason=asked.reason,
        who=request[WHO],
    )
    return answer(done)


@routes.post("/v1/suppressions/lift")
@operation(LiftedSuppression, body=SuppressionBody, refuses=(NumberRejected, NotFound, Conflict))
async def lift(request: web.Request) -> web.Response:
    """Correct an operator's or an import's mistake; a person's own word stays (409)."""
    asked, house = await body(request, SuppressionBody), house_of(request)
    target = _target(asked.phone, house)
    await house.suppression.correct(target, who=request[WHO], reason=asked.reason)
    return answer(LiftedSuppression(target))


@routes.post("/v1/suppressions/import")
@operation(SuppressionImportResult, body=SuppressionImportBody, refuses=(NotFound, ImportRejected))
@endless
async def import_(request: web.Request) -> web.StreamResponse:
    """Suppress every number of an uploaded list; what is no number is named and left out."""
    asked, house = await body(request, SuppressionImportBody), house_of(request)
    path = Uploads(house.settings.state_dir).path(asked.upload)
    done = await import_csv(
        house.suppression,
        await asyncio.to_thread(_text, path),
        region=asked.region or house.settings.daemon.default_region,
        reason=asked.reason,
        who=request[WHO],
    )
    return answer(done)


def _text(path: Path) -> str:
    """Return a list's text; only its digits matter, so that any old encoding will do."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _target(phone: str, house: House) -> str:
    """Return a contact's id as it is, a number in its one canonical form."""
    if phone.startswith("con_"):
        return phone
    try:
        return numbers.parse(phone, house.settings.daemon.default_region).e164
    except numbers.NumberUnusable as error:
        raise NumberRejected(f"phone: {error.sentence}") from error
