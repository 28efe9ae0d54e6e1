"""The pages of texts: the list, and one text with its versions and a preview on real people."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.errors import BadRequest
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestQuery, read_body, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services
from daemon.http.v1.texts import TextPreviewBody, build_preview_search
from daemon.texts.personal_values import list_known_variables
from daemon.texts.preview import TextPreview
from storage import imports
from storage.texts import NewTextVersion, TextPurpose, TextRecord

routes = web.RouteTableDef()

_FOOTER: Final = (
    "Soy {quien}; tu número lo tomamos de {origen_en_palabras}."
    " Si preferís que no te escribamos, respondé BAJA."
)
"""What a new first contact begins with: in the language of the contact, not of the page."""


class NewTextQuery(RequestQuery, frozen=True):
    """What a new text is for."""

    purpose: TextPurpose = TextPurpose.FIRST_CONTACT


class TextChoicesQuery(RequestQuery, frozen=True):
    """The prospect whose texts are asked for."""

    prospect: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


@routes.get("/texts")
@render_errors
async def show_texts(request: web.Request) -> web.StreamResponse:
    """Show all texts, and what a new one can be for."""
    found = await get_services(request).texts.list_texts()
    return await render_page(
        request, "texts.html", active_page="texts", found=found, purposes=tuple(TextPurpose)
    )


@routes.get("/texts/new")
@render_errors
async def show_new_text(request: web.Request) -> web.StreamResponse:
    """Show the editor of a text that is not stored yet."""
    return await _render_editor(request, read_query(request, NewTextQuery).purpose, None)


@routes.get("/texts/{id}")
@render_errors
async def show_text(request: web.Request) -> web.StreamResponse:
    """Show one text with its versions, and the editor of the next one."""
    text = await get_services(request).texts.get_text(request.match_info["id"])
    return await _render_editor(request, text.purpose, text)


@routes.post("/pieces/texts/preview")
@render_errors
async def show_text_preview(request: web.Request) -> web.StreamResponse:
    """Show what is typed on three real people, or what is wrong with it and where."""
    typed = await read_body(request, TextPreviewBody)
    new = NewTextVersion(body=typed.body, footer=typed.footer, fallbacks=typed.fallbacks)
    search = build_preview_search(request, typed)
    preview: TextPreview | None = None
    problem: BadRequest | None = None
    try:
        preview = await get_services(request).texts.preview(
            typed.purpose, new, request[ACTOR], search, page=typed.page
        )
    except BadRequest as error:
        problem = error
    return render_piece(request, "pieces/text_preview.html", preview=preview, problem=problem)


@routes.get("/pieces/texts/choices")
@render_errors
async def show_text_choices(request: web.Request) -> web.StreamResponse:
    """Show the approved texts that fit a prospect now, as they would get them."""
    prospect = read_query(request, TextChoicesQuery).prospect
    choices = await get_services(request).texts.list_choices(prospect, request[ACTOR])
    return render_piece(request, "pieces/text_choices.html", choices=choices)


async def _render_editor(
    request: web.Request, purpose: TextPurpose, text: TextRecord | None
) -> web.StreamResponse:
    first = purpose is TextPurpose.FIRST_CONTACT
    newest = text.versions[0] if text else None
    return await render_page(
        request,
        "text.html",
        active_page="texts",
        text=text,
        purpose=purpose,
        newest=newest or NewTextVersion(body="", footer=_FOOTER if first else "", fallbacks={}),
        own_number=await get_services(request).test_messages.find_own_number(request[ACTOR]),
        variables=await get_services(request).database.read(list_known_variables),
        imports=await get_services(request).database.read(imports.list_imports),
    )
