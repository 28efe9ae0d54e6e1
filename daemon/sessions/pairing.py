"""One attempt to link a phone: the QR's machine and the code that is on show."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.api.signals import QrIssued
from daemon.events import SessionQrShown
from statemachines.machine import IllegalTransition, StateModel, fire_event
from statemachines.qr import QrEvent, QrMachine, QrState
from statemachines.session import ConnectionEvent

QR_CONNECTION_EVENTS = {event.value for event in QrEvent} - {QrEvent.CANCELLED.value}


class PairingAttempt:
    """The life of one QR. The code itself lives here and nowhere else."""

    def __init__(self) -> None:
        self._machine = QrMachine(model=StateModel(QrState.NONE))
        self._shown: SessionQrShown | None = None

    @property
    def state(self) -> QrState:
        """Return where this attempt stands."""
        return self._machine.model.state

    def show_qr(self, session: str, issued: QrIssued, now: datetime) -> SessionQrShown:
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

    def get_current_qr(self, now: datetime) -> SessionQrShown | None:
        """Return the code that can be scanned now, or None."""
        return self._shown if self._shown and now < self._shown.expires_at else None

    def apply_connection_event(self, event: ConnectionEvent) -> None:
        """Go along with what happened to the connection; anything but a code ends the show."""
        if event is not ConnectionEvent.QR_ISSUED:
            self._shown = None
        if event.value in QR_CONNECTION_EVENTS:
            self._fire_event(QrEvent(event.value))

    def cancel(self) -> None:
        """End the attempt, unless it has ended."""
        self._shown = None
        self._fire_event(QrEvent.CANCELLED)

    def _fire_event(self, event: QrEvent) -> None:
        try:
            fire_event(self._machine, event)
        except IllegalTransition:
            return  # an attempt that is over stays as it ended
