"""States of a message: the table of legal transitions, and what is derived from it.

Derived are the SQL condition of a trigger, the named sets of states, and a machine to draw.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from statemachine.states import States
from statemachine.transition_list import TransitionList

from statemachines.machine import StrictMachine
from statemachines.vocabulary import BuiltinChannel


class MessageState(StrEnum):
    """The state of a message; the same word in code, column, JSON and page."""

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


class ChannelScope(StrEnum):
    """The kind of channel for which a transition is legal."""

    ALL = "all"
    AUTOMATIC = "automatic"
    MANUAL = "manual"


class TransitionActor(StrEnum):
    """Which part of the system, or which person, makes a transition."""

    GATE = "gate"
    CLAIM = "claim"
    TRANSPORT = "transport"
    RECEIPT = "receipt"
    OPERATOR = "operator"
    PHONE = "phone"
    WITHDRAWAL = "withdrawal"
    CLOCK = "clock"
    SESSION = "session"
    RESTORE = "restore"


class MessageTransition(Struct, frozen=True):
    """One legal transition of a message, with its actors, its reason and its kind of channel."""

    source: MessageState
    target: MessageState
    actors: tuple[TransitionActor, ...]
    why: str
    channels: ChannelScope = ChannelScope.ALL


_S = MessageState  # short, so that the table below can be read as one
_UNSENT_STATES = (_S.QUEUED, _S.CLEARED, _S.HELD, _S.DEFERRED)

MESSAGE_TRANSITIONS: tuple[MessageTransition, ...] = (
    MessageTransition(_S.QUEUED, _S.CLEARED, (TransitionActor.GATE,), "allowed"),
    MessageTransition(_S.QUEUED, _S.HELD, (TransitionActor.GATE,), "needs a person's approval"),
    MessageTransition(_S.QUEUED, _S.DEFERRED, (TransitionActor.GATE,), "not now"),
    MessageTransition(_S.QUEUED, _S.BLOCKED, (TransitionActor.GATE,), "not allowed"),
    MessageTransition(
        _S.QUEUED, _S.QUEUED, (TransitionActor.GATE,), "re-routed to another channel"
    ),
    # The only way to the wire. The release transaction makes it, and no other code.
    MessageTransition(
        _S.CLEARED,
        _S.SENDING,
        (TransitionActor.CLAIM,),
        "permit redeemed before the wire",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.CLEARED,
        _S.TAKEN,
        (TransitionActor.OPERATOR,),
        "taken for a lease of ten minutes",
        ChannelScope.MANUAL,
    ),
    MessageTransition(
        _S.CLEARED, _S.HELD, (TransitionActor.CLAIM,), "judged again: needs a person's approval"
    ),
    MessageTransition(
        _S.CLEARED,
        _S.DEFERRED,
        (TransitionActor.CLAIM, TransitionActor.SESSION),
        "judged again: not now, or its session can't send any more",
    ),
    MessageTransition(
        _S.CLEARED, _S.BLOCKED, (TransitionActor.CLAIM,), "judged again: not allowed any more"
    ),
    MessageTransition(
        _S.CLEARED,
        _S.QUEUED,
        (TransitionActor.CLAIM, TransitionActor.CLOCK, TransitionActor.OPERATOR),
        "judged again: re-routed to another channel, or what it was judged on changed",
    ),
    # An approval leads to `queued`, never to `cleared`: what became true meanwhile still counts.
    MessageTransition(_S.HELD, _S.QUEUED, (TransitionActor.OPERATOR,), "approved: judged again"),
    MessageTransition(_S.HELD, _S.BLOCKED, (TransitionActor.OPERATOR,), "rejected"),
    MessageTransition(
        _S.DEFERRED,
        _S.QUEUED,
        (TransitionActor.CLOCK, TransitionActor.OPERATOR, TransitionActor.SESSION),
        "its time has come, or the rules or its session changed",
    ),
    MessageTransition(_S.DEFERRED, _S.BLOCKED, (TransitionActor.OPERATOR,), "rejected early"),
    MessageTransition(
        _S.SENDING,
        _S.SENT,
        (TransitionActor.TRANSPORT,),
        "acknowledged, with an id",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.SENDING,
        _S.FAILED,
        (TransitionActor.TRANSPORT,),
        "refused for certain",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.SENDING,
        _S.DEFERRED,
        (TransitionActor.TRANSPORT,),
        "certainly not sent: retry",
        ChannelScope.AUTOMATIC,
    ),
    # There is no way from `in_doubt` to `queued`: a second attempt could be a second message.
    MessageTransition(
        _S.SENDING,
        _S.IN_DOUBT,
        (TransitionActor.TRANSPORT, TransitionActor.CLOCK),
        "no answer, or a crash",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.IN_DOUBT,
        _S.SENT,
        (TransitionActor.RECEIPT, TransitionActor.OPERATOR),
        "it did arrive",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.IN_DOUBT,
        _S.FAILED,
        (TransitionActor.RECEIPT, TransitionActor.OPERATOR),
        "it did not arrive",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.IN_DOUBT,
        _S.CONFIRMED_BY_HAND,
        (TransitionActor.OPERATOR, TransitionActor.PHONE),
        "sent after all",
        ChannelScope.MANUAL,
    ),
    MessageTransition(
        _S.IN_DOUBT, _S.CANCELLED, (TransitionActor.OPERATOR,), "settled by a person, with a reason"
    ),
    MessageTransition(
        _S.SENT,
        _S.DELIVERED,
        (TransitionActor.RECEIPT,),
        "reached the phone",
        ChannelScope.AUTOMATIC,
    ),
    # Receipts may arrive out of order; the delivered one is then of no interest any more.
    MessageTransition(
        _S.SENT,
        _S.READ,
        (TransitionActor.RECEIPT,),
        "read, and that receipt came first",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.SENT,
        _S.FAILED,
        (TransitionActor.RECEIPT,),
        "the platform said so later",
        ChannelScope.AUTOMATIC,
    ),
    MessageTransition(
        _S.DELIVERED, _S.READ, (TransitionActor.RECEIPT,), "read", ChannelScope.AUTOMATIC
    ),
    MessageTransition(
        _S.TAKEN,
        _S.REVEALED,
        (TransitionActor.OPERATOR,),
        "the link was shown",
        ChannelScope.MANUAL,
    ),
    MessageTransition(
        _S.TAKEN,
        _S.CLEARED,
        (TransitionActor.OPERATOR, TransitionActor.CLOCK),
        "returned, or the lease is over",
        ChannelScope.MANUAL,
    ),
    # An opt-out cancels what was taken but not shown. Once revealed, it may have been sent: only
    # the operator knows.
    MessageTransition(
        _S.TAKEN,
        _S.CANCELLED,
        (TransitionActor.OPERATOR, TransitionActor.WITHDRAWAL),
        "given up unseen",
        ChannelScope.MANUAL,
    ),
    MessageTransition(
        _S.REVEALED,
        _S.CONFIRMED_BY_HAND,
        (TransitionActor.OPERATOR, TransitionActor.PHONE),
        "sent by hand",
        ChannelScope.MANUAL,
    ),
    MessageTransition(
        _S.REVEALED,
        _S.CANCELLED,
        (TransitionActor.OPERATOR,),
        "the taker did not send it",
        ChannelScope.MANUAL,
    ),
    MessageTransition(
        _S.REVEALED,
        _S.IN_DOUBT,
        (TransitionActor.CLOCK,),
        "the lease is over, nobody said",
        ChannelScope.MANUAL,
    ),
    *(
        MessageTransition(
            source,
            _S.CANCELLED,
            (TransitionActor.OPERATOR, TransitionActor.WITHDRAWAL),
            "a person, an opt-out or a reply",
        )
        for source in _UNSENT_STATES
    ),
    *(
        MessageTransition(
            source, _S.EXPIRED, (TransitionActor.CLOCK,), "past its window: it never fires late"
        )
        for source in _UNSENT_STATES
    ),
    # A restored copy is older than what happened: it may have been sent since.
    *(
        MessageTransition(
            source, _S.IN_DOUBT, (TransitionActor.RESTORE,), "it waited in a restored backup"
        )
        for source in _UNSENT_STATES
    ),
    MessageTransition(
        _S.TAKEN,
        _S.IN_DOUBT,
        (TransitionActor.RESTORE,),
        "it was taken in a restored backup",
        ChannelScope.MANUAL,
    ),
)


def target_states(source: MessageState) -> frozenset[MessageState]:
    """Return all states that may follow `source`, by any channel."""
    return frozenset(move.target for move in MESSAGE_TRANSITIONS if move.source is source)


def source_states(target: MessageState) -> frozenset[MessageState]:
    """Return all states that `target` may follow, by any channel."""
    return frozenset(move.source for move in MESSAGE_TRANSITIONS if move.target is target)


def is_legal_transition(
    source: MessageState, target: MessageState, channel: str | None = None
) -> bool:
    """Return whether the transition is legal: by the named channel, or by any where it is None."""
    return any(
        move.source is source and move.target is target and _is_open_to_channel(move, channel)
        for move in MESSAGE_TRANSITIONS
    )


def _is_open_to_channel(move: MessageTransition, channel: str | None) -> bool:
    if channel is None or move.channels is ChannelScope.ALL:
        return True
    return (move.channels is ChannelScope.MANUAL) == (channel == BuiltinChannel.MANUAL)


_SQL_CHANNEL = {
    ChannelScope.ALL: "",
    ChannelScope.AUTOMATIC: f" AND {{new}}.channel <> '{BuiltinChannel.MANUAL}'",
    ChannelScope.MANUAL: f" AND {{new}}.channel = '{BuiltinChannel.MANUAL}'",
}


def build_transition_guard(old: str, new: str) -> str:
    """Return the table as one SQL condition over the row names `old` and `new`, for a trigger.

    The rows need the columns `state` and `channel`. The condition is 1 for a legal transition and 0
    for any other, also where a state, or a channel that matters, is NULL.
    """
    cases = [
        f"({old}.state = '{source}' AND {new}.state IN ({_quote_targets(source, channels)})"
        f"{_SQL_CHANNEL[channels].format(new=new)})"
        for source in MessageState
        for channels in ChannelScope
        if _quote_targets(source, channels)
    ]
    # Without COALESCE a NULL would make the condition NULL, and a trigger's WHEN lets that pass.
    return f"COALESCE({' OR '.join(cases)}, 0)"


def _quote_targets(source: MessageState, channels: ChannelScope) -> str:
    found = (m.target for m in MESSAGE_TRANSITIONS if m.source is source and m.channels is channels)
    return ", ".join(f"'{target}'" for target in found)


FINAL_STATES = frozenset(state for state in MessageState if not target_states(state))
"""States without a transition out. (`delivered` is not one: a read receipt may follow.)"""

SETTLED_STATES = FINAL_STATES | {MessageState.SENT, MessageState.DELIVERED}
"""The daemon has nothing left to do for the message; only receipts can still arrive."""

LIVE_STATES = frozenset(MessageState) - SETTLED_STATES
"""Still to be sent, on its way, or in doubt."""

IN_FLIGHT_STATES = frozenset({MessageState.SENDING, MessageState.TAKEN, MessageState.REVEALED})
"""Being sent, by the daemon or by a person: at most one message per contact at a time."""

WAITING_STATES = source_states(MessageState.EXPIRED)
"""Sending has not begun: past its window the message expires."""

LEASED_STATES = frozenset({MessageState.TAKEN, MessageState.REVEALED})
"""Taken by an operator, until the lease ends."""

BUSY_STATES = IN_FLIGHT_STATES | {MessageState.IN_DOUBT}
"""On its way, or perhaps sent: no other message is sent to that contact meanwhile."""

MANUAL_QUEUE_STATES = LEASED_STATES | {MessageState.CLEARED, MessageState.IN_DOUBT}
"""Shown on the page of messages to send by hand: to take, taken, or to settle."""

DOUBTED_AT_RESTORE_STATES = LIVE_STATES - {MessageState.IN_DOUBT}
"""After a restore, a message in one of these may have been sent since the backup."""

REVIEWABLE_STATES = frozenset({MessageState.HELD, MessageState.DEFERRED})
"""A person may approve or reject it."""

SETTLEMENT_STATES = frozenset(
    {MessageState.FAILED, MessageState.CANCELLED, MessageState.CONFIRMED_BY_HAND}
)
"""The outcomes that a person may choose for a message in doubt."""

PASSING_STATES = frozenset({MessageState.QUEUED, MessageState.CLEARED, MessageState.SENDING})
"""Lasting a moment when all goes well: left out of a timeline."""

NOT_SENT_STATES = frozenset(
    {
        MessageState.CLEARED,
        MessageState.DEFERRED,
        MessageState.FAILED,
        MessageState.CANCELLED,
    }
)
"""Certainly not sent: entering one of these from an in-flight state refunds the budget."""

LEFT_STATES = frozenset(
    {
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.READ,
        MessageState.CONFIRMED_BY_HAND,
    }
)
"""Certainly sent."""

LEFT_OR_UNCERTAIN_STATES = LEFT_STATES | {MessageState.IN_DOUBT, MessageState.REVEALED}
"""Sent, or nobody knows whether it was."""

MAYBE_LEFT_STATES = LEFT_OR_UNCERTAIN_STATES | {MessageState.SENDING}
"""Sent, perhaps sent, or being sent: what counts against a contact's limits."""

CANCELLABLE_STATES = frozenset(
    move.source
    for move in MESSAGE_TRANSITIONS
    if move.target is MessageState.CANCELLED and TransitionActor.WITHDRAWAL in move.actors
)
"""Certainly not sent and not shown: an opt-out or an inbound cancels these at once."""

WIRE_ID_STATES = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})
"""Legal only with the id that a server acknowledged; a trigger checks it."""


def _build_events(states: States) -> dict[str, TransitionList]:
    """Build the library's events from the table; each is named after its target state."""
    guards = {
        ChannelScope.ALL: {},
        ChannelScope.AUTOMATIC: {"unless": "by_hand"},
        ChannelScope.MANUAL: {"cond": "by_hand"},
    }
    named = {state.value: state for state in states}
    events: dict[str, TransitionList] = {}
    for move in MESSAGE_TRANSITIONS:
        step = named[move.source].to(named[move.target], **guards[move.channels])
        events[move.target.value] = events.get(move.target.value, TransitionList()) | step
    return events


class MessageMachine(StrictMachine[MessageState]):
    """The table as a machine of the library, for diagrams and for tests of the table.

    Sending uses the table itself: an instance for each message would cost too much.
    """

    s = States.from_enum(
        MessageState, initial=MessageState.QUEUED, final=FINAL_STATES, use_enum_instance=True
    )
    # The library's metaclass collects events from the class body, so they must be names in it.
    locals().update(_build_events(s))

    channel: str | None = None

    @property
    def by_hand(self) -> bool:
        """Whether an operator sends this message by hand: the guard of the manual transitions."""
        return self.channel == BuiltinChannel.MANUAL
