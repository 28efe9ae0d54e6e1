"""States of a campaign that people work through by hand, and of each person in one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from statemachine.states import States

from statemachines.machine import StrictMachine
from statemachines.message import MessageState


class CampaignState(StrEnum):
    """The state of a campaign; the same word in code, column, JSON and page."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class CampaignEvent(StrEnum):
    """What changes a campaign."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class CampaignMachine(StrictMachine[CampaignState]):
    """A campaign from draft to finished or cancelled; people start, pause and resume it."""

    s = States.from_enum(
        CampaignState,
        initial=CampaignState.DRAFT,
        final=(CampaignState.FINISHED, CampaignState.CANCELLED),
        use_enum_instance=True,
    )

    started = s.DRAFT.to(s.RUNNING)
    paused = s.RUNNING.to(s.PAUSED)
    resumed = s.PAUSED.to(s.RUNNING)
    # Paused too: the last who was written to may be confirmed after a pause.
    finished = s.FINISHED.from_(s.RUNNING, s.PAUSED)
    cancelled = s.CANCELLED.from_(s.DRAFT, s.RUNNING, s.PAUSED)


STARTED_STATES: Final = frozenset({CampaignState.RUNNING, CampaignState.PAUSED})
"""Its people are frozen, and not all of them are final."""


class CampaignPersonState(StrEnum):
    """The state of one person in a campaign; each ends in a final one."""

    QUEUED = "queued"
    WAITING = "waiting"
    """Their message waits for an approval, a check or a time."""
    CLAIMED = "claimed"
    """An operator has them; the link was not shown yet."""
    OPENED = "opened"
    """The link was shown: the message may have been sent."""
    UNCONFIRMED = "unconfirmed"
    """It was opened, and nobody said in time whether it was sent."""
    SENT = "sent"
    SKIPPED = "skipped"
    REFUSED = "refused"
    """The gate, or a person in the review, said no."""
    EXPIRED = "expired"
    OPTED_OUT = "opted_out"
    LEFT_OUT = "left_out"
    """The dry run at the start said no; nobody tried."""


class CampaignPersonEvent(StrEnum):
    """What changes the state of a person in a campaign."""

    CLAIMED = "claimed"
    HELD_BACK = "held_back"
    FREED = "freed"
    OPENED = "opened"
    DOUBTED = "doubted"
    SENT = "sent"
    SKIPPED = "skipped"
    REFUSED = "refused"
    EXPIRED = "expired"
    OPTED_OUT = "opted_out"


_FINAL: Final = (
    CampaignPersonState.SENT,
    CampaignPersonState.SKIPPED,
    CampaignPersonState.REFUSED,
    CampaignPersonState.EXPIRED,
    CampaignPersonState.OPTED_OUT,
    CampaignPersonState.LEFT_OUT,
)


class CampaignPersonMachine(StrictMachine[CampaignPersonState]):
    """A person from the queue to a final state; one who was opened is not queued again."""

    s = States.from_enum(
        CampaignPersonState,
        initial=CampaignPersonState.QUEUED,
        final=_FINAL,
        use_enum_instance=True,
    )
    _unseen = (s.QUEUED, s.WAITING, s.CLAIMED)
    # A second operator of the manual list may take a message that was returned.
    claimed = s.CLAIMED.from_(*_unseen)
    held_back = s.WAITING.from_(*_unseen)
    # Approved, due, returned, or the lease is over: their turn comes again.
    freed = s.QUEUED.from_(*_unseen)
    opened = s.CLAIMED.to(s.OPENED)
    # After a restore of a backup every message that waited may have been sent since.
    doubted = s.UNCONFIRMED.from_(*_unseen, s.OPENED)
    sent = s.SENT.from_(s.OPENED, s.UNCONFIRMED)
    skipped = s.SKIPPED.from_(*_unseen, s.OPENED, s.UNCONFIRMED)
    refused = s.REFUSED.from_(*_unseen)
    expired = s.EXPIRED.from_(*_unseen)
    opted_out = s.OPTED_OUT.from_(*_unseen)
    # The dry run leaves people out when their rows are made; no event leads there later.
    left_out = s.QUEUED.to(s.LEFT_OUT)


FINAL_PERSON_STATES: Final = frozenset(_FINAL)
"""Nothing happens to the person in this campaign any more."""

UNSEEN_PERSON_STATES: Final = frozenset(
    {CampaignPersonState.QUEUED, CampaignPersonState.WAITING, CampaignPersonState.CLAIMED}
)
"""Certainly not written to yet."""

ON_ITS_WAY_PERSON_STATES: Final = frozenset(
    {CampaignPersonState.OPENED, CampaignPersonState.UNCONFIRMED}
)
"""The link was shown, and nobody said yet whether the message was sent."""

EVENT_BY_MESSAGE_STATE: Final[Mapping[MessageState, CampaignPersonEvent]] = MappingProxyType(
    {
        MessageState.HELD: CampaignPersonEvent.HELD_BACK,
        MessageState.DEFERRED: CampaignPersonEvent.HELD_BACK,
        MessageState.TAKEN: CampaignPersonEvent.CLAIMED,
        MessageState.REVEALED: CampaignPersonEvent.OPENED,
        MessageState.IN_DOUBT: CampaignPersonEvent.DOUBTED,
        MessageState.CONFIRMED_BY_HAND: CampaignPersonEvent.SENT,
        MessageState.CANCELLED: CampaignPersonEvent.SKIPPED,
        MessageState.BLOCKED: CampaignPersonEvent.REFUSED,
        MessageState.EXPIRED: CampaignPersonEvent.EXPIRED,
    }
)
"""What a message's new state means for its person. `cleared` depends on the state before, and
`queued` changes nothing: the gate judges it at once."""
