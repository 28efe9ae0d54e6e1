"""`leadmaster service`: which units are enabled, which drop-ins fit, and when it refuses."""

from __future__ import annotations

from pathlib import Path

from daemon.cli.service import LINKED_SLOTS, UnitFiles, find_unit_files

SYSTEMD = Path(__file__).parents[3] / "systemd"
DROP_IN = SYSTEMD / "leadmaster.service.d" / "10-systemd-255.conf"


def test_the_units_of_the_core_and_of_linked_phones_are_apart() -> None:
    """Each is in one of the two packages; a template is enabled once for each slot."""
    units = UnitFiles(SYSTEMD)
    core, linked = units.list_units(linked=False), units.list_units(linked=True)
    assert {"leadmaster.service", "leadmaster.socket"} <= {path.name for path in core}
    assert {path.name for path in linked} == {
        "leadmaster-linked@.service",
        "leadmaster-linked@.socket",
    }
    assert units.list_enabled_units(linked=True) == [
        f"leadmaster-linked@{slot}.socket" for slot in LINKED_SLOTS
    ]
    assert {"leadmaster.service", "leadmaster.socket"} <= {*units.list_enabled_units(linked=False)}


def test_a_drop_in_is_for_its_systemd_and_later_ones() -> None:
    """252 does not know what it says."""
    units = UnitFiles(SYSTEMD)
    assert DROP_IN not in units.list_drop_ins(252)
    assert DROP_IN in units.list_drop_ins(255)
    assert DROP_IN in units.list_drop_ins(257)


def test_an_installation_has_the_units_with_it() -> None:
    """Those of its wheel, which are the ones of the tree that it was built from."""
    names = {path.name for path in find_unit_files().list_units(linked=False)}
    assert "leadmaster.service" in names
