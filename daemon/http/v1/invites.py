"""`/v1/invites`: links by which people write to us first, each with where it hangs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    RequestBody,
    ResponseBody,
    ResultPage,
    json_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.inbound.invites import (
    DEFAULT_WORDS,
    MAX_NAME_LENGTH,
    MAX_WORDS_LENGTH,
    build_invite_link,
    build_prefilled_text,
)
from storage.invites import InviteRecord

routes = web.RouteTableDef()


class NewInviteBody(RequestBody, frozen=True):
    """The session whose phone they write to, where the link hangs, and the words filled in."""

    session: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
    words: Annotated[str, msgspec.Meta(max_length=MAX_WORDS_LENGTH)] = DEFAULT_WORDS


class Invite(ResponseBody, frozen=True):
    """An invitation: the text that its link fills in, and the link, which a QR code may hold."""

    code: str
    name: str
    phone: str
    text: str
    link: str
    created_at: datetime
    created_by: str


@routes.get("/v1/invites")
@operation(ResultPage[Invite], query=PageQuery)
async def list_invites(request: web.Request) -> web.Response:
    """Return the invitations, by their codes."""
    query = read_query(request, PageQuery)
    found = await get_services(request).invites.list_invites(
        after=query.after, limit=query.limit + 1
    )
    return page_response([_build_invite(each) for each in found], query.limit, lambda i: i.code)


@routes.post("/v1/invites")
@operation(Invite, status=201, body=NewInviteBody, errors=(NotFound, Conflict, BadRequest))
async def create_invite(request: web.Request) -> web.Response:
    """Create an invitation: who writes by its link becomes a prospect from where it hangs."""
    asked = await read_body(request, NewInviteBody)
    made = await get_services(request).invites.create_invite(
        asked.session, asked.name, request[ACTOR], asked.words
    )
    return json_response(_build_invite(made), status=201)


def _build_invite(invite: InviteRecord) -> Invite:
    return Invite(
        code=invite.code,
        name=invite.name,
        phone=invite.phone,
        text=build_prefilled_text(invite),
        link=build_invite_link(invite),
        created_at=invite.created_at,
        created_by=invite.created_by,
    )
