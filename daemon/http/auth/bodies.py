"""Bodies that carry secrets, which never show them, and answers that nobody may keep."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web

from daemon.http.bodies import RequestBody, json_response

UserName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
SecretText = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class SecretBody(RequestBody, frozen=True):
    """A body with a secret in it."""

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"{type(self).__name__}(…)"


def uncached_response(thing: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - any record
    """Answer with something that no cache may keep."""
    response = json_response(thing, status)
    response.headers["Cache-Control"] = "no-store"
    return response
