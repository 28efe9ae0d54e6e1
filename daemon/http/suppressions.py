"""`/v1/suppressions`: who is not to be written to again."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.api import numbers
from daemon.errors import NumberRejected
from daemon.http.bodies import Body, Page, Reason, answer, body, page, query
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.vitals import house_of
from storage import suppressions
from storage.suppressions import Source

routes = web.RouteTableDef()


class Whom(Body, frozen=True):
    """A person, by number or contact id, and why."""

    phone: Annotated[str, msgspec.Meta(min_length=3, max_length=64)]
    reason: Reason


@routes.get("/v1/suppressions")
async def list_(request: web.Request) -> web.Response:
    """Return the suppressions, lifted ones too."""
    wanted = query(request, Page)
    found = await house_of(request).database.read(
        lambda reader: suppressions.page(reader, after=wanted.after, limit=wanted.limit + 1)
    )
    return page(found, wanted.limit, lambda record: record.alias_hash)


@routes.post("/v1/suppressions")
async def suppress(request: web.Request) -> web.Response:
    """Suppress a person in every form of their number, and cancel all that waits for them."""
    asked, house = await body(request, Whom), house_of(request)
    done = await house.suppression.suppress(
        _target(asked.phone, house),
        source=Source.OPERATOR,
        reason=asked.reason,
        who=request[WHO],
    )
    return answer(done)


@routes.post("/v1/suppressions/lift")
async def lift(request: web.Request) -> web.Response:
    """Correct an operator's or an import's mistake; a person's own word stays (409)."""
    asked, house = await body(request, Whom), house_of(request)
    target = _target(asked.phone, house)
    await house.suppression.correct(target, who=request[WHO], reason=asked.reason)
    return answer({"lifted": target})


def _target(phone: str, house: House) -> str:
    """Return a contact's id as it is, a number in its one canonical form."""
    if phone.startswith("con_"):
        return phone
    try:
        return numbers.parse(phone, house.settings.daemon.default_region).e164
    except numbers.NumberUnusable as error:
        raise NumberRejected(f"phone: {error.sentence}") from error
