"""Plugins: a stranger's own distribution at work, and what no plugin can do."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from daemon.api import hookimpl
from daemon.api.effects import Draft
from daemon.api.opinions import OpinionRequest
from daemon.api.permit import PermitSigner
from daemon.api.transport import Channel
from daemon.errors import StartRefused, Unavailable
from daemon.events import SendingHalted
from daemon.gate.gate import EvaluationFault, EvaluationPhase, Gate
from daemon.plugin_manager import PluginFailure, Plugins
from daemon.rulesets.active import ActiveRulesets
from daemon.settings import RulesSettings
from rules.verdict import Opinion, Verdict, VetoEffect
from storage import messages
from tests.helpers.plugins import BUILT_IN
from tests.helpers.services.contacts import build_inbound_services, open_contact_services

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "leadmaster-stranger"
PLUGIN_PROGRAM = ROOT / "tests" / "helpers" / "programs" / "run_third_party_plugin.py"
QUESTION = OpinionRequest("msg_1", "+5491141234567", "main", "simulated", {})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example from a copy of its own folder, as a person would; return where."""
    source = tmp_path_factory.mktemp("source") / "leadmaster-stranger"
    shutil.copytree(EXAMPLE, source)
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-config"),
            *("--python", sys.executable, "--cache-dir", str(source.parent / "cache")),
            *("--no-deps", "--target", str(target), str(source)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the stranger is installed too."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(installed), str(ROOT))),
        "LEADMASTER_STRANGER_QUIET": "BR,CL",
    }
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def at_work(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Let the stranger work in a process of its own, and return what was seen."""
    done = run(installed, str(PLUGIN_PROGRAM), str(tmp_path_factory.mktemp("work")))
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_a_strangers_distribution_is_found_by_its_entry_point(at_work: dict[str, Any]) -> None:
    """Beside the built-in ones, which come in the same way."""
    assert set(at_work["names"]) == {"stranger", *BUILT_IN}


def test_a_strangers_channel_sends_with_a_permit_and_not_without(at_work: dict[str, Any]) -> None:
    """Used, for another text, forged: each is refused, and nothing is written."""
    seen = at_work["channel"]
    assert seen["signals"] == ["Connected", "Synced"]
    assert seen["answer"] == "Acknowledged"
    assert seen["refusals"] == ["permit_used", "permit_body_differs", "permit_forged"]
    assert seen["files"] == {"msg_1.txt": "+5491141234567\n\nHola\n"}
    assert seen["checked"] == ["unknown"]


def test_a_strangers_channel_is_checked_in_one_line(installed: Path) -> None:
    """Every promise that applies to it holds: what a folder can't show is said to be untested."""
    done = run(installed, "-m", "daemon", "channels", "check", "folder", "--json")
    results = json.loads(done.stdout)["results"]
    failed = [each for each in results if each["outcome"] == "failed"]
    assert (done.returncode, failed) == (0, [])
    untested = {each["check"] for each in results if each["outcome"] == "not_tested"}
    assert untested == {
        "no_acknowledgement",
        "refusal",
        "unknown",
        "identities",
        "origins",
        "own_messages",
        "receipts_out_of_order",
        "receipts_late",
        "lost_connection",
        "death",
        "logout",
        "pairing_code",
    }


def test_a_strangers_opinion_is_heard(at_work: dict[str, Any]) -> None:
    """Block, hold, and nothing to say."""
    assert at_work["opinions"] == [["block", ""], ["hold", ""], ["None", ""]]


def test_a_stranger_sees_events_and_brings_an_import_source(at_work: dict[str, Any]) -> None:
    """One event was shown, a header and two records were read."""
    assert at_work["counts"] == {"sending.halted": 1}
    assert at_work["rows"] == [
        [0, "phone", "name"],
        [2, "+5491141234567", "Ana"],
        [4, "1122334455", ""],
    ]
    assert at_work["form"] == "one number a line"


def test_a_blocked_stranger_stays_out(installed: Path) -> None:
    """It is not even imported."""
    program = (
        "import sys; from daemon.plugin_manager import Plugins\n"
        "plugins = Plugins(); plugins.load(blocked=['stranger'])\n"
        "print('stranger' in plugins.names, 'leadmaster_stranger' in sys.modules)"
    )
    assert run(installed, "-c", program).stdout.split() == ["False", "False"]


def test_the_example_imports_the_daemons_api_and_the_standard_library_only() -> None:
    """So that it shows what a stranger can do with what is promised."""
    for path in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                own = name.startswith(("daemon.api", "leadmaster_stranger"))
                assert own or name.partition(".")[0] in sys.stdlib_module_names, f"{path}: {name}"


def loaded(failures: list[PluginFailure] | None = None, /, **more: object) -> Plugins:
    """Load these plugins alone, with little patience, and note what fails."""
    noted = [] if failures is None else failures
    plugins = Plugins(limit=0.05, report_failure=noted.append)
    plugins.load(blocked=BUILT_IN, more=more)
    return plugins


class CallbackJudge:
    """A plugin whose opinion is whatever a test wants."""

    def __init__(self, answer: Callable[[], object]) -> None:
        self._answer = answer

    @hookimpl
    async def leadmaster_judge_message(self) -> object:
        """Answer, raise, or never come back."""
        found = self._answer()
        return await found if asyncio.iscoroutine(found) else found


def boom() -> object:
    """Fail as plugins do."""
    raise ValueError("boom")


class MisspeltHook:
    """A plugin whose author mistyped a hook."""

    @hookimpl
    def leadmaster_declare_chanels(self) -> Sequence[Channel]:
        """Never called: the start is refused."""
        return []


def test_a_misspelt_hook_stops_the_start_with_a_sentence() -> None:
    """It names the hook, and says what to do."""
    sentence = "There is no hook leadmaster_declare_chanels; the plugin 'typo' implements it"
    with pytest.raises(StartRefused, match=sentence) as caught:
        loaded(typo=MisspeltHook())
    assert "blocked" in caught.value.hint


async def test_a_raising_and_a_late_opinion_are_failures_of_their_own() -> None:
    """The third one's answer comes through; each failure names its plugin."""
    heard: list[PluginFailure] = []
    plugins = loaded(
        heard,
        broken=CallbackJudge(boom),
        late=CallbackJudge(lambda: asyncio.sleep(10)),
        strict=CallbackJudge(lambda: Opinion("strict", VetoEffect.HOLD, "look")),
    )
    broken, late, strict = await plugins.judge(QUESTION)
    assert broken.failure == (
        "The plugin 'broken' failed in leadmaster_judge_message; the log says why."
    )
    assert late.failure == (
        "The plugin 'late' did not answer leadmaster_judge_message within 0.05 s."
    )
    assert (strict.failure, strict.value) == ("", Opinion("strict", VetoEffect.HOLD, "look"))
    assert sorted(failure.plugin for failure in heard) == ["broken", "late"]


def test_there_is_no_word_by_which_a_plugin_could_allow() -> None:
    """Not as an effect, and not as a route."""
    assert {effect.value for effect in VetoEffect} == {"block", "route", "defer", "hold"}
    with pytest.raises(ValueError, match="never routes"):
        Opinion("friend", VetoEffect.ROUTE, "by hand")


class CallbackChannels:
    """A plugin that declares channels."""

    def __init__(self, declared: Callable[[], object]) -> None:
        self._declared = declared

    @hookimpl
    def leadmaster_declare_channels(self) -> object:
        """Declare."""
        return self._declared()


def file_channel() -> Sequence[Channel]:
    """One channel."""
    return [Channel("file", "x", open=None)]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"a": CallbackChannels(file_channel), "b": CallbackChannels(file_channel)},
            "declares 'file'",
        ),
        ({"a": CallbackChannels(boom)}, "failed in leadmaster_declare_channels"),
        ({"a": CallbackChannels(lambda: ["file"])}, "not what the hook asks for"),
    ],
)
def test_a_bad_declaration_stops_the_start(more: dict[str, object], sentence: str) -> None:
    """Two of one name, an error, or no channel at all."""
    with pytest.raises(StartRefused, match=sentence):
        loaded(**more).channels()


class FailingSender:
    """A sender that fails, and asks for no argument."""

    @hookimpl
    async def leadmaster_prepare_message(self) -> object:
        """Fail."""
        return boom()


async def test_a_failing_sender_refuses_that_message() -> None:
    """The sentence names the plugin."""
    with pytest.raises(Unavailable, match="'bad'"):
        await loaded(bad=FailingSender()).prepare(Draft("+5491141234567", "Hola"), [])


async def test_without_any_sender_there_is_no_answer() -> None:
    """The core says what is missing."""
    assert await loaded().prepare(Draft("+5491141234567", "Hola"), []) is None


async def test_an_observer_that_fails_changes_nothing() -> None:
    """It is reported, and that is all."""
    heard: list[PluginFailure] = []

    class Observer:
        """Fails at every event."""

        @hookimpl
        async def leadmaster_observe_event(self) -> None:
            """Fail."""
            boom()

    plugins = loaded(heard, watcher=Observer())
    at = datetime(2026, 3, 3, tzinfo=UTC)
    await plugins.observe(SendingHalted(subject="installation", at=at, who="eva", reason="x"))
    assert [failure.plugin for failure in heard] == ["watcher"]


async def looked_at(folder: Path, answer: Callable[[], object]) -> str:
    """Return what the real gate says of a reply that all rules allow, with a plugin beside it."""
    async with open_contact_services(folder) as people:
        inbound = build_inbound_services(people)
        prospect = await inbound.get_prospect(await inbound.add_prospect())
        await inbound.receive_text("hola, ¿precio?")
        message = await people.queue_message(prospect.phone, kind="reply")
        await people.database.write(
            lambda tx: tx.execute("UPDATE sessions SET connection = 'ready'")
        )
        gate = Gate(
            people.database,
            loaded(beside=CallbackJudge(answer)),
            ActiveRulesets.load(RulesSettings(engines="reference")),
            PermitSigner(),
            people.clock,
        )
        queued = await people.database.read(
            lambda reader: messages.require_message(reader, message)
        )
        look = await gate.evaluate(queued, EvaluationPhase.ENQUEUE)
        return (
            look.outcome.reason_code
            if isinstance(look.outcome, EvaluationFault)
            else look.outcome.verdict
        )


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (lambda: None, "allow"),
        (lambda: Opinion("beside", VetoEffect.HOLD, "look"), "review"),
        (lambda: Opinion("beside", VetoEffect.BLOCK, "no"), "block"),
        (boom, "plugin_opinion_missing"),
        (lambda: asyncio.sleep(10), "plugin_opinion_missing"),
        (lambda: Verdict.ALLOW, "plugin_opinion_invalid"),
        (lambda: True, "plugin_opinion_invalid"),
        (lambda: {"effect": "allow"}, "plugin_opinion_invalid"),
        (lambda: Opinion("beside", cast("VetoEffect", "allow"), "go"), "plugin_opinion_invalid"),
    ],
)
async def test_a_plugin_beside_the_gate_can_only_be_stricter(
    tmp_path: Path, answer: Callable[[], object], outcome: str
) -> None:
    """Silence changes nothing, a word holds or blocks, and everything else is a gate fault."""
    assert await looked_at(tmp_path, answer) == outcome
