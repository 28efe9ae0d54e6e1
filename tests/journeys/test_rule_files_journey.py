"""Rule files as people save them: each mistake is named with what to write, and nothing is lost."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import RULES_DIR_SETTINGS, DaemonProcess, poll_until, run_daemon

pytestmark = pytest.mark.slow

CASES = Path(__file__).parents[1] / "data" / "rule_cases"
GOOD = """\
format: leadmaster/gate@1
vetoes:
  - {id: few_links, reason: Links scare people, when: {message.links|gte: 3}}
tests:
  - {name: three links, given: {message.links: 3}, expect: {vetoes: [few_links]}}
"""
BETTER = GOOD.replace(
    "tests:\n",
    "  - {id: short_text, reason: Nobody reads on, when: {message.length|gte: 900}}\ntests:\n",
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with a good rule file of the operator's, which is live."""
    folder = tmp_path / "rules.d"
    folder.mkdir()
    (folder / "gate.yaml").write_text(GOOD, encoding="utf-8")
    with run_daemon(tmp_path, RULES_DIR_SETTINGS.format(folder=tmp_path)) as running:
        assert list_problems(running) == []
        yield running


def read_state(daemon: DaemonProcess) -> dict[str, Any]:
    """Return what the interface says of the rules."""
    found: dict[str, Any] = daemon.client.get("rules")
    return found


def list_problems(daemon: DaemonProcess) -> list[str]:
    """Return the problems of the files that were saved last."""
    rejected = read_state(daemon)["rejected"]
    return list(rejected["problems"]) if rejected else []


def get_hash(state: dict[str, Any]) -> str:
    """Return the hash of the live gate rules."""
    found: str = state["gate"]["hash"]
    return found


def test_each_file_is_live_or_its_problem_is_named(daemon: DaemonProcess) -> None:
    """Thirty files with what editors, spreadsheets and other languages put into them."""
    expected = tomllib.loads((CASES / "expected.toml").read_text(encoding="utf-8"))
    assert set(expected) == {path.stem for path in CASES.glob("*.yaml")}
    path = daemon.folder / "rules.d" / "gate.yaml"
    before = get_hash(read_state(daemon))
    found = {}
    for name in expected:
        path.write_bytes((CASES / f"{name}.yaml").read_bytes())
        daemon.client.post("rules", "reload")
        found[name] = [each.partition("rules.d/")[2] for each in list_problems(daemon)]
        live = get_hash(read_state(daemon))
        assert live == before or not found[name]
        before = live
    assert found == expected


def test_a_file_whose_name_is_no_text_is_named(daemon: DaemonProcess) -> None:
    """The last good rules stay, also over a restart, until it is renamed."""
    before = get_hash(read_state(daemon))
    folder = os.fsencode(daemon.folder / "rules.d")
    odd = os.path.join(folder, b"men\xfa.yaml")  # noqa: PTH118 - a name of bytes
    Path(os.fsdecode(odd)).write_text(BETTER, encoding="utf-8")
    [problem] = poll_until(lambda: list_problems(daemon), "the problem")
    assert problem.endswith(
        "men\N{REPLACEMENT CHARACTER}.yaml:1:1: The name of this file is not UTF-8: rename it"
    )
    daemon.kill()
    daemon.start()
    assert (list_problems(daemon), get_hash(read_state(daemon))) == ([problem], before)
    (daemon.folder / "rules.d" / "gate.yaml").unlink()
    os.rename(odd, os.path.join(folder, b"gate.yaml"))  # noqa: PTH104, PTH118 - a name of bytes
    poll_until(lambda: get_hash(read_state(daemon)) != before, "the better rules")
    assert list_problems(daemon) == []


def test_a_folder_that_can_not_be_read_is_named(daemon: DaemonProcess) -> None:
    """A link that leads nowhere is one too; the last good rules stay until there is a folder."""
    before = get_hash(read_state(daemon))
    folder = daemon.folder / "rules.d"
    folder.rename(daemon.folder / "aside")
    folder.symlink_to("rules.d")
    problems = poll_until(lambda: list_problems(daemon), "the problem")
    assert problems == [f"{folder}:1:1: The file cannot be read: Too many levels of symbolic links"]
    daemon.kill()
    daemon.start()
    assert get_hash(read_state(daemon)) == before
    folder.unlink()
    (daemon.folder / "aside" / "gate.yaml").write_text(BETTER, encoding="utf-8")
    (daemon.folder / "aside").rename(folder)
    poll_until(lambda: get_hash(read_state(daemon)) != before, "the better rules")
