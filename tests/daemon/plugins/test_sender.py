"""The sender: which session a message goes through."""

from __future__ import annotations

import pytest

from daemon.api.effects import Draft, Prepared, SessionChoice
from daemon.plugins.sender import leadmaster_prepare_message


def choice(
    name: str, channel: str = "linked", *, ready: bool = True, left: int = 3
) -> SessionChoice:
    """A session that a draft could go through."""
    return SessionChoice(name, channel, "+5491100000000", ready, left)


BY_HAND = choice("desk", "manual", ready=False, left=5)


async def prepare(draft: Draft, *sessions: SessionChoice) -> Prepared | None:
    """Ask the plugin."""
    return await leadmaster_prepare_message(draft=draft, sessions=sessions)


@pytest.mark.parametrize(
    ("sessions", "chosen"),
    [
        ([choice("b"), choice("a")], "a"),
        ([choice("a", ready=False), choice("b", left=1)], "b"),
        ([choice("a", left=0), choice("b", left=1)], "b"),
        ([choice("a", left=0), choice("b", ready=False)], "a"),
        ([choice("a", left=1), choice("b", left=2)], "b"),
        ([BY_HAND, choice("a", ready=False, left=0)], "a"),
        ([BY_HAND], "desk"),
    ],
)
async def test_the_readiest_session_is_chosen(sessions: list[SessionChoice], chosen: str) -> None:
    """Ready, with new chats left, by a line rather than by hand; then by name."""
    prepared = await prepare(Draft("+5491141234567", "Hola {no variable}"), *sessions)
    assert prepared
    assert (prepared.session, prepared.text) == (chosen, "Hola {no variable}")


async def test_a_named_session_is_taken_whatever_its_state() -> None:
    """The message waits for it."""
    draft = Draft("+5491141234567", "Hola", session="b")
    assert await prepare(draft, choice("a"), choice("b", ready=False)) == Prepared(
        "Hola", "b", "linked"
    )


async def test_a_draft_for_a_channel_goes_by_that_channel() -> None:
    """By hand, if that is asked for."""
    draft = Draft("+5491141234567", "Hola", channel="manual")
    assert await prepare(draft, choice("a"), BY_HAND) == Prepared("Hola", "desk", "manual")


@pytest.mark.parametrize("named", [None, "b"])
async def test_by_hand_any_number_can_be_written_from(named: str | None) -> None:
    """A person with that phone sends it: no session of its own is needed, and no line."""
    draft = Draft("+5491141234567", "Hola", session=named, channel="manual")
    sessions = (choice("a", ready=False), choice("b", left=1))
    assert await prepare(draft, *sessions) == Prepared("Hola", "b", "manual")


@pytest.mark.parametrize(
    "draft",
    [
        Draft("+5491141234567", "Hola", session="gone"),
        Draft("+5491141234567", "Hola", channel="cloud"),
    ],
)
async def test_where_no_session_fits_it_has_no_answer(draft: Draft) -> None:
    """It is left to the next plugin, or refused by the core."""
    assert await prepare(draft, choice("a")) is None
