"""Linking a phone: the code that is shown now, and the number that is to be linked by a code.

Both are secrets: they are held in memory while they are needed, and never stored or logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from msgspec.structs import replace

from daemon.api.numbers import list_phone_spellings
from daemon.api.signals import PairingCodeIssued, QrIssued
from daemon.events import SessionPairingCodeShown, SessionQrShown

ShownCode: TypeAlias = SessionQrShown | SessionPairingCodeShown
_HALF = 4
PAIRING_STEPS: Final[Sequence[str]] = (
    "Open WhatsApp on the phone of that number.",
    "Go to Settings, Linked devices.",
    "Tap “Link a device”.",
    "Tap “Link with phone number instead”.",
    "Type the code.",
)
"""How a code is typed on the phone, in the words of its menus."""


class PairingInProgress:
    """The code that a session shows, and the number that a person gave for it.

    ``phone`` is the number (E.164) to be linked by a code that is typed; None: by QR codes.
    """

    def __init__(self) -> None:
        self.phone: str | None = None
        self._shown: ShownCode | None = None

    def show(self, session: str, issued: QrIssued | PairingCodeIssued, now: datetime) -> ShownCode:
        """Replace the code; return the event that announces it, with the moment of its expiry."""
        expires_at = now + timedelta(seconds=issued.valid_seconds)
        if isinstance(issued, PairingCodeIssued):
            code = format_pairing_code(issued.code)
            self._shown = SessionPairingCodeShown(session, now, code, expires_at)
        else:
            self._shown = SessionQrShown(
                session, now, issued.code, issued.index, issued.maximum, expires_at
            )
        return self._shown

    def hide(self) -> None:
        """Remove the code: it was used, or the attempt is over."""
        self._shown = None

    def get_current(self, now: datetime) -> ShownCode | None:
        """Return the code that can be used now, or None."""
        return self._shown if self._shown and now < self._shown.expires_at else None

    def move_back(self, by: timedelta, now: datetime) -> None:
        """Move the code's times back, after the wall clock was set back by ``by``."""
        # A code from the future was issued before the step; a later one has the new time already.
        if self._shown and self._shown.at > now:
            at, expires_at = self._shown.at - by, self._shown.expires_at - by
            self._shown = replace(self._shown, at=at, expires_at=expires_at)

    def is_other_number(self, linked: str) -> bool:
        """Return whether another number was linked than the one that was given.

        Every spelling of a line is the same number.
        """
        return self.phone is not None and linked not in list_phone_spellings(self.phone)


def format_pairing_code(code: str) -> str:
    """Return a code as the phone shows it, in two halves: ``ABCD-1234``."""
    plain = code.replace("-", "")
    return f"{plain[:_HALF]}-{plain[_HALF:]}"
