"""HTTP client of the control socket (AF_UNIX), with the standard library alone, to start fast."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from daemon.errors import LeadMasterError, NotAllowed, NotRunning, Unavailable

Json: TypeAlias = Any
"""A decoded JSON document; docs/reference/api.md describes each."""
ANSWER_SECONDS: Final = 90.0
_ERROR: Final = 400


class UnrecognisedError(LeadMasterError):
    """An error of the daemon with a code that the client does not know."""

    code = "refused"
    hint = "Use the command line that came with the daemon; it knows all of its error codes."

    def __init__(self, code: str, status: int, sentence: str, hint: str) -> None:
        super().__init__(sentence, hint=hint)
        self._problem: dict[str, object] = {"code": code, "status": status}

    def to_problem(self) -> dict[str, object]:
        """Return the problem with the daemon's own code and status."""
        return super().to_problem() | self._problem


class ControlClient:
    """Sends requests to the daemon behind a control socket, each over its own connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, *parts: str, **query: object) -> Json:
        """Send a GET request; raise the daemon's error as its own class."""
        return self._request_json("GET", _build_target(parts, query))

    def post(self, *parts: str, **body: object) -> Json:
        """Send a POST request; fields that are None are left out of its body."""
        return self._request_json("POST", _build_target(parts, {}), _encode_body(body))

    def send(
        self, to: str, text: str, *, key: str | None = None, wait: bool = False, **route: object
    ) -> Json:
        """Enqueue a message; with `wait`, return it once the gate has judged it."""
        target = _build_target(("messages",), {"wait": "verdict" if wait else None})
        return self._request_json(
            "POST", target, _encode_body({"to": to, "text": text, **route}), key
        )

    def delete(self, *parts: str, **query: object) -> Json:
        """Send a DELETE request."""
        return self._request_json("DELETE", _build_target(parts, query))

    def patch(self, *parts: str, **body: object) -> Json:
        """Send a PATCH request; fields that are None are left out of its body."""
        return self._request_json("PATCH", _build_target(parts, {}), _encode_body(body))

    def download(self, *parts: str, **query: object) -> bytes:
        """Send a GET request; return the content undecoded."""
        return self._request_bytes("GET", _build_target(parts, query))

    def fetch(self, *parts: str, **body: object) -> bytes:
        """Send a POST request; return the content undecoded."""
        return self._request_bytes("POST", _build_target(parts, {}), _encode_body(body))

    def upload(self, content: bytes, *parts: str, **query: object) -> Json:
        """Send a POST request with a file's bytes."""
        return self._request_json("POST", _build_target(parts, query), content)

    def stream(self, *parts: str, **query: object) -> Iterator[dict[str, Any]]:
        """Yield the lines of an endless answer, until the daemon closes its servers."""
        return self._stream_lines("GET", _build_target(parts, query), None)

    def follow(self, *parts: str, **body: object) -> Iterator[dict[str, Any]]:
        """Send a POST request and yield the lines of its progress."""
        return self._stream_lines("POST", _build_target(parts, {}), _encode_body(body))

    def _stream_lines(
        self, method: str, target: str, body: bytes | None
    ) -> Iterator[dict[str, Any]]:
        connection = self._connect(None)  # without a timeout: nothing may happen for hours
        try:
            response = self._send_request(connection, method, target, body)
            while line := _read_line(response):
                if line.strip():
                    yield json.loads(line)
        finally:
            connection.close()

    def _request_json(
        self, method: str, target: str, body: bytes | None = None, key: str | None = None
    ) -> Json:
        # Some answers have no body.
        return json.loads(self._request_bytes(method, target, body, key) or b"null")

    def _request_bytes(
        self, method: str, target: str, body: bytes | None = None, key: str | None = None
    ) -> bytes:
        connection = self._connect(ANSWER_SECONDS)
        try:
            return self._send_request(connection, method, target, body, key).read()
        except TimeoutError as error:
            raise Unavailable(f"The daemon did not answer within {ANSWER_SECONDS:g} s.") from error
        except (OSError, HTTPException) as error:
            raise _connection_lost(self._path) from error
        finally:
            connection.close()

    def _send_request(
        self,
        connection: HTTPConnection,
        method: str,
        target: str,
        body: bytes | None,
        key: str | None = None,
    ) -> HTTPResponse:
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        if response.status >= _ERROR:
            raise _error_from_response(response.status, response.read())
        return response

    def _connect(self, seconds: float | None) -> HTTPConnection:
        # The host is only a header here; the connected socket takes the place of the library's own.
        connection = HTTPConnection("leadmaster", timeout=seconds)
        connection.sock = _open_socket(self._path, seconds)
        return connection


def _open_socket(path: Path, seconds: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(str(path))
    except PermissionError as error:
        connection.close()
        raise NotAllowed(
            f"The control socket {path} is not open to this user.",
            hint="Run the command as root, or as the user that runs the daemon.",
        ) from error
    except OSError as error:
        connection.close()
        raise NotRunning(f"No daemon answers on {path}.") from error
    return connection


def _connection_lost(path: Path) -> NotRunning:
    return NotRunning(
        f"The daemon on {path} stopped before it answered.",
        hint="Look at its log; then ask again: a request repeated with --key is carried out once.",
    )


def _read_line(response: HTTPResponse) -> bytes:
    """Return the next line; empty at the end of the stream, also where the daemon was killed."""
    try:
        return response.readline()
    except (OSError, HTTPException):
        return b""


def _build_target(parts: tuple[str, ...], query: Mapping[str, object]) -> str:
    path = "/".join(quote(part, safe="") for part in parts)
    text = urlencode(
        {key: _query_value(value) for key, value in _drop_none(query).items()}, doseq=True
    )
    return f"/v1/{path}?{text}" if text else f"/v1/{path}"


def _query_value(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _drop_none(fields: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value is not None}


def _encode_body(body: Mapping[str, object]) -> bytes:
    return json.dumps(_drop_none(body)).encode()


def _error_from_response(status: int, content: bytes) -> LeadMasterError:
    try:
        return error_from_problem(json.loads(content))
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"The daemon answered with {status} and no explanation.")


def error_from_problem(problem: Mapping[str, Any]) -> LeadMasterError:
    """Turn a problem document back into the error that it was."""
    code, sentence, hint = str(problem["code"]), str(problem["detail"]), str(problem["hint"])
    known = LeadMasterError.registry.get(code)
    if known is None or known is UnrecognisedError:
        return UnrecognisedError(code, int(problem["status"]), sentence, hint)
    return known(sentence, hint=hint)
