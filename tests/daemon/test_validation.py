"""Technical validation: three answers, within a budget, an operator's word, and an end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.errors import BadRequest, Conflict, NotFound, Unavailable
from daemon.new_message import new_message
from daemon.settings import PacingSettings, Settings
from daemon.validation import Validation
from daemon.validation.room import RETRY
from statemachines.message import MessageState
from statemachines.prospect import Validation as State
from statemachines.session import Connection, Phone, Sending
from storage import audit, contacts, evidence, halts, messages, prospects, sessions, spends
from storage.evidence import EvidenceKind
from storage.prospects import NewProspect, ProspectRecord
from storage.sessions import SessionRecord
from storage.spends import Spend
from storage.tx import Tx
from tests.helpers.importing import SETTINGS, ImportRoom, import_room

ANA = "+5491141234567"
BETO = "+525512345678"
OURS = "+5491150001111"
LID = "998877665544332@lid"


@dataclass
class ScriptedLine:
    """Stands at the port where sessions ask: answers as it was told, and remembers questions."""

    answers: dict[str, NumberAnswer] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    broken: bool = False

    async def check_numbers(self, name: str, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer in the reverse order, and only what it knows."""
        self.asked.append((name, tuple(phones)))
        if self.broken:
            raise OSError
        return [self.answers[phone] for phone in reversed(phones) if phone in self.answers]

    def say(self, phone: str, answer: str, **more: str) -> None:
        """Set the answer for a number."""
        self.answers[phone] = NumberAnswer(phone, OnWhatsApp(answer), **more)


@dataclass
class Checks:
    """The room of validation with two prospects and one session that may ask."""

    room: ImportRoom
    line: ScriptedLine
    validation: Validation
    woken: list[str] = field(default_factory=list)

    async def hear(self, contact: str) -> None:
        """Be the outbox."""
        self.woken.append(contact)

    async def of(self, phone: str) -> ProspectRecord:
        """Return the prospect of a number."""
        return await self.room.prospect(phone)

    async def check(self, phone: str) -> OnWhatsApp:
        """Check a number by hand."""
        return await self.validation.check((await self.of(phone)).id, "ana")

    async def told(self, phone: str, kind: EvidenceKind) -> list[str]:
        """Return the evidence of one kind, newest first."""
        contact = (await self.of(phone)).contact
        known = await self.room.database.read(lambda r: evidence.of_contact(r, contact))
        return [each.value for each in known if each.kind is kind]

    async def spent(self) -> int:
        """Return how many checks were booked."""
        long_ago = self.room.clock.now() - timedelta(days=400)
        return await self.room.database.read(lambda r: spends.count(r, OURS, Spend.CHECK, long_ago))

    async def wait_for_check(self, phone: str) -> str:
        """Leave a message of the prospect waiting for its check; return the contact."""
        prospect, at = await self.of(phone), self.room.clock.now()
        queued = new_message(
            at=at,
            contact=prospect.contact,
            recipient=phone,
            session="main",
            channel="simulated",
            text="Hola",
            kind="commercial",
            not_after=at + timedelta(days=7),
        )

        def job(tx: Tx) -> None:
            messages.insert(tx, queued, who="test")
            messages.move(
                tx,
                queued.id,
                MessageState.DEFERRED,
                at=at,
                reason_code="not_checked_yet",
                sentence="Whether the number is on WhatsApp is not known yet",
                who="gate",
                waits_for="checked",
            )

        await self.room.database.write(job)
        return prospect.contact


def bring(tx: Tx, room: ImportRoom, at: datetime) -> None:
    """Enter two prospects."""
    for phone in (ANA, BETO):
        contact = contacts.resolve(tx, room.aliases.of_phone(phone), at)
        new = NewProspect(contact=contact, phone=phone, cartera_origen="feria", line_type="mobile")
        prospects.insert(tx, new, at=at)
        room.scoring.refresh(tx, contact, at, reason_code="brought", sentence="")


def linked(tx: Tx, at: datetime, *, days: int = 30, name: str = "main", phone: str = OURS) -> None:
    """Enter a ready session whose number was linked so many days before ``at``."""
    sessions.insert(
        tx,
        SessionRecord(
            name=name,
            channel="simulated",
            phone=phone,
            time_zone="America/Argentina/Buenos_Aires",
            options={},
            desired="on",
            connection=Connection.READY,
            phone_state=Phone.SEEN,
            sending=Sending.ALL,
            reason_code="",
            since=at,
            created_at=at - timedelta(days=days),
        ),
    )


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *, days: int = 30, settings: Settings = SETTINGS
) -> AsyncIterator[Checks]:
    """Open the room with two prospects, and one session of an age in days."""
    async with import_room(folder) as room:
        at = room.clock.now()
        await room.database.write(lambda tx: bring(tx, room, at))
        await room.database.write(lambda tx: linked(tx, at, days=days))
        line = ScriptedLine()
        validation = Validation(
            room.database, line, room.scoring, room.aliases, room.clock, settings
        )
        checks = Checks(room, line, validation)
        validation.on_checked = checks.hear
        yield checks


@pytest.fixture
async def checks(tmp_path: Path) -> AsyncIterator[Checks]:
    """Open the room for one test."""
    async with opened(tmp_path) as room:
        yield room


async def test_yes_validates_scores_and_explains(checks: Checks) -> None:
    """A yes makes the prospect valid for 90 days, raises the score, and wakes who waited."""
    before = await checks.of(ANA)
    checks.line.say(ANA, "yes", whatsapp_id="5491141234567@s.whatsapp.net")
    assert await checks.check(ANA) is OnWhatsApp.YES
    after, now = await checks.of(ANA), checks.room.clock.now()
    assert (before.validado_tecnicamente, after.validado_tecnicamente) == (None, True)
    assert (after.validation, after.on_whatsapp) == (State.VALIDATED, "yes")
    assert after.expires_at == now + timedelta(days=90)
    assert after.whatsapp_id == "5491141234567@s.whatsapp.net"
    assert (before.score_contactabilidad, after.score_contactabilidad) == (30, 70)
    assert "on WhatsApp" in (after.score_explanation or "")
    assert await checks.told(ANA, EvidenceKind.ON_WHATSAPP) == ["yes"]
    assert checks.woken == [after.contact]


async def test_no_makes_it_not_reachable(checks: Checks) -> None:
    """A no sets the flag false; a first no is no bounce."""
    checks.line.say(ANA, "no")
    assert await checks.check(ANA) is OnWhatsApp.NO
    after = await checks.of(ANA)
    assert (after.validation, after.validado_tecnicamente) == (State.NOT_REACHABLE, False)
    assert await checks.told(ANA, EvidenceKind.BOUNCE) == []


@pytest.mark.parametrize("broken", [False, True])
async def test_unknown_never_becomes_no(checks: Checks, *, broken: bool) -> None:
    """No answer, or a line that breaks, leaves the prospect undecided and counts the attempt."""
    checks.line.broken = broken
    for attempt in (1, 2, 3):
        assert await checks.check(ANA) is OnWhatsApp.UNKNOWN
        after = await checks.of(ANA)
        assert (after.validation, after.on_whatsapp) == (State.UNCHECKED, "unknown")
        assert after.validado_tecnicamente is None
        assert after.check_attempts == attempt


async def test_a_yes_that_turns_no_is_a_bounce(checks: Checks) -> None:
    """After the validation ran out, a no of what was a yes is a bounce, and no send."""
    checks.line.say(ANA, "yes")
    await checks.check(ANA)
    await checks.room.clock.advance(timedelta(days=90).total_seconds())
    assert await checks.validation.sweep() == 1
    assert (await checks.of(ANA)).validation is State.EXPIRED
    checks.line.say(ANA, "no")
    await checks.check(ANA)
    assert await checks.told(ANA, EvidenceKind.BOUNCE) == ["check_turned_no"]
    assert (await checks.of(ANA)).validado_tecnicamente is False


async def test_an_expired_validation_waits_and_does_not_block(checks: Checks) -> None:
    """Null, not false, after 90 days; and not a moment before."""
    checks.line.say(ANA, "yes")
    await checks.check(ANA)
    await checks.room.clock.advance(timedelta(days=90).total_seconds() - 1)
    assert await checks.validation.sweep() == 0
    await checks.room.clock.advance(1)
    assert await checks.validation.sweep() == 1
    after = await checks.of(ANA)
    assert (after.validado_tecnicamente, after.expires_at) == (None, None)
    assert await checks.told(ANA, EvidenceKind.VALIDATION) == ["expired", "validated"]


async def test_what_is_known_is_not_asked_again(checks: Checks) -> None:
    """A yes holds as long as the validation; a no is taken as it is for 7 days, then by hand."""
    checks.line.say(ANA, "yes")
    checks.line.say(BETO, "no")
    for phone, answer in ((ANA, OnWhatsApp.YES), (BETO, OnWhatsApp.NO)):
        assert [await checks.check(phone), await checks.check(phone)] == [answer, answer]
    assert len(checks.line.asked) == 2
    await checks.room.clock.advance(timedelta(days=7).total_seconds())
    assert await checks.check(ANA) is OnWhatsApp.YES
    with pytest.raises(Conflict, match="not_reachable"):
        await checks.check(BETO)


async def test_a_hidden_id_joins_the_contact(checks: Checks) -> None:
    """A LID that comes with the answer is another name of the same person from then on."""
    elder = await checks.room.database.write(
        lambda tx: contacts.resolve(
            tx, checks.room.aliases.of_lid(LID), checks.room.clock.now() - timedelta(days=1)
        )
    )
    checks.line.say(ANA, "yes", lid=LID)
    await checks.check(ANA)
    after = await checks.of(ANA)
    assert after.contact == elder
    assert checks.woken == [elder]
    assert after.validation is State.VALIDATED
    assert await checks.room.database.read(lambda r: contacts.of_alias(r, LID)) == elder


async def test_a_word_that_came_first_stands(checks: Checks) -> None:
    """An answer that comes after an operator's word changes nothing."""
    prospect = await checks.of(ANA)

    async def meanwhile(_name: str, _phones: Sequence[str]) -> Sequence[NumberAnswer]:
        await checks.validation.set_by_hand(
            prospect.id, validated=True, who="ana", reason="she called"
        )
        return [NumberAnswer(ANA, OnWhatsApp.NO)]

    checks.line.check_numbers = meanwhile  # type: ignore[method-assign]
    await checks.check(ANA)
    assert (await checks.of(ANA)).validation is State.VALIDATED


@pytest.mark.parametrize(
    ("validated", "state", "flag"),
    [(True, State.VALIDATED, True), (False, State.NOT_REACHABLE, False)],
)
async def test_an_operators_word(
    checks: Checks, *, validated: bool, state: State, flag: bool
) -> None:
    """By hand either way, with a reason, in the audit and as evidence; it expires too."""
    prospect = await checks.of(ANA)
    await checks.validation.set_by_hand(
        prospect.id, validated=validated, who="ana", reason="spoke with her"
    )
    after = await checks.of(ANA)
    assert (after.validation, after.validado_tecnicamente) == (state, flag)
    assert (after.expires_at is not None) is validated
    entry = (await checks.room.database.read(lambda r: audit.of_subject(r, prospect.id)))[-1]
    assert (entry.who, entry.action, entry.reason) == ("ana", "validate_by_hand", "spoke with her")
    assert entry.detail == {"validated": validated}
    assert checks.woken == [prospect.contact]


async def test_a_word_needs_a_reason_and_somebody(checks: Checks) -> None:
    """No reason, an unknown prospect and an erased one are refused, each with its own error."""
    prospect = await checks.of(ANA)
    with pytest.raises(BadRequest):
        await checks.validation.set_by_hand(prospect.id, validated=True, who="ana", reason=" ")
    with pytest.raises(NotFound):
        await checks.validation.check("pro_x", "ana")
    await checks.room.database.write(
        lambda tx: prospects.update(
            tx, prospect.id, at=checks.room.clock.now(), validation="erased"
        )
    )
    with pytest.raises(Conflict):
        await checks.validation.set_by_hand(prospect.id, validated=True, who="ana", reason="x")


async def test_the_budget_is_the_numbers(tmp_path: Path) -> None:
    """Each question is booked before it is asked; a spent budget comes back after 24 hours."""
    settings = Settings(pacing=PacingSettings(number_checks=2))
    async with opened(tmp_path, settings=settings) as checks:
        await checks.check(ANA)
        await checks.check(ANA)
        with pytest.raises(Unavailable):
            await checks.check(ANA)
        assert await checks.spent() == 2
        await checks.room.clock.advance(timedelta(hours=24).total_seconds())
        await checks.check(ANA)


async def test_a_young_number_asks_nothing(tmp_path: Path) -> None:
    """None in a number's first 14 days here."""
    async with opened(tmp_path, days=13) as checks:
        with pytest.raises(Unavailable, match="No session may check"):
            await checks.check(ANA)
        await checks.room.clock.advance(timedelta(days=1).total_seconds())
        await checks.check(ANA)


async def test_another_number_helps_out(tmp_path: Path) -> None:
    """Where the first session's budget is spent, the next one that may is asked."""
    settings = Settings(pacing=PacingSettings(number_checks=1))
    async with opened(tmp_path, settings=settings) as checks:
        at = checks.room.clock.now()
        await checks.room.database.write(
            lambda tx: linked(tx, at, days=20, name="second", phone="+5491150002222")
        )
        await checks.check(ANA)
        await checks.check(BETO)
        assert [name for name, _ in checks.line.asked] == ["main", "second"]


async def test_a_line_that_never_answers_is_given_up(checks: Checks) -> None:
    """After the time that a send may take, silence is an unknown."""
    asked = asyncio.Event()

    async def silent(_name: str, _phones: Sequence[str]) -> Sequence[NumberAnswer]:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    checks.line.check_numbers = silent  # type: ignore[method-assign]
    checking = asyncio.create_task(checks.check(ANA))
    await asked.wait()
    await checks.room.clock.advance(SETTINGS.sending.answer_seconds)
    assert await checking is OnWhatsApp.UNKNOWN


async def test_a_halt_stops_checks_too(checks: Checks) -> None:
    """While sending is halted nobody is asked about."""
    at = checks.room.clock.now()
    await checks.room.database.write(
        lambda tx: halts.begin(tx, at=at, who="ana", reason="something is wrong")
    )
    with pytest.raises(Unavailable):
        await checks.check(ANA)
    assert checks.line.asked == []


async def test_who_is_waited_for_is_checked_and_told(checks: Checks) -> None:
    """Only those whose messages wait are asked about, in one question, and each is told of."""
    waiting = {await checks.wait_for_check(ANA), await checks.wait_for_check(BETO)}
    checks.line.say(ANA, "yes")
    assert await checks.validation.check_waiting() == 2
    assert len(checks.line.asked) == 1
    assert set(checks.woken) == waiting
    assert (await checks.of(ANA)).validation is State.VALIDATED
    assert (await checks.of(BETO)).check_attempts == 1


async def test_an_unknown_is_asked_again_later(checks: Checks) -> None:
    """Not at once: ten minutes later, so that three unknowns take a while."""
    await checks.wait_for_check(ANA)
    assert await checks.validation.check_waiting() == 1
    assert await checks.validation.check_waiting() == 0
    await checks.room.clock.advance(RETRY.total_seconds())
    assert await checks.validation.check_waiting() == 1


async def test_it_runs_beside_and_hears_the_bell(checks: Checks) -> None:
    """Running, it looks when woken."""
    checks.room.clock.busy.append(lambda: not checks.woken)
    async with checks.validation.running():
        await checks.wait_for_check(ANA)
        checks.line.say(ANA, "yes")
        checks.validation.wake()
        await checks.room.clock.settle()
    assert (await checks.of(ANA)).validation is State.VALIDATED


async def test_a_failure_does_not_end_it(checks: Checks) -> None:
    """Whoever hears of an answer may fail; the next look finds who is still waiting."""
    heard: list[str] = []

    async def fail_once(contact: str) -> None:
        heard.append(contact)
        if len(heard) == 1:
            raise OSError

    checks.validation.on_checked = fail_once
    await checks.wait_for_check(ANA)
    checks.room.clock.busy.append(lambda: not heard)
    async with checks.validation.running():
        await checks.room.clock.settle()
        checks.room.clock.busy[:] = [lambda: len(heard) < 2]
        await checks.wait_for_check(BETO)
        checks.validation.wake()
        await checks.room.clock.settle()
    assert len(heard) == 2


async def test_a_check_that_a_crash_cut_short_lapses(checks: Checks) -> None:
    """Checking does not last: after five minutes without an answer it says nothing."""
    prospect, now = await checks.of(ANA), checks.room.clock.now()
    await checks.room.database.write(
        lambda tx: prospects.update(tx, prospect.id, at=now, validation="checking")
    )
    assert await checks.validation.sweep() == 0
    await checks.room.clock.advance(300)
    assert await checks.validation.sweep() == 1
    after = await checks.of(ANA)
    assert (after.validation, after.check_attempts) == (State.UNCHECKED, 1)


async def test_a_message_that_missed_the_answer_is_woken(checks: Checks) -> None:
    """A message deferred while the answer came in is found by the sweep."""
    checks.line.say(ANA, "yes")
    await checks.check(ANA)
    checks.woken.clear()
    contact = await checks.wait_for_check(ANA)
    await checks.validation.sweep()
    assert checks.woken == [contact]


async def test_every_move_is_news(checks: Checks) -> None:
    """Checking, then the answer: each is published with its reason, once."""
    checks.room.published.clear()
    checks.line.say(ANA, "no")
    await checks.check(ANA)
    told = [event.data for event in checks.room.published if event.type == "prospect.changed"]
    assert [each["validation"] for each in told] == ["checking", "not_reachable"]
    assert [each["reason_code"] for each in told] == ["check_started", "check_no"]
