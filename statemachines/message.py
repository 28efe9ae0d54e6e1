"""The life of a message: one declaration of the legal moves, and all that is derived from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from statemachine.states import States
from statemachine.transition_list import TransitionList

from statemachines.machine import Machine

MANUAL = "manual"
"""The channel by which an operator sends by hand; every other one is automatic."""


class MessageState(StrEnum):
    """Where a message stands; the same word in code, column, JSON and page."""

    QUEUED = "queued"
    CLEARED = "cleared"
    HELD = "held"
    DEFERRED = "deferred"
    BLOCKED = "blocked"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    TAKEN = "taken"
    REVEALED = "revealed"
    CONFIRMED_BY_HAND = "confirmed_by_hand"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Channels(StrEnum):
    """The kind of channel by which a move is possible."""

    ALL = "all"
    AUTOMATIC = "automatic"
    MANUAL = "manual"


class By(StrEnum):
    """Who makes a move."""

    GATE = "gate"
    CLAIM = "claim"
    TRANSPORT = "transport"
    RECEIPT = "receipt"
    OPERATOR = "operator"
    WITHDRAWAL = "withdrawal"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Move:
    """One legal move: from where, to where, by whom, why, and by which kind of channel."""

    source: MessageState
    target: MessageState
    by: tuple[By, ...]
    why: str
    channels: Channels = Channels.ALL


_S = MessageState

MOVES: tuple[Move, ...] = (
    Move(_S.QUEUED, _S.CLEARED, (By.GATE,), "allowed"),
    Move(_S.QUEUED, _S.HELD, (By.GATE,), "needs a person's approval"),
    Move(_S.QUEUED, _S.DEFERRED, (By.GATE,), "not now"),
    Move(_S.QUEUED, _S.BLOCKED, (By.GATE,), "not allowed"),
    Move(_S.QUEUED, _S.QUEUED, (By.GATE,), "re-routed to another channel"),
    Move(
        _S.CLEARED, _S.SENDING, (By.CLAIM,), "permit redeemed before the wire", Channels.AUTOMATIC
    ),
    Move(_S.CLEARED, _S.TAKEN, (By.OPERATOR,), "taken for a lease of ten minutes", Channels.MANUAL),
    Move(_S.CLEARED, _S.HELD, (By.CLAIM,), "judged again: needs a person's approval"),
    Move(_S.CLEARED, _S.DEFERRED, (By.CLAIM,), "judged again: not now"),
    Move(_S.CLEARED, _S.BLOCKED, (By.CLAIM,), "judged again: not allowed any more"),
    Move(_S.CLEARED, _S.QUEUED, (By.CLAIM,), "judged again: re-routed to another channel"),
    Move(_S.HELD, _S.QUEUED, (By.OPERATOR,), "approved: judged again"),
    Move(_S.HELD, _S.BLOCKED, (By.OPERATOR,), "rejected"),
    Move(
        _S.DEFERRED, _S.QUEUED, (By.CLOCK, By.OPERATOR), "its time has come, or the rules changed"
    ),
    Move(_S.DEFERRED, _S.BLOCKED, (By.OPERATOR,), "rejected early"),
    Move(_S.SENDING, _S.SENT, (By.TRANSPORT,), "acknowledged, with an id", Channels.AUTOMATIC),
    Move(_S.SENDING, _S.FAILED, (By.TRANSPORT,), "refused for certain", Channels.AUTOMATIC),
    Move(_S.SENDING, _S.DEFERRED, (By.TRANSPORT,), "certainly not sent: retry", Channels.AUTOMATIC),
    Move(
        _S.SENDING,
        _S.IN_DOUBT,
        (By.TRANSPORT, By.CLOCK),
        "no answer, or a crash",
        Channels.AUTOMATIC,
    ),
    Move(_S.IN_DOUBT, _S.SENT, (By.RECEIPT, By.OPERATOR), "it did arrive", Channels.AUTOMATIC),
    Move(
        _S.IN_DOUBT, _S.FAILED, (By.RECEIPT, By.OPERATOR), "it did not arrive", Channels.AUTOMATIC
    ),
    Move(_S.IN_DOUBT, _S.CONFIRMED_BY_HAND, (By.OPERATOR,), "sent after all", Channels.MANUAL),
    Move(_S.IN_DOUBT, _S.CANCELLED, (By.OPERATOR,), "settled by a person, with a reason"),
    Move(_S.SENT, _S.DELIVERED, (By.RECEIPT,), "reached the phone", Channels.AUTOMATIC),
    Move(_S.SENT, _S.READ, (By.RECEIPT,), "read, and that receipt came first", Channels.AUTOMATIC),
    Move(_S.SENT, _S.FAILED, (By.RECEIPT,), "the platform said so later", Channels.AUTOMATIC),
    Move(_S.DELIVERED, _S.READ, (By.RECEIPT,), "read", Channels.AUTOMATIC),
    Move(_S.TAKEN, _S.REVEALED, (By.OPERATOR,), "the link was shown", Channels.MANUAL),
    Move(
        _S.TAKEN,
        _S.CLEARED,
        (By.OPERATOR, By.CLOCK),
        "returned, or the lease is over",
        Channels.MANUAL,
    ),
    Move(_S.TAKEN, _S.CANCELLED, (By.OPERATOR, By.WITHDRAWAL), "given up unseen", Channels.MANUAL),
    Move(_S.REVEALED, _S.CONFIRMED_BY_HAND, (By.OPERATOR,), "sent by hand", Channels.MANUAL),
    Move(_S.REVEALED, _S.CANCELLED, (By.OPERATOR,), "the taker did not send it", Channels.MANUAL),
    Move(_S.REVEALED, _S.IN_DOUBT, (By.CLOCK,), "the lease is over, nobody said", Channels.MANUAL),
    *(
        Move(source, _S.CANCELLED, (By.OPERATOR, By.WITHDRAWAL), "a person, an opt-out or a reply")
        for source in (_S.QUEUED, _S.CLEARED, _S.HELD, _S.DEFERRED)
    ),
    *(
        Move(source, _S.EXPIRED, (By.CLOCK,), "past its window: it never fires late")
        for source in (_S.QUEUED, _S.CLEARED, _S.HELD, _S.DEFERRED)
    ),
)


def targets(source: MessageState) -> frozenset[MessageState]:
    """All states that `source` may move to, by whatever channel."""
    return frozenset(move.target for move in MOVES if move.source is source)


def sources(target: MessageState) -> frozenset[MessageState]:
    """All states that may move to `target`, by whatever channel."""
    return frozenset(move.source for move in MOVES if move.target is target)


def is_legal(source: MessageState, target: MessageState, channel: str | None = None) -> bool:
    """Whether the move exists; for a named channel, whether it exists by that channel."""
    return any(
        move.source is source and move.target is target and _open_to(move, channel)
        for move in MOVES
    )


def _open_to(move: Move, channel: str | None) -> bool:
    if channel is None or move.channels is Channels.ALL:
        return True
    return (move.channels is Channels.MANUAL) == (channel == MANUAL)


_SQL_CHANNEL = {
    Channels.ALL: "",
    Channels.AUTOMATIC: f" AND {{new}}.channel <> '{MANUAL}'",
    Channels.MANUAL: f" AND {{new}}.channel = '{MANUAL}'",
}


def sql_guard(old: str, new: str) -> str:
    """Give the legal moves as one SQL condition over two row names, for a trigger.

    The rows need the columns `state` and `channel`. The condition is 1 for a legal move and 0 for
    any other; a missing state, or a missing channel where the move depends on it, is never legal.
    """
    cases = [
        f"({old}.state = '{source}' AND {new}.state IN ({_listed(source, channels)})"
        f"{_SQL_CHANNEL[channels].format(new=new)})"
        for source in MessageState
        for channels in Channels
        if _listed(source, channels)
    ]
    return f"COALESCE({' OR '.join(cases)}, 0)"


def _listed(source: MessageState, channels: Channels) -> str:
    found = (m.target for m in MOVES if m.source is source and m.channels is channels)
    return ", ".join(f"'{target}'" for target in found)


FINAL = frozenset(state for state in MessageState if not targets(state))
"""Nothing follows. (`delivered` stays where it is if no read receipt comes.)"""

SETTLED = FINAL | {MessageState.SENT, MessageState.DELIVERED}
"""The daemon has nothing left to do; only receipts can still come."""

LIVE = frozenset(MessageState) - SETTLED
"""Still to be sent, on its way, or in doubt."""

IN_FLIGHT = frozenset({MessageState.SENDING, MessageState.TAKEN, MessageState.REVEALED})
"""In somebody's hands: at most one of these per contact."""

CANCELLABLE = frozenset(
    move.source
    for move in MOVES
    if move.target is MessageState.CANCELLED and By.WITHDRAWAL in move.by
)
"""An opt-out or an inbound withdraws these at once: they were certainly never sent."""

NEEDS_WIRE_ID = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})
"""Only with the id that a server acknowledged."""


def _events(states: States) -> dict[str, TransitionList]:
    """Turn the declaration into the library's events; an event has the name of its target."""
    guards = {
        Channels.ALL: {},
        Channels.AUTOMATIC: {"unless": "by_hand"},
        Channels.MANUAL: {"cond": "by_hand"},
    }
    named = {state.value: state for state in states}
    events: dict[str, TransitionList] = {}
    for move in MOVES:
        step = named[move.source].to(named[move.target], **guards[move.channels])
        events[move.target.value] = events.get(move.target.value, TransitionList()) | step
    return events


class MessageMachine(Machine[MessageState]):
    """The same moves as a running machine: it draws them, and it proves the table right.

    The daemon's hot path asks the table; a machine for each message would cost too much.
    """

    s = States.from_enum(
        MessageState, initial=MessageState.QUEUED, final=FINAL, use_enum_instance=True
    )
    locals().update(_events(s))

    channel: str | None = None

    @property
    def by_hand(self) -> bool:
        """Whether an operator sends this message by hand."""
        return self.channel == MANUAL
