"""Why a connection ends: the close codes that the stream uses, each with its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode

from daemon.errors import LeadMasterError, Unavailable


@dataclass(frozen=True, slots=True)
class CloseReason:
    """A close code (RFC 6455) and the reason that travels with it, 123 bytes at most."""

    code: int
    reason: str


CLOSE_CLIENT_LEFT: Final = CloseReason(WSCloseCode.OK, "")
CLOSE_RESTARTING: Final = CloseReason(
    WSCloseCode.SERVICE_RESTART, "The daemon ends; come back in a moment."
)
CLOSE_RIGHTS_CHANGED: Final = CloseReason(
    WSCloseCode.SERVICE_RESTART, "Your rights changed; connect again to use them."
)
CLOSE_TOO_SLOW: Final = CloseReason(
    WSCloseCode.TRY_AGAIN_LATER, "You did not read fast enough; resume from your last seq."
)
CLOSE_TOO_MANY_MISTAKES: Final = CloseReason(
    WSCloseCode.POLICY_VIOLATION, "Too many messages could not be understood."
)
CLOSE_INTERNAL_ERROR: Final = CloseReason(
    WSCloseCode.INTERNAL_ERROR, "The daemon failed here; its log says where."
)


def close_reason_from_error(error: LeadMasterError) -> CloseReason:
    """Return the end of a connection that is not, or no longer, served; the error has a frame."""
    later = isinstance(error, Unavailable)
    code = WSCloseCode.TRY_AGAIN_LATER if later else WSCloseCode.POLICY_VIOLATION
    return CloseReason(code, error.code)
