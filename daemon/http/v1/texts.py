"""`/v1/texts`: templates of messages, their versions, previews and approvals."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.contacts.prospect_filters import ProspectFilter, build_search
from daemon.errors import Conflict, NotFound
from daemon.gate.consent import Permission
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    RequestBody,
    ResultPage,
    json_response,
    list_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.outbox.enqueue import MAX_TEXT_LENGTH
from daemon.texts.preview import TextPreview
from daemon.texts.service import MAX_NAME_LENGTH, PreparedText, TextChoice
from storage.messages import MessageRecord
from storage.prospect_search import ProspectSearch
from storage.texts import NewTextVersion, TextPurpose, TextRecord

routes = web.RouteTableDef()

_Words = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)]
_Language = Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")]
_Version = Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]
_Fallbacks = Annotated[dict[str, str], msgspec.Meta(max_length=50)]


class TextVersionBody(RequestBody, frozen=True):
    """A version: `body` and, of a first contact, `footer`, with variables such as `{nombre}`.

    `fallbacks` has what is written where a person has no value; without it they are left out.
    """

    body: _Words
    footer: _Words = ""
    fallbacks: _Fallbacks = msgspec.field(default_factory=dict)


class TextBody(RequestBody, frozen=True):
    """A text with its first version; `language` has two letters."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
    purpose: TextPurpose
    body: _Words
    footer: _Words = ""
    fallbacks: _Fallbacks = msgspec.field(default_factory=dict)
    language: _Language = "es"


class TextPreviewBody(RequestBody, frozen=True):
    """A text that need not be stored, and a filter of prospects to show it on."""

    purpose: TextPurpose
    body: _Words
    footer: _Words = ""
    fallbacks: _Fallbacks = msgspec.field(default_factory=dict)
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    permission: Permission | None = None
    import_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    page: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0


class TextApprovalBody(RequestBody, frozen=True):
    """The version to approve for the purpose of its text."""

    version: _Version


class TextForPersonBody(RequestBody, frozen=True):
    """The version, and the prospect who would get it."""

    version: _Version
    prospect: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class TestMessageBody(RequestBody, frozen=True):
    """What a test message shows: the version, for one person; by default one who lacks nothing."""

    version: _Version
    prospect: Annotated[str, msgspec.Meta(max_length=64)] = ""
    session: Annotated[str, msgspec.Meta(max_length=64)] | None = None


@routes.get("/v1/texts")
@operation(ResultPage[TextRecord], query=PageQuery)
async def list_texts(request: web.Request) -> web.Response:
    """Return texts with their versions, in the order in which they were made."""
    query = read_query(request, PageQuery)
    found = await get_services(request).texts.list_texts(after=query.after, limit=query.limit + 1)
    return page_response(found, query.limit, lambda text: text.id)


@routes.post("/v1/texts")
@operation(TextRecord, status=201, body=TextBody, errors=(Conflict,))
async def create_text(request: web.Request) -> web.Response:
    """Store a text with its first version, which nobody has approved yet.

    An unknown variable is refused at its place with the nearest name. A first contact needs a
    footer that says who, whence, and how to stop by a word that the opt-out list knows.
    """
    body = await read_body(request, TextBody)
    text = await get_services(request).texts.create(
        body.name, body.purpose, body.language, _read_version(body), request[ACTOR]
    )
    return json_response(text, status=201)


@routes.post("/v1/texts/preview")
@operation(TextPreview, body=TextPreviewBody)
async def preview_text(request: web.Request) -> web.Response:
    """Show a text on three real people: with everything, lacking something, and the longest.

    A later `page` has others. `check` is what would become of each message if the text was
    approved; nothing is stored.
    """
    body = await read_body(request, TextPreviewBody)
    preview = await get_services(request).texts.preview(
        body.purpose,
        NewTextVersion(body=body.body, footer=body.footer, fallbacks=body.fallbacks),
        request[ACTOR],
        build_preview_search(request, body),
        page=body.page,
    )
    return json_response(preview)


def build_preview_search(request: web.Request, body: TextPreviewBody) -> ProspectSearch:
    """Return the search of people on which a text is shown."""
    region = get_services(request).settings.daemon.default_region
    chosen = ProspectFilter(text=body.text, permission=body.permission, import_id=body.import_id)
    return build_search(chosen, region)


@routes.get("/v1/texts/{id}")
@operation(TextRecord, errors=(NotFound,))
async def get_text(request: web.Request) -> web.Response:
    """Return a text with all its versions, the newest first."""
    return json_response(await get_services(request).texts.get_text(request.match_info["id"]))


@routes.post("/v1/texts/{id}/versions")
@operation(TextRecord, status=201, body=TextVersionBody, errors=(NotFound,))
async def change_text(request: web.Request) -> web.Response:
    """Append a version; what is made with an earlier one stays as it is."""
    body = await read_body(request, TextVersionBody)
    text = await get_services(request).texts.change(
        request.match_info["id"], _read_version(body), request[ACTOR]
    )
    return json_response(text, status=201)


@routes.post("/v1/texts/{id}/approve")
@operation(TextRecord, body=TextApprovalBody, errors=(NotFound, Conflict))
async def approve_text(request: web.Request) -> web.Response:
    """Approve a version, once, for the purpose of its text.

    The fixed words of an approved version do not count as alike in messages that are made with it.
    """
    body = await read_body(request, TextApprovalBody)
    text = await get_services(request).texts.approve(
        request.match_info["id"], body.version, request[ACTOR]
    )
    return json_response(text)


@routes.post("/v1/texts/{id}/prepare")
@operation(PreparedText, body=TextForPersonBody, errors=(NotFound, Conflict))
async def prepare_text(request: web.Request) -> web.Response:
    """Return a version for one person, and the `template` that a message with it names.

    409 where they lack a value without words in its place: such a person is left out.
    """
    body = await read_body(request, TextForPersonBody)
    prepared = await get_services(request).texts.prepare(
        request.match_info["id"], body.version, body.prospect, request[ACTOR]
    )
    return json_response(prepared)


@routes.post("/v1/texts/{id}/test")
@operation(MessageRecord, status=202, body=TestMessageBody, errors=(NotFound, Conflict))
async def send_test_message(request: web.Request) -> web.Response:
    """Queue a test message of a version, by hand, to the own number of the user who asks.

    The gate, the budgets and their own opt-out hold as for any message; it is marked by the
    `campaign` `test_message`. 409 with a sentence where they have no number, or it can't go now.
    """
    body = await read_body(request, TestMessageBody)
    message = await get_services(request).test_messages.send(
        request.match_info["id"],
        body.version,
        request[ACTOR],
        prospect=body.prospect,
        session=body.session,
    )
    return json_response(message, status=202)


@routes.get("/v1/prospects/{id}/texts")
@operation(ResultPage[TextChoice], errors=(NotFound,))
async def list_prospect_texts(request: web.Request) -> web.Response:
    """Return the approved texts that fit a prospect now, as they would get them.

    First contacts for people who were never in touch with us, the others for the rest.
    """
    prospect = request.match_info["id"]
    return list_response(await get_services(request).texts.list_choices(prospect, request[ACTOR]))


def _read_version(body: TextVersionBody | TextBody) -> NewTextVersion:
    return NewTextVersion(body=body.body, footer=body.footer, fallbacks=body.fallbacks)
