"""`/v1/review`: messages, and prospects themselves, that wait for a person's approval."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict, NotFound
from daemon.http.bodies import ReasonBody, ResultPage, answer, body, whole
from daemon.http.control import WHO
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from storage.cases import WaitingProspect
from storage.messages import MessageRecord
from storage.prospect_reviews import ProspectReview

routes = web.RouteTableDef()


@routes.get("/v1/review")
@operation(ResultPage[MessageRecord])
async def list_(request: web.Request) -> web.Response:
    """Return what waits for a person, longest waiting first; `taken_by` looks at it just now."""
    return whole(await house_of(request).review.list())


@routes.post("/v1/review/{id}/take")
@operation(MessageRecord, refuses=(NotFound, Conflict))
async def take(request: web.Request) -> web.Response:
    """Take a message to decide about, until its lease ends; 409 where another person has it.

    Taking it again makes the lease longer. Nobody has to take: it keeps two people apart.
    """
    return answer(await house_of(request).review.take(request.match_info["id"], request[WHO]))


@routes.post("/v1/review/{id}/return")
@operation(MessageRecord, refuses=(NotFound, Conflict))
async def give_back(request: web.Request) -> web.Response:
    """Give a message back undecided; idempotent."""
    wanted = request.match_info["id"]
    return answer(await house_of(request).review.give_back(wanted, request[WHO]))


@routes.post("/v1/review/{id}/approve")
@operation(MessageRecord, body=ReasonBody, refuses=(NotFound, Conflict))
async def approve(request: web.Request) -> web.Response:
    """Approve exactly this text to this recipient; the gate judges it once more."""
    asked, wanted = await body(request, ReasonBody), request.match_info["id"]
    return answer(await house_of(request).review.approve(wanted, request[WHO], asked.reason))


@routes.post("/v1/review/{id}/reject")
@operation(MessageRecord, body=ReasonBody, refuses=(NotFound, Conflict))
async def reject(request: web.Request) -> web.Response:
    """Reject a held or deferred message: it is blocked."""
    asked, wanted = await body(request, ReasonBody), request.match_info["id"]
    return answer(await house_of(request).review.reject(wanted, request[WHO], asked.reason))


@routes.get("/v1/review/prospects")
@operation(ResultPage[WaitingProspect])
async def prospects(request: web.Request) -> web.Response:
    """Return prospects that wait for a person's word on themselves, and why.

    They wrote what a person should read, or their score lies in the gate's review band. Whose
    message or number waits is not listed here a second time.
    """
    house = house_of(request)
    return whole(await house.review.prospects(house.rulebook.judges.review_band))


@routes.post("/v1/review/prospects/{id}/approve")
@operation(ProspectReview, body=ReasonBody, refuses=(NotFound,))
async def approve_prospect(request: web.Request) -> web.Response:
    """Approve a prospect for a while: `prospect.review` is `approved`; no veto is lifted."""
    asked, wanted = await body(request, ReasonBody), request.match_info["id"]
    house = house_of(request)
    return answer(await house.review.approve_prospect(wanted, request[WHO], asked.reason))


@routes.post("/v1/review/prospects/{id}/reject")
@operation(ProspectReview, body=ReasonBody, refuses=(NotFound,))
async def reject_prospect(request: web.Request) -> web.Response:
    """Reject a prospect: what waits for them is cancelled, and only replies go any more."""
    asked, wanted = await body(request, ReasonBody), request.match_info["id"]
    house = house_of(request)
    return answer(await house.review.reject_prospect(wanted, request[WHO], asked.reason))
