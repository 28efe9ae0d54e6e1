"""The sender plugin: chooses the session that a message goes through."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from daemon.api import hookimpl
from daemon.api.effects import Draft, Prepared, SessionChoice
from daemon.api.transport import BuiltinChannel


@hookimpl
async def leadmaster_prepare_message(
    draft: Draft, sessions: Sequence[SessionChoice]
) -> Prepared | None:
    """Return the text and the route; None where no session fits what the draft asks for.

    The session that the draft names, whatever its state: the message then waits for it. Else, of
    those on the draft's channel, a ready one with new chats left, then a ready one, then any; by
    hand only where there is no other way, or the draft asks for it. By hand every number can be
    written from: it needs a person with that phone, and no line of ours.
    """
    fitting = [each for each in sessions if _fits(each, draft)]
    if not fitting:
        return None
    by_hand = draft.channel == BuiltinChannel.MANUAL
    chosen = min(fitting, key=partial(_sort_key, by_hand=by_hand))
    return Prepared(draft.text, chosen.name, BuiltinChannel.MANUAL if by_hand else chosen.channel)


def _fits(session: SessionChoice, draft: Draft) -> bool:
    channels = {None, BuiltinChannel.MANUAL, session.channel}
    return draft.session in {None, session.name} and draft.channel in channels


def _sort_key(session: SessionChoice, *, by_hand: bool) -> tuple[bool, bool, bool, int, str]:
    """Order sessions: the wanted way, ready before not, most room for new chats, name."""
    return (
        (session.channel == BuiltinChannel.MANUAL) is not by_hand,
        not session.ready,
        session.new_chats_left <= 0,
        -session.new_chats_left,
        session.name,
    )
