"""One attempt to link a phone: the QR's machine and the code that is on show."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.api.signals import QrIssued
from daemon.events import SessionQrShown
from statemachines.machine import IllegalMove, Life, fire
from statemachines.qr import Qr, QrEvent, QrMachine
from statemachines.session import ConnectionEvent

FOLLOWED = {event.value for event in QrEvent} - {QrEvent.CANCELLED.value}


class Pairing:
    """The life of one QR. The code itself lives here and nowhere else."""

    def __init__(self) -> None:
        self._machine = QrMachine(model=Life(Qr.NONE))
        self._shown: SessionQrShown | None = None

    @property
    def state(self) -> Qr:
        """Return where this attempt stands."""
        return self._machine.model.state

    def show(self, session: str, issued: QrIssued, now: datetime) -> SessionQrShown:
        """Put a code on show; it carries the moment at which it ends."""
        self._shown = SessionQrShown(
            subject=session,
            at=now,
            code=issued.code,
            index=issued.index,
            maximum=issued.maximum,
            expires_at=now + timedelta(seconds=issued.valid_seconds),
        )
        return self._shown

    def current(self, now: datetime) -> SessionQrShown | None:
        """Return the code that can be scanned now, or None."""
        return self._shown if self._shown and now < self._shown.expires_at else None

    def follow(self, event: ConnectionEvent) -> None:
        """Go along with what happened to the connection; anything but a code ends the show."""
        if event is not ConnectionEvent.QR_ISSUED:
            self._shown = None
        if event.value in FOLLOWED:
            self._fire(QrEvent(event.value))

    def cancel(self) -> None:
        """End the attempt, unless it has ended."""
        self._shown = None
        self._fire(QrEvent.CANCELLED)

    def _fire(self, event: QrEvent) -> None:
        try:
            fire(self._machine, event)
        except IllegalMove:
            return  # an attempt that is over stays as it ended
