"""States of one attempt to link a phone, by QR codes or by one code that is typed on it."""

from __future__ import annotations

from enum import StrEnum

from statemachine.states import States

from statemachines.machine import StrictMachine

# What WhatsApp hands out for one attempt: six codes, of which the first lasts longer.
MAX_CODES = 6
FIRST_CODE_SECONDS = 60
NEXT_CODE_SECONDS = 20
PAIRING_WINDOW_SECONDS = FIRST_CODE_SECONDS + (MAX_CODES - 1) * NEXT_CODE_SECONDS


def code_lifetime_seconds(index: int) -> int:
    """Return the seconds for which code `index` can be scanned; the first code has index 1."""
    return FIRST_CODE_SECONDS if index == 1 else NEXT_CODE_SECONDS


class PairingMethod(StrEnum):
    """How a phone is linked: it scans QR codes, or its owner types a code of eight characters."""

    QR = "qr"
    CODE = "code"


class QrState(StrEnum):
    """The state of one attempt to link a phone; the next attempt starts from `none`."""

    NONE = "none"
    ISSUED = "issued"
    REFRESHED = "refreshed"
    SCANNED = "scanned"
    PAIRED = "paired"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class QrEvent(StrEnum):
    """What can happen to a pairing attempt; names shared with ConnectionEvent mean the same."""

    QR_ISSUED = "qr_issued"
    SCANNED = "scanned"
    PAIRED = "paired"
    QR_EXHAUSTED = "qr_exhausted"
    PAIRING_FAILED = "pairing_failed"
    CANCELLED = "cancelled"


class QrMachine(StrictMachine[QrState]):
    """One pairing attempt: none → issued → refreshed … → scanned → paired, expired, cancelled."""

    s = States.from_enum(
        QrState,
        initial=QrState.NONE,
        final={QrState.PAIRED, QrState.EXPIRED, QrState.CANCELLED},
        use_enum_instance=True,
    )

    qr_issued = s.NONE.to(s.ISSUED) | s.ISSUED.to(s.REFRESHED) | s.REFRESHED.to.itself()
    scanned = s.SCANNED.from_(s.ISSUED, s.REFRESHED)
    # A library may report the pairing without the scan that led to it.
    paired = s.PAIRED.from_(s.SCANNED, s.ISSUED, s.REFRESHED)
    qr_exhausted = s.EXPIRED.from_(s.ISSUED, s.REFRESHED)
    # From none where the platform gave no code at all.
    pairing_failed = s.EXPIRED.from_(s.NONE, s.ISSUED, s.REFRESHED, s.SCANNED)
    cancelled = s.CANCELLED.from_(s.NONE, s.ISSUED, s.REFRESHED, s.SCANNED)
