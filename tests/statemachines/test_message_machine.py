"""A message's moves: the declaration, the running machine and the SQL guard are one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product

import pytest

from statemachines.machine import restore_machine
from statemachines.message import (
    CANCELLABLE_STATES,
    FINAL_STATES,
    IN_FLIGHT_STATES,
    LIVE_STATES,
    MESSAGE_TRANSITIONS,
    SETTLED_STATES,
    WIRE_ID_STATES,
    MessageMachine,
    MessageState,
    build_transition_guard,
    is_legal_transition,
    source_states,
    target_states,
)
from statemachines.vocabulary import BuiltinChannel
from tests.helpers.machine_walks import is_accepted

EVERY_CHANNEL = """
queued: cleared held deferred blocked queued cancelled expired in_doubt
cleared: held deferred blocked queued cancelled expired in_doubt
held: queued blocked expired cancelled in_doubt
deferred: queued blocked expired cancelled in_doubt
in_doubt: cancelled
"""
AUTOMATIC_ONLY = """
cleared: sending
sending: sent failed deferred in_doubt
in_doubt: sent failed
sent: delivered read failed
delivered: read
"""
MANUAL_ONLY = """
cleared: taken
taken: revealed cleared cancelled in_doubt
revealed: confirmed_by_hand cancelled in_doubt
in_doubt: confirmed_by_hand
"""


def expected(*tables: str) -> set[tuple[str, str]]:
    """Read the pairs of states out of the tables above."""
    rows = (line.split(": ") for table in tables for line in table.strip().splitlines())
    return {(source, target) for source, ends in rows for target in ends.split()}


PAIRS = list(product(MessageState, MessageState))


@pytest.fixture
def table() -> Iterator[sqlite3.Connection]:
    """Open a real table of messages behind a trigger made of the guard."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(
            f"""
            CREATE TABLE messages (state TEXT, channel TEXT);
            CREATE TRIGGER legal_moves BEFORE UPDATE OF state ON messages
            WHEN NOT {build_transition_guard("OLD", "NEW")}
            BEGIN SELECT RAISE(ABORT, 'illegal move'); END;
            """,
        )
        yield db


def sql_accepts(
    table: sqlite3.Connection, source: str | None, target: str | None, channel: str | None
) -> bool:
    """Try the move on a row of the table."""
    table.execute("DELETE FROM messages")
    table.execute("INSERT INTO messages VALUES (?, ?)", (source, channel))
    try:
        table.execute("UPDATE messages SET state = ?", (target,))
    except sqlite3.IntegrityError:
        return False
    return True


@pytest.mark.parametrize("channel", ["simulated", "linked", BuiltinChannel.MANUAL])
def test_table_machine_and_sql_agree_on_every_pair(table: sqlite3.Connection, channel: str) -> None:
    """For each two states and channel, the three forms of the declaration give one answer."""
    own = MANUAL_ONLY if channel == BuiltinChannel.MANUAL else AUTOMATIC_ONLY
    legal = expected(EVERY_CHANNEL, own)
    for source, target in PAIRS:
        machine = restore_machine(MessageMachine, source)
        machine.channel = channel
        wanted = (source, target) in legal
        assert is_legal_transition(source, target, channel) == wanted, (source, target)
        assert is_accepted(machine, target) == wanted, (source, target)
        assert machine.model.state is (target if wanted else source)
        assert sql_accepts(table, source, target, channel) == wanted, (source, target)


def test_without_a_channel_the_table_tells_all_moves() -> None:
    """A move is legal for no channel in particular when some channel has it."""
    legal = {pair for pair in PAIRS if is_legal_transition(*pair)}
    assert legal == expected(EVERY_CHANNEL, AUTOMATIC_ONLY, MANUAL_ONLY)
    assert legal == {
        (source, target) for source in MessageState for target in target_states(source)
    }
    assert legal == {
        (source, target) for target in MessageState for source in source_states(target)
    }


def test_no_move_is_declared_twice() -> None:
    """A pair of states has one row, with one reason."""
    pairs = [(move.source, move.target) for move in MESSAGE_TRANSITIONS]
    assert len(pairs) == len(set(pairs))


def test_sql_refuses_what_is_missing(table: sqlite3.Connection) -> None:
    """A row without state, or without the channel that a move depends on, does not move."""
    assert not sql_accepts(table, None, "cleared", "linked")
    assert not sql_accepts(table, "queued", None, "linked")
    assert not sql_accepts(table, "cleared", "sending", None)
    assert not sql_accepts(table, "cleared", "taken", None)
    assert sql_accepts(table, "queued", "cleared", None)


def test_nothing_follows_a_final_state() -> None:
    """Exactly these six are final, and a delivered message waits for nothing but its receipt."""
    assert {
        "read",
        "confirmed_by_hand",
        "failed",
        "blocked",
        "expired",
        "cancelled",
    } == FINAL_STATES
    assert {MessageState.SENT, MessageState.DELIVERED} == SETTLED_STATES - FINAL_STATES
    assert set(MessageState) == LIVE_STATES | SETTLED_STATES


def test_sent_has_no_way_in_but_an_acknowledgement() -> None:
    """Only what was on the wire becomes sent, and only with the wire's id."""
    assert source_states(MessageState.SENT) == {MessageState.SENDING, MessageState.IN_DOUBT}
    assert {"sent", "delivered", "read"} == WIRE_ID_STATES


def test_what_is_in_doubt_is_never_sent_again() -> None:
    """No chain of moves leads from in_doubt back to anything that sends."""
    ahead = [MessageState.IN_DOUBT]
    seen: set[MessageState] = set()
    while ahead:
        following = target_states(ahead.pop()) - seen
        seen |= following
        ahead += following
    assert not seen & {"queued", "cleared", "deferred", "sending", "taken", "revealed"}


def test_an_opt_out_withdraws_what_certainly_never_went() -> None:
    """Withdrawal reaches what waits or was taken unseen, not what may have left already."""
    assert {"queued", "cleared", "held", "deferred", "taken"} == CANCELLABLE_STATES
    assert {"sending", "taken", "revealed"} == IN_FLIGHT_STATES
