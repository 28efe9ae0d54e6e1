"""The pages of a linked phone's signals and messages name every test, and the product's words."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from daemon.sessions.signal_mapping import (
    BAN_REASONS,
    DEADLINE_REASONS,
    REFUSAL_TRIGGERS,
    SIGNAL_TRIGGERS,
)
from daemon.sessions.status import REASON_SENTENCES, UserAction
from statemachines.session import ConnectionState

ROOT: Final = Path(__file__).parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"
FILES: Final = (
    "tests/daemon/sessions/test_linked_signals.py",
    "tests/daemon/sessions/test_linked_deadlines.py",
)
MESSAGE_FILES: Final = (
    *(
        f"tests/journeys/linked/{path.name}"
        for path in sorted((ROOT / "tests" / "journeys" / "linked").glob("test_*.py"))
    ),
    "tests/daemon/sessions/test_linked_sends.py",
    "tests/daemon/plugins/transport_linked/test_worker_turns.py",
)
NO_ROW: Final = {
    "test_a_session_without_a_connection_is_unlinked_at_whatsapp_too",
    "test_three_sessions_live_and_die_apart",
    "test_what_people_wrote_is_stored_before_a_session_is_unlinked",
}
"""Tests of these files that are about no signal of their own."""
_TEST: Final = re.compile(r"`(test_\w+)`")
_WORD: Final = re.compile(r"`(\w+)`")


def list_rows(file: str, page: str = "linked-signals.md") -> list[list[str]]:
    """Return the cells of each row under the name of a file."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    section = re.split(r"\nIn `|\n## ", text.partition(f"In `{file}`")[2])[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def list_cases() -> list[str]:
    """Return the names of the cases of other traffic, each of which has a row."""
    path = ROOT / "tests" / "journeys" / "linked" / "test_linked_other_traffic.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "CASES":
            assert isinstance(node.value, ast.Dict)
            return [ast.literal_eval(key) for key in node.value.keys if key is not None]
    raise AssertionError("there are no cases")


def list_tests(file: str) -> set[str]:
    """Return the tests of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def list_reasons() -> set[str]:
    """Return every reason code that a session can have."""
    triggers = [*SIGNAL_TRIGGERS.values(), *REFUSAL_TRIGGERS.values()]
    own = {"started_by_person", "reach_out_timelock", "pairing_refused", "passkey_requested"}
    return {
        *own,
        *REASON_SENTENCES,
        *(each.reason_code for each in triggers),
        *BAN_REASONS.values(),
        *DEADLINE_REASONS.values(),
    }


def test_every_row_names_a_test_and_every_test_has_a_row() -> None:
    """A signal that is not shown any more, and one that nobody finds on the page."""
    for file in FILES:
        named = {name for row in list_rows(file) for name in _TEST.findall(row[-1])}
        assert named == list_tests(file) - NO_ROW, file


@pytest.mark.parametrize("file", MESSAGE_FILES)
def test_every_test_of_messages_has_a_row(file: str) -> None:
    """With what happens, and what becomes of it."""
    rows = list_rows(file, "linked-messages.md")
    assert all(len(row) == 3 and all(row) for row in rows)
    assert {name for row in rows for name in _TEST.findall(row[-1])} == list_tests(file)


def test_every_case_of_other_traffic_has_a_row() -> None:
    """Its name stands behind that of the test."""
    rows = list_rows("tests/journeys/linked/test_linked_other_traffic.py", "linked-messages.md")
    named = [row[-1].partition("`: ")[2] for row in rows]
    assert sorted(filter(None, named)) == sorted(list_cases())


def test_states_reasons_and_actions_are_words_of_the_product() -> None:
    """As they are in the database, in events and in answers."""
    reasons = list_reasons()
    for file in FILES:
        for _, state, reason, action, how, _ in list_rows(file):
            assert ConnectionState(_WORD.findall(state)[0])
            assert UserAction(_WORD.findall(action)[0])
            assert _WORD.findall(reason)[0] in reasons, reason
            assert how
