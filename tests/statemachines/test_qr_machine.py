"""The QR's machine and the lifetimes of its codes."""

from __future__ import annotations

from statemachines.machine import fire_event, restore_machine
from statemachines.qr import (
    MAX_CODES,
    PAIRING_WINDOW_SECONDS,
    QrEvent,
    QrMachine,
    QrState,
    code_lifetime_seconds,
)


def test_the_first_code_lives_longer() -> None:
    """The first code can be scanned for 60 seconds, each later one for 20."""
    assert [code_lifetime_seconds(index) for index in range(1, MAX_CODES + 1)] == [
        60,
        20,
        20,
        20,
        20,
        20,
    ]
    assert sum(map(code_lifetime_seconds, range(1, MAX_CODES + 1))) == PAIRING_WINDOW_SECONDS


def test_a_second_code_is_a_refresh() -> None:
    """Codes follow each other until one is scanned and the phone is paired."""
    machine = restore_machine(QrMachine, "none")
    assert fire_event(machine, QrEvent.QR_ISSUED) is QrState.ISSUED
    assert fire_event(machine, QrEvent.QR_ISSUED) is QrState.REFRESHED
    assert fire_event(machine, QrEvent.QR_ISSUED) is QrState.REFRESHED
    assert fire_event(machine, QrEvent.SCANNED) is QrState.SCANNED
    assert fire_event(machine, QrEvent.PAIRED) is QrState.PAIRED
