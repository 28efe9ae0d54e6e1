"""What a client may send: one JSON object a message, told apart by `frame`."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon import misfits
from daemon.errors import BadRequest
from daemon.http.ws.interest import SubscriptionRequest


class SignInFrame(SubscriptionRequest, frozen=True, tag_field="frame", tag="sign_in"):
    """Who the client is, where the handshake did not say it, and what it wants to hear."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return "SignIn(…)"


class SubscribeFrame(SubscriptionRequest, frozen=True, tag_field="frame", tag="subscribe"):
    """What the client wants to hear from now on, instead of what it wanted before."""


_DECODER: Final[msgspec.json.Decoder[SignInFrame | SubscribeFrame]] = msgspec.json.Decoder(
    SignInFrame | SubscribeFrame
)


def parse_client_frame(data: object) -> SignInFrame | SubscribeFrame:
    """Return a client's message; raise :class:`BadRequest` for anything else."""
    if not isinstance(data, str):
        raise BadRequest("The message is not text.", hint="Send one JSON object a message.")
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise BadRequest(
            misfits.format_validation_error(
                error, SignInFrame | SubscribeFrame, value_name="message"
            ),
            hint='Send {"frame": "subscribe", "topics": […], "sessions": […]}.',
        ) from error


def read_subscription_query(request: web.Request) -> SubscriptionRequest:
    """Return what the address asks for; lists are written with commas between.

    Raises :class:`BadRequest`. A token has no place in an address, and is refused there.
    """
    given: dict[str, object] = dict(request.query)
    for name in ("topics", "sessions"):
        if name in request.query:
            given[name] = tuple(each for each in request.query[name].split(",") if each)
    try:
        return msgspec.convert(given, SubscriptionRequest, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(
            misfits.format_validation_error(error, SubscriptionRequest, value_name="query")
        ) from error
