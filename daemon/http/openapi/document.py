"""The OpenAPI 3.1 document, made from the routes and what their handlers declare."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from daemon.auth.access import required, template
from daemon.auth.refusals import (
    CsrfRefused,
    LinkSpent,
    OriginRefused,
    ScopeMissing,
    SignInFailed,
    Unauthorized,
)
from daemon.auth.scopes import Scope
from daemon.errors import (
    BadRequest,
    BodyTooLarge,
    EncodingRefused,
    LeadMasterError,
    StorageFull,
    Unavailable,
)
from daemon.http.openapi.operation import BYTES, JSON, Operation, operation_of
from daemon.http.openapi.problem import ProblemDetails
from daemon.http.release import VERSION

_REFUSALS: Final = Unauthorized.__module__
PROBLEM: Final = "application/problem+json"
REF: Final = "#/components/schemas/"
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
        "name": "leadmaster",
        "description": "A browser that signed in; changes need `Origin` and `X-CSRF-Token` too. "
        "Over TLS the cookie is called `__Host-leadmaster`.",
    },
}
_SUBJECTS: Final = {
    **dict.fromkeys(("ready", "metrics", "status", "stats"), "health"),
    "resume": "halt",
    "uploads": "imports",
    "keys": "tokens",
}
"""Words of paths that belong to another word's subject."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A route with what its handler declares."""

    method: str
    path: str
    handler: object
    operation: Operation

    @property
    def scope(self) -> Scope | None:
        """Return the scope that it asks for, as the one table says."""
        return required(self.method, self.path)

    @property
    def words(self) -> tuple[str, str]:
        """Return the first sentence of the handler's docstring, and the whole of it."""
        text = " ".join((inspect.getdoc(self.handler) or "").split())
        return re.split(r"(?<=[.;]) ", text)[0].rstrip(".;"), text

    @property
    def tag(self) -> str:
        """Return what the route is about: the first word of its path, or that word's subject."""
        word = next(part for part in self.path.split("/") if part and part != "v1")
        return _SUBJECTS.get(word, word)

    @property
    def name(self) -> str:
        """Return a name for generated clients, such as `post_messages_id_cancel`."""
        words = re.findall(r"\w+", template(self.path).removeprefix("/v1"))
        return "_".join([self.method.lower(), *words]).replace("-", "_")


def described(routes: Iterable[web.AbstractRouteDef]) -> list[Described]:
    """Return the routes that are for programs, in the order in which they are declared."""
    return [
        Described(route.method, route.path, route.handler, declared)
        for route in routes
        if isinstance(route, web.RouteDef) and (declared := operation_of(route.handler)) is not None
    ]


def document(routes: Iterable[web.AbstractRouteDef]) -> Document:
    """Return the document about these routes."""
    found = described(routes)
    schemas = _Schemas(found)
    paths: dict[str, Document] = {}
    for each in found:
        paths.setdefault(template(each.path), {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LeadMaster",
            "version": VERSION,
            "description": "WhatsApp sessions behind a gate: nothing goes out that the rules do "
            "not allow. Every error is a problem document with a stable `code`.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY},
    }


class _Schemas:
    """The schema of every declared type, those with names in one place."""

    def __init__(self, found: Iterable[Described]) -> None:
        self._types: list[Any] = [ProblemDetails]
        for each in found:
            kinds = (*_each(each.operation.answer), each.operation.body, each.operation.query)
            self._types += [kind for kind in kinds if kind is not None]
            self._types += each.operation.otherwise.values()
        schemas, self.components = msgspec.json.schema_components(
            self._types, schema_hook=_anything, ref_template=REF + "{name}"
        )
        self._schemas = schemas

    def of(self, kind: Any) -> Document:  # noqa: ANN401 - any declared type
        """Return a declared type's schema, a reference where it has a name."""
        if isinstance(kind, tuple):
            return {"anyOf": [self.of(one) for one in kind]}
        place = next(number for number, each in enumerate(self._types) if each is kind)
        return self._schemas[place]

    def fields(self, kind: Any) -> tuple[dict[str, Document], set[str]]:  # noqa: ANN401
        """Return the schemas of a struct's fields by name, and which must be given."""
        whole = self.components[self.of(kind)["$ref"].rpartition("/")[2]]
        return whole["properties"], set(whole.get("required", ()))


def _anything(kind: type) -> Document:
    """Return the schema of a value that may be any JSON."""
    if kind is object:
        return {"description": "any value"}
    raise NotImplementedError


def _each(answer: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type, or several
    return answer if isinstance(answer, tuple) else (answer,)


def _operation(each: Described, schemas: _Schemas) -> Document:
    summary, text = each.words
    scope = each.scope
    said: Document = {
        "operationId": each.name,
        "tags": [each.tag],
        "summary": summary,
        "description": f"{text}\n\nScope: {f'`{scope}`' if scope else 'none'}.",
        "parameters": [*_path_parameters(each.path), *_query(each.operation, schemas)],
        "responses": _responses(each, schemas),
        "security": [{name: []} for name in _SECURITY] if scope else [],
    }
    if each.operation.body is not None:
        said["requestBody"] = {"required": True, "content": _body(each.operation, schemas)}
    return said


def _path_parameters(path: str) -> list[Document]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": words.split("|")} if words else _PATH_WORD,
        }
        for name, words in _PARAMETER.findall(path)
    ]


_PATH_WORD: Final = {"type": "string", "minLength": 1}


def _query(operation: Operation, schemas: _Schemas) -> list[Document]:
    parameters: list[Document] = []
    if operation.query is not None:
        fields, needed = schemas.fields(operation.query)
        parameters += [
            {"name": name, "in": "query", "required": name in needed, "schema": _given(schema)}
            for name, schema in fields.items()
        ]
    if operation.key:
        key = {"type": "string", "minLength": 1, "maxLength": 200}
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": key})
    return parameters


def _given(schema: Document) -> Document:
    """Return a field's schema without null: in a query what is null is left out."""
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


def _body(operation: Operation, schemas: _Schemas) -> Document:
    if operation.takes == BYTES:
        return {BYTES: {"schema": {}}}
    return {operation.takes: {"schema": schemas.of(operation.body)}}


def _responses(each: Described, schemas: _Schemas) -> Document:
    operation = each.operation
    answers: dict[int, Document] = {
        operation.status: {
            "description": HTTPStatus(operation.status).phrase,
            "content": _content(operation, schemas),
        }
    }
    if operation.tagged:
        answers[operation.status]["headers"] = {"ETag": {"schema": {"type": "string"}}}
        answers[304] = {"description": "What the client has already is still so."}
    for status, codes in _refusals(each).items():
        answers[status] = {
            "description": " or ".join(f"`{code}`" for code in sorted(codes)),
            "content": {PROBLEM: {"schema": schemas.of(ProblemDetails)}},
        }
    for status, kind in operation.otherwise.items():
        answers[status]["content"] |= {JSON: {"schema": schemas.of(kind)}}
    return {str(status): answers[status] for status in sorted(answers)}


def _content(operation: Operation, schemas: _Schemas) -> Document:
    text = {"schema": {"type": "string"}}
    return {
        media: {"schema": schemas.of(operation.answer)} if media == JSON else text
        for media in operation.gives
    }


def _refusals(each: Described) -> Mapping[int, set[str]]:
    """Return the codes of every error that a route may answer with, by status."""
    operation = each.operation
    found: list[type[LeadMasterError]] = [*operation.refuses, Unavailable]
    if each.scope is not None:
        found += [*_strangers(), ScopeMissing]
    if operation.body is not None or operation.query is not None:
        found.append(BadRequest)
    if each.method != "GET":
        found += [StorageFull, OriginRefused, CsrfRefused]
    if operation.body is not None:
        found += [BodyTooLarge, EncodingRefused]
    codes: dict[int, set[str]] = {}
    for kind in found:
        codes.setdefault(kind.status, set()).add(kind.code)
    return codes


def _strangers() -> list[type[LeadMasterError]]:
    """Return the errors of whoever does not say, or not well, who they are."""
    return [
        kind
        for kind in LeadMasterError.registry.values()
        if kind.__module__ == _REFUSALS
        and kind.status == HTTPStatus.UNAUTHORIZED
        and kind not in {SignInFailed, LinkSpent}
    ]
