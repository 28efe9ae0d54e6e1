"""What goes wrong at a WhatsApp, on demand: refusals, bans, silence, missing acknowledgements."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.virtual_whatsapp.binary_node import SERVER_JID, Attributes, Node

TIMELOCK = 463
"""The code with which a server refuses a message to somebody new."""


@dataclass(slots=True)
class Faults:
    """What goes wrong from now on, for every client; nothing by itself.

    ``login_failure`` answers each login; ``silent`` answers nothing at all. Messages to the numbers
    in ``unacknowledged`` arrive and are never acknowledged, those in ``acknowledged_late`` after so
    many seconds; those to ``refused`` are refused with a
    code, and do not arrive; of those to ``unreceipted`` nothing is reported.
    ``cut_on_message`` breaks the connection instead of acknowledging, so many times.
    A number check is refused with ``check_refused``; of the numbers in ``unlisted`` its answer says
    nothing.
    ``link_code_refused`` refuses with a code to link a device by a code that is typed.
    """

    login_failure: Node | None = None
    silent: bool = False
    unacknowledged: set[str] = field(default_factory=set)
    acknowledged_late: dict[str, float] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    unreceipted: set[str] = field(default_factory=set)
    cut_on_message: int = 0
    check_refused: int = 0
    unlisted: set[str] = field(default_factory=set)
    pairing_codes: int = 6
    link_code_refused: int = 0


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


def build_replaced() -> Node:
    """Return what a client is sent when another one takes its place."""
    return Node("stream:error", {}, (Node("conflict", {"type": "replaced"}),))


def build_device_removed() -> Node:
    """Return what a client is sent when its device is unlinked on the phone."""
    removed = Node("conflict", {"type": "device_removed"})
    return Node("stream:error", {"code": "401"}, (removed,))
