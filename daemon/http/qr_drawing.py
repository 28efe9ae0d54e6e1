"""Draws the code that a phone scans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.late_imports import LateImport

if TYPE_CHECKING:
    import segno

_SEGNO: Final = LateImport("segno", "segno.writers")


async def draw_qr_code(code: str) -> segno.QRCode:
    """Return the drawing of a pairing code, which can be saved in several formats."""
    await _SEGNO.ensure_loaded()
    import segno  # noqa: PLC0415 - loaded by now

    # The least error correction: a screen does not get dirty, and fewer modules are easier to scan.
    # Phones do not read micro codes.
    return segno.make(code, error="l", micro=False)
