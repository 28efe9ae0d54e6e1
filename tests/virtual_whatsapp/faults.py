"""What goes wrong at a WhatsApp, on demand: refusals, bans, silence, missing acknowledgements."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.virtual_whatsapp.binary_node import SERVER_JID, Attributes, Node

TIMELOCK = 463
"""The code with which a server refuses a message to somebody new."""


@dataclass(slots=True)
class Faults:
    """What goes wrong from now on; nothing by itself. People are named by their numbers (E.164)."""

    # Of a client that connects.
    pairing_codes: int = 6
    """How many codes one attempt to link shows; WhatsApp gives six."""
    link_code_refused: int = 0
    """The error that answers a device that asks for a code to be typed; 0: none."""
    forged_pairing: bool = False
    """Whether what links a device is not made by the phone that took its code."""
    login_failure: Node | None = None
    """What answers each login; see `build_login_failure` and `build_ban`."""
    login_failures: dict[str, Node] = field(default_factory=dict)
    """What answers the logins of these accounts."""
    silent: bool = False
    """Whether clients that log in are answered nothing any more, not even a keep-alive."""

    # Of a number check.
    check_refused: int = 0
    """The error that answers a number check; 0: none."""
    unlisted: set[str] = field(default_factory=set)
    """The numbers of which the answer to a number check says nothing."""

    # Of a message to these contacts.
    refused: dict[str, int] = field(default_factory=dict)
    """What is sent to them is refused with this error, and does not arrive."""
    unacknowledged: set[str] = field(default_factory=set)
    """What is sent to them arrives, and the server never says so."""
    acknowledged_late: dict[str, float] = field(default_factory=dict)
    """What is sent to them arrives, and the server says so after so many seconds."""
    unreceipted: set[str] = field(default_factory=set)
    """What is sent to them arrives, and their phones report neither that nor that it was read."""
    cut_on_message: int = 0
    """So many connections break off when a message has arrived, before the server says so."""


def build_login_failure(reason: int) -> Node:
    """Return the answer to a login that is refused with one of WhatsApp's codes."""
    return Node("failure", {"reason": str(reason), "location": "vir"})


def build_ban(code: int, seconds: int) -> Node:
    """Return the answer to a login of a number that is banned for so long, for this reason."""
    attributes = {"reason": "402", "location": "vir", "code": str(code), "expire": str(seconds)}
    return Node("failure", attributes)


def build_request_error(request: Node, code: int) -> Node:
    """Return the answer to an `iq` that is refused."""
    error = Node("error", {"code": str(code), "text": "refused"})
    attributes: Attributes = {"from": SERVER_JID, "type": "error", "id": request.text("id")}
    return Node("iq", attributes, (error,))


def build_stream_error(code: int) -> Node:
    """Return an error that ends the stream; 515 asks for a new connection."""
    return Node("stream:error", {"code": str(code)})


def build_passkey_request() -> Node:
    """Return what a client that shows codes is sent where the account wants a passkey."""
    kind = "passkey_prologue_request"
    attributes: Attributes = {
        "from": SERVER_JID,
        "type": kind,
        "id": kind,
        "t": str(int(time.time())),
    }
    options = Node("passkey_request_options", {}, b'{"challenge":"AAAA","rpId":"whatsapp.com"}')
    return Node("notification", attributes, (options,))


def build_replaced() -> Node:
    """Return what a client is sent when another one takes its place."""
    return Node("stream:error", {}, (Node("conflict", {"type": "replaced"}),))


def build_device_removed() -> Node:
    """Return what a client is sent when its device is unlinked on the phone."""
    removed = Node("conflict", {"type": "device_removed"})
    return Node("stream:error", {"code": "401"}, (removed,))
