"""Two languages: the same keys in both, and every word that the server can say."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markupsafe import Markup

import rules
from daemon.api.signals import InboundKind
from daemon.contacts.number_checks import CHECK_BLOCK_SENTENCES
from daemon.http.console.language import LANGUAGES, Language, choose_language, load_language
from daemon.inbound.own_messages import ECHO_SENTENCE
from daemon.inbound.quarantine import HOLD_REASON
from daemon.inbound.reading import UNREADABLE_REASONS, WORDS_REVIEW_REASON
from daemon.outbox.check_waits import EXPIRY_SENTENCE
from daemon.outbox.forecast import WAIT_SENTENCES
from daemon.sessions.status import (
    BLOCK_SENTENCES,
    MISSING_PHONE_SENTENCE,
    REASON_SENTENCES,
    RESTRICTION_SENTENCE,
    STATE_TEXTS,
    UserAction,
)
from rules.diff import ChangeKind
from rules.ruleset import ScoreBand, ScoreGroup, ScoreRule, TimeWindow, Veto, WordList
from rules.verdict import DeferKind, Verdict, VetoEffect
from statemachines.message import MessageState
from statemachines.session import ConnectionState, PhoneState, SendingState
from statemachines.vocabulary import BlockedBy, NumberCheckBlock
from storage.review_queries import (
    LANDLINE_SENTENCE,
    STILL_UNKNOWN_SENTENCE,
    UNCHECKED_SENTENCE,
)

COMPARED = (ScoreBand, ScoreGroup, ScoreRule, Veto, TimeWindow, WordList)
LISTS = ("thresholds", "vetoes", "scores")
WRITTEN = {"start": "from", "opens": "from", "closes": "to", "fires_on_unknown": "if_missing"}
FIELDS = sorted(
    {WRITTEN.get(name, name) for kind in COMPARED for name in kind.__struct_fields__}
    - {"id", "name", "place", "used"}
)
ENGLISH, SPANISH = load_language("en"), load_language("es")
WORDS = (
    *(f"connection.{state}" for state in ConnectionState),
    *(f"phone.{state}" for state in PhoneState),
    *(f"sending.{state}" for state in SendingState),
    *(f"timeline.{state}" for state in (*PhoneState, *SendingState)),
    *(f"message.{state}" for state in MessageState),
    *(f"said.{kind}" for kind in InboundKind),
    *(f"blocked_by.{block}" for block in (*BlockedBy, *NumberCheckBlock)),
    *(f"verdict.{verdict}" for verdict in Verdict),
    *(f"effect.{effect}" for effect in VetoEffect),
    *(f"change.{kind}" for kind in DeferKind),
    *(f"differs.kind.{kind}" for kind in (ChangeKind.NEW, ChangeKind.GONE)),
    *(f"differs.field.{name}" for name in FIELDS),
    *(f"differs.section.{name}" for name in (*LISTS, "score", "windows", "lists", "groups")),
    *(f"todo.session.{action}" for action in UserAction if action is not UserAction.NONE),
)
RULESETS = [rules.load_ruleset([rules.DEFAULTS / name]) for name in ("gate.yaml", "score.yaml")]
RULE_REASONS = sorted(
    {veto.reason for each in RULESETS for veto in each.vetoes}
    | {rule.reason for each in RULESETS for rule in each.scores}
)
INBOUND_SENTENCES = (ECHO_SENTENCE, HOLD_REASON, WORDS_REVIEW_REASON, *UNREADABLE_REASONS.values())
NUMBER_SENTENCES = (
    *CHECK_BLOCK_SENTENCES.values(),
    *(WAIT_SENTENCES[block] for block in NumberCheckBlock),
    *(WAIT_SENTENCES["expires_unchecked"], EXPIRY_SENTENCE),
    *(STILL_UNKNOWN_SENTENCE, LANDLINE_SENTENCE, UNCHECKED_SENTENCE),
)
SESSION_SENTENCES = sorted(
    {
        *(words.sentence for words in STATE_TEXTS.values()),
        *REASON_SENTENCES.values(),
        RESTRICTION_SENTENCE.format(until="until {until}"),
        RESTRICTION_SENTENCE.format(until="until WhatsApp or a person opens them"),
        MISSING_PHONE_SENTENCE,
    }
)


def filled(sentence: str) -> str:
    """Fill the holes of a sentence as the server does."""
    retry = "; one more attempt at 2026-03-03 12:00:00"
    fields = [name for _, name, _, _ in string.Formatter().parse(sentence) if name]
    return sentence.format(**dict.fromkeys(fields, "2026-03-03 12:00:00") | {"retry": retry})


def holes(word: str) -> set[str]:
    """Return the names of a word's holes."""
    return {name for _, name, _, _ in string.Formatter().parse(word) if name}


def test_every_key_is_in_both_catalogues() -> None:
    """No page is half translated."""
    assert ENGLISH.words.keys() == SPANISH.words.keys()


@pytest.mark.parametrize("key", sorted(ENGLISH.words))
def test_a_word_has_the_same_holes_in_both(key: str) -> None:
    """A number or a name that one language shows, the other shows as well."""
    assert holes(ENGLISH.words[key]) == holes(SPANISH.words[key])
    assert SPANISH.words[key].strip()


@pytest.mark.parametrize("key", WORDS)
def test_every_word_of_the_server_has_a_word_for_people(key: str) -> None:
    """A new state, verdict or effect without words is noticed here."""
    assert ENGLISH.has(key)
    assert SPANISH.has(key)


@pytest.mark.parametrize(
    "sentence", [*SESSION_SENTENCES, *RULE_REASONS, *INBOUND_SENTENCES, *NUMBER_SENTENCES]
)
def test_every_sentence_of_the_server_is_known_in_spanish(sentence: str) -> None:
    """States, reasons and the shipped rules are said in Spanish, with the same moment in them."""
    said = filled(sentence)
    theirs = SPANISH.translate(said)
    assert theirs != said
    assert ("12:00:00" in said) == ("12:00:00" in theirs)
    assert "{" not in theirs


@pytest.mark.parametrize("sentence", SESSION_SENTENCES)
def test_english_says_exactly_what_the_server_says(sentence: str) -> None:
    """The page never rewrites the server's own language."""
    assert ENGLISH.translate(filled(sentence)) == filled(sentence)


@pytest.mark.parametrize("block", BlockedBy)
def test_a_page_says_what_to_do_about_a_session_without_a_command(block: BlockedBy) -> None:
    """Whoever looks at the console presses a button; the command line is for its own users."""
    said = BLOCK_SENTENCES[block].format(session="ventas")
    english, spanish = ENGLISH.translate(said), SPANISH.translate(said)
    assert english != spanish
    for theirs in (english, spanish):
        assert "ventas" in theirs
        assert "leadmaster" not in theirs


def test_sentences_in_a_row_are_translated_one_by_one() -> None:
    """What the server joins is told whole."""
    said = "Ready. New chats are closed until 2026-03-03 12:00:00; replies still go out."
    assert SPANISH.translate(said).startswith(
        "Listo. Los chats nuevos están cerrados hasta 2026-03-03"
    )


@given(some.text(max_size=60))
def test_a_sentence_that_nobody_knows_stays_as_it_is(text: str) -> None:
    """A rule of the operator's own is shown in the operator's words; nothing makes it fail."""
    unknown = f"§ {text}"
    assert SPANISH.translate(unknown) == unknown


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        (None, "", "en"),
        (None, "es-AR,es;q=0.9,en;q=0.8", "es"),
        (None, "de,fr;q=0.9", "en"),
        (None, "de,es;q=0.9", "es"),
        ("es", "en-GB", "es"),
        ("xx", "es", "es"),
    ],
)
def test_the_choice_goes_before_the_browsers_wish(
    cookie: str | None, accepted: str, code: str
) -> None:
    """A chosen language holds; else the first of ours that the browser accepts; else English."""
    assert choose_language(cookie, accepted).code == code


@pytest.mark.parametrize(("n", "said"), [(1, "one thing"), (0, "0 things"), (7, "7 things")])
def test_one_is_said_as_one(n: int, said: str) -> None:
    """A key's `.one` is for exactly one."""
    document: dict[str, Any] = {"a": {"b": "{n} things", "b.one": "one thing"}}
    assert Language("xx", document)("a.b", n=n) == said


def test_an_element_in_a_word_stays_an_element() -> None:
    """A time is a `<time>` in the middle of a sentence, and what stands beside it is escaped."""
    words = Language("xx", {"a": "{n} for {who}: {at}"})
    shown = words("a", n=2, who="<Ana>", at=Markup("<time>now</time>"))
    assert str(shown) == "2 for &lt;Ana&gt;: <time>now</time>"
    assert isinstance(shown, Markup)


def test_each_language_is_named_in_itself() -> None:
    """Whoever looks for theirs finds it without reading another."""
    assert LANGUAGES == {"en": "English", "es": "Español"}
