"""Plugins: each has its own limit and its own error, and none can stop, delay or hide another."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from daemon.api import PROJECT, hookimpl
from daemon.api.effects import ContactView, Draft, Intent, Prepared, SessionChoice, SetIntent
from daemon.api.identity import parse_identity
from daemon.api.opinions import OpinionRequest
from daemon.api.signals import InboundMessage
from daemon.api.transport import Channel
from daemon.errors import StartRefused, Unavailable
from daemon.events import ContactReopened, DomainEvent
from daemon.installed_plugins import ENTRY_POINT_GROUP
from daemon.plugin_manager import PluginAnswer, PluginFailure, Plugins
from rules.verdict import Opinion, VetoEffect
from tests.helpers.clock import MIDDAY
from tests.helpers.plugins import BUILT_IN

ROOT = Path(__file__).parents[2]
QUESTION = OpinionRequest("msg_1", "+5491145550001", "main", "simulated", {})
DRAFT = Draft("+5491145550001", "Hola")
OPINION = Opinion("one", VetoEffect.HOLD, "Look")
BUILT_IN_HOOKS = {
    "listener": {"leadmaster_interpret_inbound"},
    "sender": {"leadmaster_prepare_message"},
    "sync": {"leadmaster_declare_sources"},
    "transport_linked": {"leadmaster_declare_channels"},
    "transport_manual": {"leadmaster_declare_channels"},
    "transport_simulated": {"leadmaster_declare_channels"},
}


def loaded(**more: object) -> tuple[Plugins, list[PluginFailure]]:
    """Load these plugins and no other; return them with what failed."""
    failures: list[PluginFailure] = []
    plugins = Plugins(limit=0.05, report_failure=failures.append)
    plugins.load(blocked=BUILT_IN, more=more)
    return plugins, failures


class AnsweringJudge:
    """Answers a question as it was told to."""

    def __init__(self, answer: object = None, *, error: BaseException | None = None) -> None:
        self.answer = answer
        self.error = error

    @hookimpl
    async def leadmaster_judge_message(self) -> object:
        """Take none of the arguments: a plugin names only those that it wants."""
        if self.error:
            raise self.error
        if self.answer == "late":
            await asyncio.sleep(5)
        return self.answer


async def test_answers_come_by_name_each_with_its_own_failure() -> None:
    """A late, a raising and a cancelled one hide nothing of the fourth."""
    plugins, failures = loaded(
        d_good=AnsweringJudge(OPINION),
        c_late=AnsweringJudge("late"),
        a_broken=AnsweringJudge(error=RuntimeError("+5491145550001")),
        b_cancelled=AnsweringJudge(error=asyncio.CancelledError()),
    )
    broken, cancelled, late, good = await plugins.judge(QUESTION)
    assert good == PluginAnswer("d_good", OPINION)
    hook = "leadmaster_judge_message"
    assert broken.failure == f"The plugin 'a_broken' failed in {hook}; the log says why."
    assert cancelled.failure == f"The plugin 'b_cancelled' failed in {hook}; the log says why."
    assert "within 0.05 s" in late.failure
    assert sorted(failure.plugin for failure in failures) == ["a_broken", "b_cancelled", "c_late"]
    assert all("+549" not in failure.sentence for failure in failures)


async def test_a_plugin_that_ignores_its_end_holds_up_nobody() -> None:
    """The limit holds also for one that swallows its cancellation."""
    gone = asyncio.Event()

    class Deaf:
        @hookimpl
        async def leadmaster_judge_message(self, request: OpinionRequest) -> None:
            """Take no hint until the test is over."""
            assert request is QUESTION
            while not gone.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await gone.wait()

    plugins, failures = loaded(deaf=Deaf())
    (answer,) = await plugins.judge(QUESTION)
    assert "within 0.05 s" in answer.failure
    assert [failure.plugin for failure in failures] == ["deaf"]
    gone.set()


async def test_a_plugin_that_exits_ends_only_its_own_answer() -> None:
    """`SystemExit` in a plugin is a failing opinion, not the end of the daemon."""
    plugins, _ = loaded(quitter=AnsweringJudge(error=SystemExit(3)))
    (answer,) = await plugins.judge(QUESTION)
    assert answer.failure == (
        "The plugin 'quitter' failed in leadmaster_judge_message; the log says why."
    )


async def test_they_are_asked_side_by_side() -> None:
    """Two slow ones cost one limit."""
    meeting = asyncio.Barrier(2)

    class Meets:
        @hookimpl
        async def leadmaster_judge_message(self, request: OpinionRequest) -> None:
            """Wait for the other one."""
            assert request is QUESTION
            await meeting.wait()

    plugins, failures = loaded(one=Meets(), two=Meets())
    assert await plugins.judge(QUESTION) == [PluginAnswer("one"), PluginAnswer("two")]
    assert failures == []


async def test_our_own_end_is_not_taken_for_a_plugins_failure() -> None:
    """Cancelling the caller cancels the call."""
    plugins = Plugins(limit=60)
    plugins.load(blocked=BUILT_IN, more={"slow": AnsweringJudge("late")})
    asking = asyncio.create_task(plugins.judge(QUESTION))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


class AnsweringSender:
    """Prepares, or leaves it to the next."""

    def __init__(self, answer: object = None, error: Exception | None = None) -> None:
        self.answer = answer
        self.error = error

    @hookimpl
    async def leadmaster_prepare_message(
        self, draft: Draft, sessions: Sequence[SessionChoice]
    ) -> object:
        """Answer as told."""
        assert draft == DRAFT
        assert sessions == []
        if self.error:
            raise self.error
        return self.answer


async def test_the_first_prepared_message_counts() -> None:
    """The last one registered is asked first; who returns nothing leaves it to the next."""
    prepared = Prepared("Hola", "main", "simulated")
    plugins, _ = loaded(one=AnsweringSender(prepared), two=AnsweringSender())
    assert await plugins.prepare(DRAFT, []) == prepared
    assert await loaded(two=AnsweringSender())[0].prepare(DRAFT, []) is None


async def test_a_plugin_that_cannot_prepare_refuses_that_message() -> None:
    """With its name in the sentence; nothing is sent half prepared."""
    plugins, _ = loaded(one=AnsweringSender(error=ValueError("x")))
    with pytest.raises(Unavailable, match="'one' failed"):
        await plugins.prepare(DRAFT, [])


async def test_effects_are_told_by_plugin_and_a_failing_one_has_none() -> None:
    """The inbound itself is never lost by it."""
    effect = SetIntent(Intent.CLEAR, "la quiero")

    class Listens:
        @hookimpl
        async def leadmaster_interpret_inbound(
            self, inbound: InboundMessage, contact: ContactView
        ) -> list[SetIntent]:
            """See both arguments."""
            assert inbound.text == contact.name == "Hola"
            return [effect]

    class Breaks:
        @hookimpl
        async def leadmaster_interpret_inbound(self) -> None:
            """Fail."""
            raise RuntimeError

    plugins, failures = loaded(listens=Listens(), breaks=Breaks())
    inbound = InboundMessage("wire-1", parse_identity("998@lid"), "Hola", MIDDAY)
    view = ContactView(None, "Hola", None, "none", suppressed=False)
    assert await plugins.interpret(inbound, view) == [("listens", [effect])]
    assert [failure.plugin for failure in failures] == ["breaks"]


async def test_observers_see_an_event_and_their_errors_change_nothing() -> None:
    """The event is committed; looking at it can't undo it."""
    seen: list[DomainEvent] = []

    class Observes:
        @hookimpl
        async def leadmaster_observe_event(self, event: DomainEvent) -> None:
            """Look, and fail."""
            seen.append(event)
            raise RuntimeError

    plugins, failures = loaded(observes=Observes())
    event = ContactReopened(subject="con_1", at=MIDDAY, source="contact", reason="ALTA")
    await plugins.observe(event)
    assert seen == [event]
    assert len(failures) == 1


async def test_a_hook_that_is_no_coroutine_is_taken_too() -> None:
    """A plain function answers at once."""

    class Plain:
        @hookimpl
        def leadmaster_judge_message(self) -> Opinion:
            """Answer without waiting."""
            return OPINION

    assert await loaded(plain=Plain())[0].judge(QUESTION) == [PluginAnswer("plain", OPINION)]


def test_a_hook_that_does_not_exist_refuses_the_start() -> None:
    """A typo would else be silence for ever."""

    class Typo:
        @hookimpl
        def leadmaster_juge_message(self) -> None:
            """Never called."""

    with pytest.raises(StartRefused, match="leadmaster_juge_message"):
        loaded(typo=Typo())


def test_a_plugin_that_cannot_be_registered_refuses_the_start_by_name() -> None:
    """Its arguments are not those of the hook."""

    class Wrong:
        @hookimpl
        def leadmaster_judge_message(self, nothing_like_it: object) -> None:
            """Never called."""

    with pytest.raises(StartRefused, match="'wrong' can't be loaded"):
        loaded(wrong=Wrong())


def test_each_built_in_plugin_is_there_with_its_hooks() -> None:
    """One that is not found, or whose hook has another name, would be missed by nobody."""
    plugins = Plugins()
    plugins.load()
    hooks = {
        point.name: {
            name for name, value in vars(point.load()).items() if hasattr(value, f"{PROJECT}_impl")
        }
        for point in entry_points(group=ENTRY_POINT_GROUP)
    }
    assert hooks == BUILT_IN_HOOKS
    assert plugins.names == tuple(BUILT_IN_HOOKS)
    assert set(plugins.channels()) == {"linked", "manual", "simulated"}
    assert set(plugins.sources()) == {"csv", "vcard", "xlsx"}


def test_every_entry_point_of_the_project_is_installed() -> None:
    """An environment that was made before a plugin came or moved would do without it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    assert installed == project["entry-points"][ENTRY_POINT_GROUP]


def test_a_blocked_name_that_no_plugin_has_refuses_the_start() -> None:
    """Misspelt, it would let the plugin in; the names that exist are named."""
    with pytest.raises(StartRefused, match="no plugin 'listenerr'") as refused:
        Plugins().load(blocked=["sender", "listenerr"])
    assert "listener, sender, sync" in refused.value.hint


def test_blocked_plugins_stay_out() -> None:
    """Every installed one can be blocked by its name."""
    assert loaded(one=AnsweringJudge())[0].names == ("one",)
    with_simulated = Plugins()
    with_simulated.load(blocked=set(BUILT_IN) - {"transport_simulated"})
    assert with_simulated.names == ("transport_simulated",)


class FixedChannels:
    """Declares what it is told to."""

    def __init__(self, *declared: object, error: Exception | None = None) -> None:
        self.declared = declared
        self.error = error

    @hookimpl
    def leadmaster_declare_channels(self) -> Sequence[object]:
        """Declare, or fail."""
        if self.error:
            raise self.error
        return self.declared


PIGEON = Channel("pigeon", "By pigeon", None)


def test_channels_and_sources_come_by_name() -> None:
    """Each once."""
    plugins, _ = loaded(birds=FixedChannels(PIGEON))
    assert plugins.channels() == {"pigeon": PIGEON}
    assert plugins.sources() == {}


@pytest.mark.parametrize(
    "second",
    [FixedChannels(PIGEON), FixedChannels("pigeons"), FixedChannels(error=RuntimeError("x"))],
)
def test_a_taken_name_a_stranger_thing_and_an_error_refuse_the_start(second: FixedChannels) -> None:
    """Which plugin it was is in the sentence."""
    plugins, _ = loaded(b_birds=FixedChannels(PIGEON), a_more=second)
    with pytest.raises(StartRefused, match=r"'(a_more|b_birds)'"):
        plugins.channels()
