"""Why a connection ends: the close codes that the stream uses, each with its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode

from daemon.errors import LeadMasterError, Unavailable


@dataclass(frozen=True, slots=True)
class Ending:
    """A close code (RFC 6455) and the reason that travels with it, 123 bytes at most."""

    code: int
    reason: str


LEFT: Final = Ending(WSCloseCode.OK, "")
RESTARTING: Final = Ending(WSCloseCode.SERVICE_RESTART, "The daemon ends; come back in a moment.")
RIGHTS_CHANGED: Final = Ending(
    WSCloseCode.SERVICE_RESTART, "Your rights changed; connect again to use them."
)
TOO_SLOW: Final = Ending(
    WSCloseCode.TRY_AGAIN_LATER, "You did not read fast enough; resume from your last seq."
)
TOO_MANY_MISTAKES: Final = Ending(
    WSCloseCode.POLICY_VIOLATION, "Too many messages could not be understood."
)
FAILED: Final = Ending(WSCloseCode.INTERNAL_ERROR, "The daemon failed here; its log says where.")


def refused(error: LeadMasterError) -> Ending:
    """Return the end of a connection that is not, or no longer, served; the error has a frame."""
    later = isinstance(error, Unavailable)
    code = WSCloseCode.TRY_AGAIN_LATER if later else WSCloseCode.POLICY_VIOLATION
    return Ending(code, error.code)
