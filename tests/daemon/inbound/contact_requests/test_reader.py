"""What the reader may and may not conclude from words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.effects import ContactRequest
from daemon.inbound.contact_requests import STRICTEST_FIRST, read_contact_request
from daemon.inbound.contact_requests.folding import READ_CHARACTERS
from tests.daemon.inbound.contact_requests.corpus import OPEN_PART, WELCOMES, list_older_phrases

C = ContactRequest
TEXTS = [each.text for each in OPEN_PART] + [text for text, _, _ in list_older_phrases()]
MIXTURES = [
    between.join(pair)
    for between in (" ", ", ", ". ", " y ", " pero ", "? ", "\n")
    for pair in zip(TEXTS, TEXTS[7:] + TEXTS[:7], strict=True)
]
UNCLEAR_TEXTS = [
    text
    for text in TEXTS + MIXTURES
    if read_contact_request(text).first.request is ContactRequest.UNCLEAR
]
UNKNOWN_WORD = "zzqxv"


def read(text: str) -> ContactRequest:
    """Return the class that is shown first."""
    return read_contact_request(text).first.request


def add_anywhere(word: str, text: str) -> Iterator[str]:
    """Yield a text with a word added before each of its words, and at its end."""
    words = text.split(" ")
    for at in range(len(words) + 1):
        yield " ".join([*words[:at], word, *words[at:]])


@pytest.mark.parametrize(
    ("text", "request_read"),
    [
        ("", C.UNCLEAR),
        ("👍", C.COURTESY),
        ("por favor, gracias", C.COURTESY),
        ("¡Por favor, BAJA ya! Gracias 🙏", C.OPT_OUT),
        ("\U0001d412\U0001d413\U0001d40e\U0001d40f", C.OPT_OUT),
        ("S\u200bT\u200bO\u200bP", C.OPT_OUT),
        ("stop stop STOP!!!", C.OPT_OUT),
        ("don't text me", C.OPT_OUT),
        ("Hola. Les pido que no me escriban más, estoy de viaje", C.OPT_OUT),
        ("quiero darme de baja de esto", C.OPT_OUT),
        ("Por favor sacame de la lista, gracias", C.OPT_OUT),
        ("no me escrivan mas", C.OPT_OUT),
        ("dejen de mandar mensages", C.OPT_OUT),
        ("no me llamen ni me escriban", C.OPT_OUT),
        ("alto", C.OPT_OUT),
        ("alto precio", C.UNCLEAR),
        ("la baja temporada", C.UNCLEAR),
        ("unstoppable cancellation", C.UNCLEAR),
        ("Stop by tomorrow", C.UNCLEAR),
        ("Hola, baja el precio y compro", C.UNCLEAR),
        ("don't stop now", C.UNCLEAR),
        ("UNSTOP", C.OPT_IN),
        (" alta. ", C.OPT_IN),
        ("alta calidad", C.UNCLEAR),
        ("No, muchas gracias", C.DECLINED),
        ("Hola, no me interesa", C.DECLINED),
        ("Gracias, pero no", C.DECLINED),
        ("no me interesa el rojo, sí el azul", C.UNCLEAR),
        ("they did not write to me", C.UNCLEAR),
        ("a b c", C.UNCLEAR),
        ("S.A.", C.UNCLEAR),
        ("la b a j a tensión", C.UNCLEAR),
        ("b a j", C.UNCLEAR),
        ("hola y B.A.J.A", C.OPT_OUT),
        ("B.A.J.A y Stopp", C.OPT_OUT),
    ],
)
def test_whole_clauses_count(text: str, request_read: ContactRequest) -> None:
    """One word that is not understood makes a limit on one thing of an opt-out."""
    assert read(text) is request_read


@pytest.mark.parametrize(
    "text",
    [
        "no dejen de escribirme",
        "no me saquen de la lista",
        "don't remove me from the list",
        "no quiero darme de baja",
        "todavía no me manden mensajes",
        "no me manden más de un mensaje",
        "no voy a escribir más",
        "no me escriban de noche",
        "stop calling me at night",
        "no me llames ahora",
        "solo no me llamen",
        "no me escriban, llámenme",
        "no me manden más mensajes, ¿cuánto sale?",
        "no more messages, send me the price",
        "dar de baja un empleado",
        "mandame los datos not zzqxv interested, please remove me",
        "agendemos una llamada no zzqxv thanks, take me off your list",
    ],
)
def test_a_limit_is_no_opt_out(text: str) -> None:
    """Negated, for a time, on one thing, or beside a wish: a person reads it."""
    found = read_contact_request(text).first
    assert (found.request, found.may_ask_to_stop) == (C.UNCLEAR, True)


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ("STOP y andate a la mierda", {C.OPT_OUT, C.COMPLAINT}),
        ("número equivocado, no escriban más", {C.OPT_OUT, C.WRONG_PERSON}),
        ("mi papá falleció, no escriban más", {C.OPT_OUT, C.DECEASED}),
        ("me interesa, ¿cuánto sale?", {C.INTERESTED, C.QUESTION}),
    ],
)
def test_a_message_can_say_several_things(text: str, requests: set[ContactRequest]) -> None:
    """All are found, and the first of the order is shown."""
    found = read_contact_request(text)
    assert found.requests == requests
    assert found.first.request == min(requests, key=STRICTEST_FIRST.index)


@pytest.mark.parametrize("text", ["¿quién sos?", "where did you get my number?"])
def test_a_question_about_us_is_no_interest_in_the_offer(text: str) -> None:
    """It is marked."""
    assert read_contact_request(text).first.about_us


@pytest.mark.parametrize("text", ["¿cuánto sale?", "do you deliver?"])
def test_a_question_about_the_offer_is_one(text: str) -> None:
    """It has no such mark."""
    found = read_contact_request(text).first
    assert (found.request, found.about_us) == (C.QUESTION, False)


def test_the_quote_shows_the_words_as_they_were_written() -> None:
    """With accents and capitals."""
    found = read_contact_request("Hola! NO me Escribán MÁS. Juan").first
    assert found.quote == "NO me Escribán MÁS"


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("tengo 15 años", True),
        ("tengo 15 años de experiencia", False),
        ("tengo 25 años", False),
        ("el negocio tiene 15 años", False),
        ("este es el celular de mi hijo de 11 años", True),
        ("mi hijo de 15 años trabaja conmigo", False),
    ],
)
def test_an_age_is_a_persons(text: str, minor: bool) -> None:  # noqa: FBT001 - a column
    """In the first person, or of whose phone it is."""
    assert (read(text) is C.MINOR) is minor


@pytest.mark.parametrize(
    ("text", "deceased"),
    [
        ("murió el dueño", True),
        ("la batería murió", False),
        ("el muerto que nadie quiere", False),
    ],
)
def test_a_death_is_a_persons(text: str, deceased: bool) -> None:  # noqa: FBT001 - a column
    """Not a thing's."""
    assert (read(text) is C.DECEASED) is deceased


def test_what_a_program_tells_people_to_write_is_no_wish() -> None:
    """Its instructions name the words of an opt-out."""
    assert read("Gracias por comunicarte con Sol. Escribí BAJA para salir.") is C.AUTOMATIC


def test_an_unknown_word_never_makes_sense_of_an_unclear_message() -> None:
    """Added anywhere: never an opt-out, never a welcome. About ten thousand ways are tried."""
    longer = (longer for text in UNCLEAR_TEXTS for longer in add_anywhere(UNKNOWN_WORD, text))
    made_sense = [
        text for text in longer if read_contact_request(text).requests & (WELCOMES | {C.OPT_OUT})
    ]
    assert made_sense == []


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """No text makes the reader raise, and the first finding is one of those found."""
    found = read_contact_request(text)
    assert found.first in found.findings


@given(st.lists(st.sampled_from(TEXTS), min_size=2, max_size=6).map(" ".join))
def test_any_mixture_of_messages_is_read(text: str) -> None:
    """An opt-out and a welcome are never found together."""
    requests = read_contact_request(text).requests
    assert C.OPT_OUT not in requests or not requests & WELCOMES


def test_a_long_message_is_read_so_far() -> None:
    """The wish of a person stands in the first characters."""
    wall = "bla " * (READ_CHARACTERS // 4)
    assert read(wall + "no me escriban más") is C.UNCLEAR
    assert read("no me escriban más, " + wall) is C.OPT_OUT


def count_steps(text: str) -> int:
    """Return how many functions run while a text is read."""
    read(text)  # loads the lexicon, and the characters
    steps = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        read_contact_request(text)
    finally:
        sys.setprofile(None)
    return steps


@pytest.mark.parametrize(
    "repeated",
    [
        "❌🛑",
        "3) ",
        "9 ",
        "2?",
        "no? ",
        "y mi ",
        "and my ",
        "hours ",
        "opcion ",
        "no me llamo ",
        "ok gracias ",
        "a b  c   ",
        "B.A.J.A ",
        "para que ",
        "no me interesa ",
        "celular menor ",
    ],
)
def test_twice_the_length_takes_twice_the_steps(repeated: str) -> None:
    """No step looks at the whole message for each of its words."""
    short, long = (repeated * (length // len(repeated)) for length in (2_000, READ_CHARACTERS))
    assert count_steps(long) <= 2.2 * count_steps(short)


def test_a_long_word_takes_no_steps_for_its_letters() -> None:
    """It is no slip of a word that is shorter: of each kana square here, four letters are made."""
    assert count_steps("㌀" * READ_CHARACTERS) < READ_CHARACTERS / 4


def test_the_same_message_is_quoted_in_the_same_way() -> None:
    """Of two quotes of one length, the first."""
    found = read_contact_request("I'd like a quote \n manda o catálogo por favor").first
    assert (found.request, found.quote) == (C.INTERESTED, "I'd like a quote")
