"""The sender: chooses the session that a message goes through. It prepares, it never decides."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.effects import Draft, Prepared, SessionChoice

BY_HAND = "manual"


@hookimpl
async def leadmaster_prepare_message(
    draft: Draft, sessions: Sequence[SessionChoice]
) -> Prepared | None:
    """Return the text and the route; None where no session fits what the draft asks for.

    The session that the draft names, whatever its state: the message then waits for it. Else, of
    those on the draft's channel, a ready one with new chats left, then a ready one, then any; by
    hand only where there is no other way, or the draft asks for it.
    """
    fitting = [each for each in sessions if _fits(each, draft)]
    if not fitting:
        return None
    chosen = min(fitting, key=_preference)
    return Prepared(draft.text, chosen.name, chosen.channel)


def _fits(session: SessionChoice, draft: Draft) -> bool:
    return draft.session in {None, session.name} and draft.channel in {None, session.channel}


def _preference(session: SessionChoice) -> tuple[bool, bool, bool, int, str]:
    """Order sessions: a line before by hand, ready before not, most room for new chats, name."""
    return (
        session.channel == BY_HAND,
        not session.ready,
        session.new_chats_left <= 0,
        -session.new_chats_left,
        session.name,
    )
