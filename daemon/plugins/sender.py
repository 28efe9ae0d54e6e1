"""The sender plugin: chooses the session of a message."""

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
    """Return the text and the route of a draft, or None where no session fits.

    A named session is taken in any state: the message waits for it. Else, of those on the draft's
    channel, a ready one with new chats left, then a ready one, then any; one that sends by hand
    only where there is no other, or the draft asks for it.
    """
    fitting = [each for each in sessions if _fits(each, draft)]
    if not fitting:
        return None
    by_hand = draft.channel == BuiltinChannel.MANUAL
    chosen = min(fitting, key=partial(_sort_key, by_hand=by_hand))
    return Prepared(draft.text, chosen.name, BuiltinChannel.MANUAL if by_hand else chosen.channel)


def _fits(session: SessionChoice, draft: Draft) -> bool:
    # By hand, any session's number will do: a person writes from that phone.
    channels = {None, BuiltinChannel.MANUAL, session.channel}
    return draft.session in {None, session.name} and draft.channel in channels


def _sort_key(session: SessionChoice, *, by_hand: bool) -> tuple[bool, bool, bool, int, str]:
    """Order sessions by: the wanted way of sending, ready, most new chats left, name."""
    return (
        (session.channel == BuiltinChannel.MANUAL) is not by_hand,
        not session.ready,
        session.new_chats_left <= 0,
        -session.new_chats_left,
        session.name,  # the same session for the same state: decisions stay reproducible
    )
