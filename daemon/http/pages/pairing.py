"""The pairing code as a picture, with what its countdown needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import segno
from markupsafe import Markup

from daemon.events import SessionQrShown

_QUIET_ZONE_MODULES = 3
"""Light modules around the code; the card's own white is the rest of the quiet zone."""


@dataclass(frozen=True, slots=True)
class PairingCode:
    """A code on show. `seconds_left` and `valid_seconds` are those of the watch on the wall."""

    picture: Markup
    index: int
    maximum: int
    seconds_left: float
    valid_seconds: float


def build_pairing_code(shown: SessionQrShown, now: datetime, rate: float) -> PairingCode:
    """Return a code as the page shows it; `rate` is how fast the house's clock goes."""
    drawn = segno.make(shown.code, error="l", micro=False)
    svg = drawn.svg_inline(border=_QUIET_ZONE_MODULES, omitsize=True, svgclass="qr", lineclass=None)
    left = (shown.expires_at - now).total_seconds() / rate
    valid = (shown.expires_at - shown.at).total_seconds() / rate
    return PairingCode(
        picture=Markup(svg),  # noqa: S704 - drawn by the library from modules, no text in it
        index=shown.index,
        maximum=shown.maximum,
        seconds_left=round(max(0.0, left), 1),
        valid_seconds=round(valid, 1),
    )
