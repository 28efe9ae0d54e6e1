"""What contacts' words ask of us: the rules, the shipped lists, and the sentences for bad lists."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.effects import ContactRequest
from daemon.errors import PhrasesRejected
from daemon.inbound import contact_requests
from daemon.inbound.contact_requests import load_contact_request_reader, normalise_text

DATA = Path(__file__).parents[2] / "data" / "optout_phrases.csv"
SHIPPED = load_contact_request_reader()

with DATA.open(encoding="utf-8", newline="") as file:
    EXPECTED = [(row["text"], ContactRequest(row["expected"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("text", "contact_request"), EXPECTED)
def test_every_phrase_of_the_data_file_is_read_as_it_says(
    text: str, contact_request: ContactRequest
) -> None:
    """The product's own list of messages is the measure."""
    assert SHIPPED.read_request(text) is contact_request


@pytest.mark.parametrize(
    ("text", "contact_request"),
    [
        ("", ContactRequest.NONE),
        ("👍", ContactRequest.NONE),
        ("por favor, gracias", ContactRequest.NONE),
        ("¡Por favor, BAJA ya! Gracias 🙏", ContactRequest.OPT_OUT),
        ("\U0001d412\U0001d413\U0001d40e\U0001d40f", ContactRequest.OPT_OUT),
        ("S\u200bT\u200bO\u200bP", ContactRequest.OPT_OUT),
        ("stop stop STOP!!!", ContactRequest.OPT_OUT),
        ("don't text me", ContactRequest.OPT_OUT),
        ("Hola. Les pido que no me escriban, estoy de luto", ContactRequest.OPT_OUT),
        ("quiero darme de baja de esto", ContactRequest.OPT_OUT),
        ("Por favor sacame de la lista, gracias", ContactRequest.OPT_OUT),
        ("stop messaging me or I call the police", ContactRequest.OPT_OUT),
        ("alto", ContactRequest.OPT_OUT),
        ("alto, por favor", ContactRequest.OPT_OUT),
        ("alto precio", ContactRequest.NONE),
        ("la baja temporada", ContactRequest.NONE),
        ("para el lunes", ContactRequest.NONE),
        ("unstoppable cancellation", ContactRequest.NONE),
        ("Stop by tomorrow", ContactRequest.REVIEW),
        ("Hola, baja el precio y compro", ContactRequest.REVIEW),
        ("¿cómo hago para ir de baja?", ContactRequest.REVIEW),
        ("don't stop now", ContactRequest.REVIEW),
        ("UNSTOP", ContactRequest.OPT_IN),
        (" alta. ", ContactRequest.OPT_IN),
        ("alta calidad", ContactRequest.NONE),
        ("alta por favor", ContactRequest.NONE),
        ("No, muchas gracias", ContactRequest.REFUSED),
        ("Hola, no me interesa", ContactRequest.REFUSED),
        ("Gracias, pero no", ContactRequest.REFUSED),
        ("no me interesa el rojo, sí el azul", ContactRequest.NONE),
    ],
)
def test_the_rules_hold_beyond_the_data_file(text: str, contact_request: ContactRequest) -> None:
    """Whole words, whole messages, courtesy around them, and nothing by accident."""
    assert SHIPPED.read_request(text) is contact_request


@given(st.text())
def test_any_text_has_a_wish(text: str) -> None:
    """No text makes the reader raise."""
    assert isinstance(SHIPPED.read_request(text), ContactRequest)


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    """What is folded stays as it is, and holds words only."""
    folded = normalise_text(text)
    assert normalise_text(folded) == folded
    assert all(word.isalnum() for word in folded.split())


@given(st.sampled_from(EXPECTED), st.sampled_from([" ", "!", "…", "🙏", "\u200d", "\n"]))
def test_decoration_changes_no_wish(expected: tuple[str, ContactRequest], mark: str) -> None:
    """Punctuation, emoji and spaces around a message make no difference."""
    text, contact_request = expected
    assert SHIPPED.read_request(f"{mark}{text.upper()}{mark}") is contact_request


def test_a_very_long_message_is_read_to_its_end() -> None:
    """An opt-out behind a wall of text counts."""
    assert SHIPPED.read_request("bla " * 20_000 + "please now " * 5_000) is ContactRequest.NONE
    assert SHIPPED.read_request("uno dos " * 20_000 + "no me escriban") is ContactRequest.OPT_OUT


def write(folder: Path, text: str) -> Path:
    """Put a phrase file into a folder."""
    path = folder / "phrases.txt"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "[opt_out]\nBÁSTA\n[refusal]\nno more\n[opt_in]\nyes\n[refused]\nnope\n"


def test_operators_can_bring_their_own_lists(tmp_path: Path) -> None:
    """Their phrases replace the shipped ones, and are folded as messages are."""
    own = load_contact_request_reader(write(tmp_path, "# ours\n\n" + GOOD))
    assert [own.read_request(text) for text in ("basta!", "BAJA", "yes", "oh no more", "nope")] == [
        ContactRequest.OPT_OUT,
        ContactRequest.NONE,
        ContactRequest.OPT_IN,
        ContactRequest.OPT_OUT,
        ContactRequest.REFUSED,
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hello\n" + GOOD, ":1: there is no list []"),
        (GOOD + "[stopp]\n", ":9: there is no list [stopp]"),
        (GOOD + "🙏\n", ":9: '🙏' has no letter or digit"),
        (GOOD + "[opt_in]\nbasta\n", ":10: 'basta' stands in [opt_out] too"),
        ("[opt_out]\nstop\n", "the list [refusal] is missing or empty"),
    ],
)
def test_a_bad_list_is_named_with_file_and_line(tmp_path: Path, text: str, sentence: str) -> None:
    """What is wrong, and where."""
    path = write(tmp_path, text)
    with pytest.raises(PhrasesRejected) as caught:
        load_contact_request_reader(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_all_problems_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    """One look is enough to mend them all."""
    with pytest.raises(PhrasesRejected) as caught:
        load_contact_request_reader(write(tmp_path, GOOD + "!!\n[what]\n"))
    assert ":9:" in str(caught.value)
    assert ":10:" in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """Missing, or not text."""
    with pytest.raises(PhrasesRejected, match="can't be read"):
        load_contact_request_reader(tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(PhrasesRejected, match="can't be read"):
        load_contact_request_reader(tmp_path / "bytes.txt")


def test_the_shipped_phrases_all_mean_what_their_list_says() -> None:
    """No shipped phrase is shadowed by another list."""
    for line, name, phrase in contact_requests.parse_phrase_entries(
        contact_requests.SHIPPED_PHRASES.read_text(encoding="utf-8")
    ):
        wanted = {
            "opt_out": ContactRequest.OPT_OUT,
            "refusal": ContactRequest.OPT_OUT,
            "opt_in": ContactRequest.OPT_IN,
            "refused": ContactRequest.REFUSED,
        }.get(name)
        if phrase and wanted:
            assert SHIPPED.read_request(phrase) is wanted, (
                f"{contact_requests.SHIPPED_PHRASES}:{line}: {phrase}"
            )


@pytest.mark.parametrize(
    "text",
    [
        "b a j a",
        "B.A.J.A.",
        "B-A-J-A por favor",
        "s t o p",
        "S*T*O*P!!",
        "hola, b  a  j  a",
        "p a r a r",
    ],
)
def test_letters_one_by_one_are_a_word(text: str) -> None:
    """Whoever spells it means it, whatever stands between the letters."""
    assert SHIPPED.read_request(text) is ContactRequest.OPT_OUT


def test_every_opt_out_can_be_spelled() -> None:
    """Doubled letters too, and phrases of several words; two letters might be initials."""
    text = contact_requests.SHIPPED_PHRASES.read_text(encoding="utf-8")
    listed = [
        phrase
        for _, name, phrase in contact_requests.parse_phrase_entries(text)
        if name == "opt_out" and phrase
    ]
    spelled = [
        phrase
        for phrase in listed
        if normalise_text(" ".join(phrase.replace(" ", ""))).count(" ") > 1
    ]
    assert spelled
    for phrase in spelled:
        for between in " .-_":
            said = between.join(phrase.replace(" ", ""))
            assert SHIPPED.read_request(said) is ContactRequest.OPT_OUT, said


@pytest.mark.parametrize(
    "text",
    [
        "a b c",
        "S.A.",
        "b a",
        "grupo b a j o",
        "plan a b c d",
        "la b a j a tensión",
        "U.S.A.",
        "b a j",
    ],
)
def test_letters_that_spell_no_opt_out_are_none(text: str) -> None:
    """Initials, lists, and a word that is spelled in the middle of something else."""
    assert SHIPPED.read_request(text) is ContactRequest.NONE
