"""The document of every error (RFC 9457), as clients are told of it."""

from __future__ import annotations

from daemon.http.bodies import ResponseBody


class ProblemDetails(ResponseBody, frozen=True):
    """What went wrong: `code` is stable, `detail` says what and where, `hint` what to do.

    `request_id` is what the daemon's log knows the request by.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str
    request_id: str
