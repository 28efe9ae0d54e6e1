"""Cancels the unsent messages of a session that is deleted, or moves them to another one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from daemon.errors import BadRequest, Conflict, NotFound, SessionQueueNotEmpty
from statemachines.vocabulary import BuiltinChannel
from storage import session_queue, sessions
from storage.sessions import SessionRecord
from storage.tx import Reader, Tx


class QueueChoice(StrEnum):
    """What may be done with the unsent messages of a session that is deleted."""

    CANCEL = "cancel"
    MOVE = "move"


class QueueDisposal(Struct, frozen=True):
    """What to do with the unsent messages of a session that is deleted; None: nothing was chosen.

    ``to`` names the session that takes them over.
    """

    choice: QueueChoice | None = None
    to: str = ""

    def check(self, reader: Reader, session: str) -> SessionRecord | None:
        """Return the session that takes the messages over, or None where none does.

        Raises :class:`SessionQueueNotEmpty` where there are messages and nothing was chosen, and
        whatever :func:`require_move_target` raises.
        """
        if self.to and self.choice is not QueueChoice.MOVE:
            raise BadRequest("to: only queue=move gives messages to another session.")
        if self.choice is QueueChoice.MOVE:
            return require_move_target(reader, session, self.to)
        count = session_queue.count_unsent_messages(reader, session)
        if count and self.choice is None:
            noun = "1 message that has" if count == 1 else f"{count} messages that have"
            raise SessionQueueNotEmpty(f"The session {session} has {noun} not left.")
        return None

    def carry_out(self, tx: Tx, session: str, at: datetime, who: str) -> Mapping[str, object]:
        """Cancel or move the messages; return what was done with how many, for the audit.

        Raises what :meth:`check` raises.
        """
        # Checked again in this transaction: a message may have been queued since the first check.
        to = self.check(tx, session)
        if to is not None:
            moved = session_queue.move_unsent_messages(tx, session, to, at, who=who)
            return {"moved": moved, "to": to.name}
        if self.choice is None:
            return {}
        return {"cancelled": session_queue.cancel_unsent_messages(tx, session, at, who=who)}


NOTHING_CHOSEN = QueueDisposal()


def require_move_target(reader: Reader, session: str, to: str) -> SessionRecord:
    """Return the session ``to``, which may take over the messages of ``session``.

    Raises :class:`BadRequest` or :class:`NotFound` where there is no such session, and
    :class:`Conflict` for one of another number or of another kind of channel.
    """
    if not to:
        raise BadRequest("to: name the session that takes the messages.")
    if to == session:
        raise BadRequest(f"to: the messages are with {to} already; name another session.")
    source, target = sessions.find_session(reader, session), sessions.get_session(reader, to)
    if source is None or target is None:
        missing = session if source is None else to
        raise NotFound(f"There is no session {missing!r}.", hint="List them: leadmaster sessions")
    # A contact agreed to messages from one number, and knows its chat: another is a stranger's.
    if source.phone is None or source.phone != target.phone:
        raise Conflict(
            f"The session {to} is of another number than {session}; messages never change their"
            " number.",
            hint="Choose a session of the same number, or cancel the messages.",
        )
    if is_by_hand(source) != is_by_hand(target):
        raise Conflict(
            f"The session {to} is on another kind of channel than {session}: one sends by itself,"
            " the other by hand.",
            hint="Choose a session on the same kind of channel, or cancel the messages.",
        )
    return target


def is_by_hand(session: SessionRecord) -> bool:
    """Return whether a person sends by hand what goes through a session."""
    return session.channel == BuiltinChannel.MANUAL


def list_move_targets(reader: Reader, session: str) -> list[str]:
    """Return the names of the sessions that may take over the messages of another one."""
    source = sessions.find_session(reader, session)
    if source is None or source.phone is None:
        return []
    return [
        each.name
        for each in sessions.list_sessions(reader)
        if each.name != session
        and each.phone == source.phone
        and is_by_hand(each) == is_by_hand(source)
    ]
