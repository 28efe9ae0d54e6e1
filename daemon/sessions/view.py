"""A session as the other rooms see it: its row and its words, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.sessions.words import describe_session
from statemachines.session import CAN_SEND_STATES, ConnectionState, PhoneState, SendingState
from storage.sessions import SessionRecord


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session now. Moments are aware UTC; ``status`` is the word that clients of WAHA know."""

    name: str
    channel: str
    phone: str | None
    time_zone: str
    state: ConnectionState
    status: str
    phone_state: PhoneState
    sending: SendingState
    desired: str
    reason_code: str
    sentence: str
    user_action: str
    since: datetime
    deadline: datetime | None
    sending_until: datetime | None
    banned_until: datetime | None
    phone_seen_at: datetime | None
    attempts: int

    @property
    def ready(self) -> bool:
        """Return whether the connection is up; ``sending`` says for whom."""
        return self.state in CAN_SEND_STATES


def build_session_view(record: SessionRecord) -> SessionView:
    """Return the view of a session as it stands."""
    words = describe_session(record)
    return SessionView(
        name=record.name,
        channel=record.channel,
        phone=record.phone,
        time_zone=record.time_zone,
        state=record.connection,
        status=words.status,
        phone_state=record.phone_state,
        sending=record.sending,
        desired=record.desired,
        reason_code=record.reason_code,
        sentence=words.sentence,
        user_action=words.action,
        since=record.since,
        deadline=record.due_at,
        sending_until=record.sending_until,
        banned_until=record.banned_until,
        phone_seen_at=record.phone_seen_at,
        attempts=record.attempts,
    )
