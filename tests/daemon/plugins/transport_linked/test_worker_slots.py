"""A new linked session gets the lowest slot that is free and whose socket is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.api.transport import CannotOpen
from daemon.plugins.transport_linked.options import choose_slot


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    """Return the settings of an installation with the slots 1, 2 and 10."""
    for name in ("1", "2", "10", "ventas", "03", "2.old"):
        (tmp_path / f"worker-{name}.sock").touch()
    return {"worker_socket": f"{tmp_path}/worker-{{slot}}.sock"}


@pytest.mark.parametrize(("taken", "chosen"), [((), 1), ((1,), 2), ((2,), 1), ((1, 2), 10)])
def test_the_lowest_free_slot_is_chosen(
    settings: dict[str, object], taken: tuple[int, ...], chosen: int
) -> None:
    """By number, and not by how it is spelt; the other options stay."""
    others = [{"slot": each} for each in taken]
    assert choose_slot(settings, {"trace": True}, others) == {"trace": True, "slot": chosen}


def test_without_a_free_slot_the_unit_to_start_is_named(settings: dict[str, object]) -> None:
    """The lowest that neither is there nor belongs to a session."""
    others: list[dict[str, object]] = [{"slot": each} for each in (1, 2, 10, 3)]
    with pytest.raises(CannotOpen, match=r"enable --now leadmaster-linked@4\.socket"):
        choose_slot(settings, {}, others)


def test_a_slot_that_is_asked_for_belongs_to_one_session(settings: dict[str, object]) -> None:
    """Its socket may come later."""
    assert choose_slot(settings, {"slot": 7}, [{"slot": 1}, {}]) == {"slot": 7}
    with pytest.raises(CannotOpen, match="another session has slot 7"):
        choose_slot(settings, {"slot": 7}, [{"slot": 7}])


def test_a_child_process_has_no_slot() -> None:
    """Where workers are children of the daemon, nothing is chosen."""
    assert choose_slot({"worker_socket": ""}, {"driver": "x"}, []) == {"driver": "x"}
