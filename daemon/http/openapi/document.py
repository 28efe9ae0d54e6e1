"""Builds the OpenAPI 3.1 document from the routes and what their handlers declare."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon.auth.access import RequiredAccess, get_required_scope, normalise_path_template
from daemon.auth.errors import (
    CsrfRefused,
    OriginRefused,
    ScopeMissing,
    SignInFailed,
    SignInLinkSpent,
    Unauthorized,
)
from daemon.auth.identity import Scope
from daemon.errors import (
    BadRequest,
    BodyTooLarge,
    EncodingRefused,
    LeadMasterError,
    StorageFull,
    Unavailable,
)
from daemon.http.bodies import ResultPage
from daemon.http.browser_session import COOKIE_NAME, COOKIE_PREFIX, CSRF_HEADER
from daemon.http.openapi.operation import (
    IDEMPOTENCY_KEY_HEADER,
    JSON,
    OCTET_STREAM,
    Operation,
    get_operation,
)
from daemon.http.problems import PROBLEM_JSON, ProblemDetails
from daemon.http.version import VERSION

_AUTH_ERRORS_MODULE: Final = Unauthorized.__module__
REF_PREFIX: Final = "#/components/schemas/"
_BINARY: Final = {"type": "string", "format": "binary"}
_PARAMETER: Final = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_SECURITY: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token, made with `leadmaster tokens add` or `POST /v1/tokens`.",
    },
    "browser": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE_NAME,
        "description": f"A browser that signed in; changes need `Origin` and `{CSRF_HEADER}` too. "
        f"Over TLS the cookie is called `{COOKIE_PREFIX}{COOKIE_NAME}`.",
    },
}
_TAG_OF_PATH_WORD: Final = {
    **dict.fromkeys(("ready", "metrics", "status", "morning", "stats"), "health"),
    "resume": "halt",
    "uploads": "imports",
    "keys": "tokens",
    "decision-entries": "numbers",
    "bans": "numbers",
}
"""Tags of paths whose first word is not the tag itself."""
TAGS: Final[Mapping[str, str]] = {
    "health": "Whether the daemon is alive and ready, its metrics and its counts.",
    "alerts": "What is wrong or was, who was notified, and a test of that.",
    "halt": "Stop all sending, and resume it.",
    "audit": "Who did what, when, and why.",
    "events": "Stored events from any position, then live ones; also as a WebSocket.",
    "sessions": "The WhatsApp sessions: add, start, pair, stop and delete them.",
    "numbers": "Phone numbers: budgets, breaker, bans, and decisions to raise a budget.",
    "messages": "Messages to send: enqueue, list, explain, cancel and settle them.",
    "conversations": "Chats: who waits, answers, outcomes, closing, snoozing and drafts.",
    "clients": "Clients, who get deliveries.",
    "campaigns": "Lists worked through by hand: dry run, start, turns, funnel and report.",
    "deliveries": "Batches of people for a client: preview, freeze, files, disputes, money.",
    "texts": "Texts: templates of messages, with versions, previews and approvals.",
    "invites": "Links by which people write to us first, and where each hangs.",
    "inbound": "Messages that contacts wrote, and what they request.",
    "quarantine": "What channels reported that could not be stored: list and settle it.",
    "decisions": "The gate's decisions, each with the facts that it was based on.",
    "review": "Messages and prospects that wait for a person's approval.",
    "manual": "Messages that a person sends by hand, each leased to one operator at a time.",
    "imports": "Lists of prospects: upload a file, preview the import, run it, read its report.",
    "prospects": "The people to write to: list, create, correct, validate and check them.",
    "saved-filters": "Filters of prospects under a name: keep, change, use and delete them.",
    "suppressions": "Contacts that must not be written to: list, check, add, lift and import them.",
    "do-not-call": "Official do-not-call registers: who is on one gets nothing commercial.",
    "history": "What a former system sent and was answered: preview it, import it, declare none.",
    "exports": "Prospects and suppressions as CSV, safe to open in a spreadsheet.",
    "backups": "Sealed copies of the installation: list them, make one, make their key.",
    "phases": "The phases of the service: what each still needs, and opening one early.",
    "rules": "Rulesets in force, pending and past: change, accept, roll back, explain, backtest.",
    "sign-in": "Sign a browser in and out, and read who is signed in.",
    "sign-in-links": "Links that sign a user in once; an administrator creates them.",
    "users": "The users and their roles.",
    "tokens": "API tokens for programs, and the key that signs them.",
}
"""Every tag of the document, with its description."""
_PAGE_NAME: Final = re.compile(rf"{ResultPage.__name__}[_\[](\w+?)[_\]]$")
"""msgspec's names for the generic page of a type: as a component's key, and as its title."""
Document = dict[str, Any]


class DescribedRoute(Struct, frozen=True):
    """A route with its handler's declared operation."""

    method: str
    path: str
    handler: Callable[..., object]
    operation: Operation

    @property
    def access(self) -> RequiredAccess:
        """Return the required access, from the same table that the server checks by."""
        return get_required_scope(self.method, self.path)

    @property
    def summary_and_text(self) -> tuple[str, str]:
        """Return the first sentence of the handler's docstring, and the whole docstring."""
        text = " ".join((inspect.getdoc(self.handler) or "").split())
        return re.split(r"(?<=[.;]) ", text)[0].rstrip(".;"), text

    @property
    def tag(self) -> str:
        """Return the route's tag: the first word of its path, or what that word maps to."""
        word = next(part for part in self.path.split("/") if part and part != "v1")
        return _TAG_OF_PATH_WORD.get(word, word)

    @property
    def operation_id(self) -> str:
        """Return the handler's name, such as `cancel_message`, which generated clients use."""
        return str(self.handler.__name__)


def describe_routes(routes: Iterable[web.AbstractRouteDef]) -> list[DescribedRoute]:
    """Return the routes that declare an operation, in order of declaration."""
    return [
        DescribedRoute(route.method, route.path, route.handler, declared)
        for route in routes
        if isinstance(route, web.RouteDef)
        and (declared := get_operation(route.handler)) is not None
    ]


def build_document(routes: Iterable[web.AbstractRouteDef]) -> Document:
    """Return the OpenAPI document of these routes."""
    found = describe_routes(routes)
    schemas = _Schemas(found)
    paths: dict[str, Document] = {}
    for each in found:
        paths.setdefault(normalise_path_template(each.path), {})[each.method.lower()] = (
            _build_operation(each, schemas)
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LeadMaster",
            "version": VERSION,
            "description": "WhatsApp sessions behind a gate: nothing goes out that the rules do "
            "not allow. Every error is a problem document with a stable `code`.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY},
    }


class _Schemas:
    """The schemas of all declared types, named ones as components."""

    def __init__(self, found: Iterable[DescribedRoute]) -> None:
        self._types: list[Any] = [ProblemDetails]
        for each in found:
            kinds = (*_as_tuple(each.operation.answer), each.operation.body, each.operation.query)
            self._types += [kind for kind in kinds if kind is not None]
            self._types += each.operation.other_answers.values()
        schemas, components = msgspec.json.schema_components(
            self._types, schema_hook=_any_value_schema, ref_template=REF_PREFIX + "{name}"
        )
        self._schemas: list[Document] = [_rename_pages(each) for each in schemas]
        self.components: Document = {
            _name_page(name): _rename_pages(schema) for name, schema in components.items()
        }

    def get_schema(self, kind: Any) -> Document:  # noqa: ANN401 - any declared type
        """Return a declared type's schema: a reference where the type is a component."""
        if isinstance(kind, tuple):
            return {"anyOf": [self.get_schema(one) for one in kind]}
        place = next(number for number, each in enumerate(self._types) if each is kind)
        return self._schemas[place]

    def get_fields(self, kind: Any) -> tuple[dict[str, Document], set[str]]:  # noqa: ANN401
        """Return the schemas of a struct's fields by name, and the names of the required ones."""
        whole = self.components[self.get_schema(kind)["$ref"].rpartition("/")[2]]
        return whole["properties"], set(whole.get("required", ()))


def _name_page(name: str) -> str:
    """Return a component's public name, which is XPage for a page of X."""
    # msgspec's own name has brackets or underscores, which clients would carry into their code.
    return _PAGE_NAME.sub(r"\1Page", name)


def _rename_pages(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return a schema whose title and references have the public names of components."""
    match schema:
        case dict():
            return {
                key: _name_page(value)
                if key in {"$ref", "title"} and isinstance(value, str)
                else _rename_pages(value)
                for key, value in schema.items()
            }
        case list():
            return [_rename_pages(each) for each in schema]
        case _:
            return schema


def _any_value_schema(kind: type) -> Document:
    """Return the schema of a value that may be any JSON."""
    if kind is object:
        return {"description": "any value"}
    raise NotImplementedError  # msgspec's way to be told that this hook knows no schema


def _as_tuple(answer: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type, or several
    return answer if isinstance(answer, tuple) else (answer,)


def _build_operation(each: DescribedRoute, schemas: _Schemas) -> Document:
    summary, text = each.summary_and_text
    access = each.access
    scope = f"`{access}`" if isinstance(access, Scope) else "none"
    described: Document = {
        "operationId": each.operation_id,
        "tags": [each.tag],
        "summary": summary,
        "description": f"{text}\n\nScope: {scope}.",
        "parameters": [
            *_build_path_parameters(each.path),
            *_build_query_parameters(each.operation, schemas),
        ],
        "responses": _build_responses(each, schemas),
        # Alternatives: one of them is enough. An empty list means that none is needed.
        "security": [{name: []} for name in _SECURITY] if access is not None else [],
    }
    if each.operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": _build_body_content(each.operation, schemas),
        }
    return described


def _build_path_parameters(path: str) -> list[Document]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": words.split("|")} if words else _PATH_VALUE_SCHEMA,
        }
        for name, words in _PARAMETER.findall(path)
    ]


_PATH_VALUE_SCHEMA: Final = {"type": "string", "minLength": 1}


def _build_query_parameters(operation: Operation, schemas: _Schemas) -> list[Document]:
    parameters: list[Document] = []
    if operation.query is not None:
        fields, needed = schemas.get_fields(operation.query)
        parameters += [
            {
                "name": name,
                "in": "query",
                "required": name in needed,
                "schema": _remove_null(schema),
            }
            for name, schema in fields.items()
        ]
    if operation.idempotency_key:
        key = {"type": "string", "minLength": 1, "maxLength": 200}
        parameters.append({"name": IDEMPOTENCY_KEY_HEADER, "in": "header", "schema": key})
    return parameters


def _remove_null(schema: Document) -> Document:
    """Return a field's schema without null, which a query can't express: the field is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    if len(kinds) == 1:
        return {**kinds[0], **rest}
    if isinstance(schema.get("type"), list):
        rest["type"] = next(word for word in schema["type"] if word != "null")
    if "enum" in schema:
        rest["enum"] = [word for word in schema["enum"] if word is not None]
    default = {"default": schema["default"]} if schema.get("default") else {}
    return {**rest, **default}


def _build_body_content(operation: Operation, schemas: _Schemas) -> Document:
    if operation.body_media_type == OCTET_STREAM:
        return {OCTET_STREAM: {"schema": dict(_BINARY)}}
    return {operation.body_media_type: {"schema": schemas.get_schema(operation.body)}}


def _build_responses(each: DescribedRoute, schemas: _Schemas) -> Document:
    operation = each.operation
    answers: dict[int, Document] = {
        operation.status: {
            "description": HTTPStatus(operation.status).phrase,
            "content": _build_content(operation, schemas),
        }
    }
    if operation.etag:
        answers[operation.status]["headers"] = {"ETag": {"schema": {"type": "string"}}}
        answers[304] = {"description": "What the client has already is still so."}
    for status, codes in _list_error_codes(each).items():
        answers[status] = {
            "description": " or ".join(f"`{code}`" for code in sorted(codes)),
            "content": {PROBLEM_JSON: {"schema": schemas.get_schema(ProblemDetails)}},
        }
    for status, kind in operation.other_answers.items():
        # Before the problem document: generated clients use the first content type only.
        own = {JSON: {"schema": schemas.get_schema(kind)}}
        answers[status]["content"] = own | answers[status]["content"]
    return {str(status): answers[status] for status in sorted(answers)}


def _build_content(operation: Operation, schemas: _Schemas) -> Document:
    plain = {"schema": _BINARY if operation.answer is bytes else {"type": "string"}}
    return {
        media: {"schema": schemas.get_schema(operation.answer)} if media == JSON else plain
        for media in operation.media_types
    }


def _list_error_codes(each: DescribedRoute) -> Mapping[int, set[str]]:
    """Return the codes of every error that a route may answer with, by status."""
    operation = each.operation
    found: list[type[LeadMasterError]] = [*operation.errors, Unavailable]
    if each.access is not None:
        found += _list_authentication_errors()
    if isinstance(each.access, Scope):
        found.append(ScopeMissing)
    if operation.body is not None or operation.query is not None:
        found.append(BadRequest)
    if each.method != "GET":
        # What writes may find the disk full; what a browser sends may come from another site's
        # page.
        found += [StorageFull, OriginRefused, CsrfRefused]
    if operation.body is not None:
        found += [BodyTooLarge, EncodingRefused]
    codes: dict[int, set[str]] = {}
    for kind in found:
        codes.setdefault(kind.status, set()).add(kind.code)
    return codes


def _list_authentication_errors() -> list[type[LeadMasterError]]:
    """Return the errors of missing, invalid or expired credentials."""
    return [
        kind
        for kind in LeadMasterError.registry.values()
        if kind.__module__ == _AUTH_ERRORS_MODULE
        and kind.status == HTTPStatus.UNAUTHORIZED
        and kind not in {SignInFailed, SignInLinkSpent}
    ]
