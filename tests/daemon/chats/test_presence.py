"""Who looks at a chat: for some seconds, of as many as there is room for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.chats.presence import VIEW_LEASE, ChatPresence
from tests.helpers.clock import FakeClock


@pytest.mark.parametrize(("views", "forgotten"), [(300, 0), (500, 0), (501, 1), (620, 120)])
def test_only_the_oldest_views_without_room_are_forgotten(views: int, forgotten: int) -> None:
    """Five hundred have room; none of fewer is lost."""
    presence = ChatPresence(FakeClock())
    for number in range(views):
        presence.note(f"chat {number}", "ana", viewing=True)
    seen = [presence.list_viewers(f"chat {number}", "eva") for number in range(views)]
    assert seen == [[]] * forgotten + [["ana"]] * (views - forgotten)


async def test_a_view_ends_with_its_lease_or_when_the_page_says_so() -> None:
    """One's own is never listed; only what changes is new."""
    clock = FakeClock()
    presence = ChatPresence(clock)
    assert presence.note("chat", "ana", viewing=True)
    assert not presence.note("chat", "ana", viewing=True)
    assert presence.list_viewers("chat", "ana") == []
    assert presence.list_viewers("chat", "eva") == ["ana"]
    await clock.leap(VIEW_LEASE / timedelta(seconds=1))
    assert presence.list_viewers("chat", "eva") == []
    assert presence.note("chat", "ana", viewing=True)
    assert presence.note("chat", "ana", viewing=False)
    assert presence.list_viewers("chat", "eva") == []
