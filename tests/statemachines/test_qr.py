"""The QR's machine and the lifetimes of its codes."""

from __future__ import annotations

from statemachines.machine import fire, restore
from statemachines.qr import CODES, PAIRING_WINDOW_SECONDS, Qr, QrEvent, QrMachine, code_lifetime


def test_the_first_code_lives_longer() -> None:
    """The first code can be scanned for 60 seconds, each later one for 20."""
    assert [code_lifetime(index) for index in range(1, CODES + 1)] == [60, 20, 20, 20, 20, 20]
    assert sum(map(code_lifetime, range(1, CODES + 1))) == PAIRING_WINDOW_SECONDS


def test_a_second_code_is_a_refresh() -> None:
    """Codes follow each other until one is scanned and the phone is paired."""
    machine = restore(QrMachine, "none")
    assert fire(machine, QrEvent.QR_ISSUED) is Qr.ISSUED
    assert fire(machine, QrEvent.QR_ISSUED) is Qr.REFRESHED
    assert fire(machine, QrEvent.QR_ISSUED) is Qr.REFRESHED
    assert fire(machine, QrEvent.SCANNED) is Qr.SCANNED
    assert fire(machine, QrEvent.PAIRED) is Qr.PAIRED
