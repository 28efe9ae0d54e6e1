"""The `/audit` page: what people did, when, to what and why, newest first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from daemon.http.bodies import PageLimit, RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.evidence_view import describe_given_number
from daemon.http.console.language import Language
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services
from storage import audit, console_queries, inbound, messages, prospects
from storage.audit import AuditEntry
from storage.inbound import InboundRecord
from storage.messages import MessageRecord
from storage.tx import Reader

routes = web.RouteTableDef()

_SUBJECT_PAGES: Final = {
    "msg_": "/messages/",
    "pro_": "/prospects/",
    "imp_": "/prospects/imports/",
    "inb_": "/review/meanings/",
    "ban_": "/bans/",
    "flt_": "/prospects?saved_filter=",
}
"""Pages of the subjects that have one, by the prefix of the subject's id."""


_STORED_ID: Final = re.compile(r"[a-z]{3}_[0-9A-Z]{26}")
_HASH_KEYS: Final = frozenset({"hash", "hashes"})
_VALUE_WORDS: Final[Mapping[str, str]] = {
    "outcome": "chats.outcome.",
    "intent": "intent.",
    "meaning": "meanings.meaning.",
    "cause": "meanings.cause.",
    "role": "users.role.",
    "purpose": "texts.purpose.",
    "columns": "delivery_file.column.",
    "set": "dossier.column.",
    "scopes": "scope.",
    "previous": "deliveries.state.",
    "budget": "number_figure.",
    "banned": "reported_ban.",
    "number_age": "number_age.",
    "permission": "permission.",
    "permission_before": "permission.",
    "validation": "validation.",
    "validation_before": "validation.",
}
"""By the key of a detail: the part of the catalogue that has the words for its values."""
_WRITES_OUR_REASONS: Final = frozenset({"contact", "daemon"})


class AuditPageQuery(RequestQuery, frozen=True):
    """Filters of the audit: by actor, action and subject; `before` is the number to go on from."""

    who: str = ""
    action: str = ""
    subject: str = ""
    before: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: PageLimit = 50


@routes.get("/audit")
@render_errors
async def show_audit_page(request: web.Request) -> web.StreamResponse:
    """Show the audit; a request by htmx (a filter, the next page) gets the list alone."""
    query, services = read_query(request, AuditPageQuery), get_services(request)
    found = await services.database.read(
        lambda reader: audit.list_audit_entries(
            reader,
            who=query.who,
            action=query.action,
            subject=query.subject.strip(),
            before=query.before or None,
            limit=query.limit + 1,
        )
    )
    people, actions = await services.database.read(audit.list_audit_filters)
    visible = found[: query.limit]
    subjects = {each.entry.subject for each in visible}
    values: dict[str, Any] = {
        "found": visible,
        "names": await services.database.read(
            lambda reader: {subject: _get_subject_name(reader, subject) for subject in subjects}
        ),
        "query": query,
        "next": visible[-1].number if len(found) > query.limit else 0,
        "link": _get_subject_path,
        "list_detail": list_detail,
        "describe_reason": describe_reason,
    }
    # htmx marks its requests with this header: the page around the list is there already.
    if "HX-Request" in request.headers:
        return render_piece(request, "pieces/audit_list.html", **values)
    return await render_page(
        request, "audit.html", active_page="audit", people=people, actions=actions, **values
    )


def list_detail(detail: Mapping[str, object], words: Language) -> Iterator[tuple[str, str]]:
    """Yield what an entry says beside its reason, in words; ids and hashes are for programs."""
    for key, value in detail.items():
        if key in _HASH_KEYS or (isinstance(value, str) and _STORED_ID.fullmatch(value)):
            continue
        label = words(f"detail.{key}") if words.has(f"detail.{key}") else key.replace("_", " ")
        parts = value if isinstance(value, list | tuple) else [value]
        shown = ", ".join(_name_value(key, part, words) for part in parts)
        if shown:
            yield label, shown


def _name_value(key: str, value: object, words: Language) -> str:
    name = str(value).replace(":", "_") if key == "scopes" else str(value)
    for found in (f"{_VALUE_WORDS.get(key, '')}{name}", f"detail_value.{name.lower()}"):
        if words.has(found):
            return words(found)
    return str(value)


def describe_reason(entry: AuditEntry, words: Language) -> str:
    """Return the reason of an entry, translated where LeadMaster wrote it."""
    if entry.action == "record_given_number":
        return describe_given_number(entry.reason, words)
    if entry.who in _WRITES_OUR_REASONS or entry.action == "record_consent":
        return words.translate(entry.reason)
    return entry.reason


def _get_subject_name(reader: Reader, subject: str) -> str:
    """Return the name of the prospect that a subject is about; empty if there is none."""
    if subject.startswith("pro_"):
        prospect = prospects.get_prospect(reader, subject)
        return prospect.name if prospect else ""
    message: MessageRecord | InboundRecord | None = None
    if subject.startswith("msg_"):
        message = messages.get_message(reader, subject)
    elif subject.startswith("inb_"):
        message = inbound.get_inbound(reader, subject)
    return console_queries.get_prospect_name(reader, message.contact if message else subject)


def _get_subject_path(subject: str) -> str:
    """Return the path of a subject's page; empty if it has none."""
    found = (page for prefix, page in _SUBJECT_PAGES.items() if subject.startswith(prefix))
    path = next(found, "")
    return path + subject if path else ""
