"""The lists of whole messages: what counts as one of them, and the sentences for bad lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.effects import ContactRequest
from daemon.errors import PhrasesRejected
from daemon.inbound.contact_requests import (
    ContactRequestReader,
    load_contact_request_reader,
    read_contact_request,
)
from daemon.inbound.contact_requests.listed_phrases import (
    SHIPPED_PHRASES,
    load_listed_phrases,
    normalise_text,
    parse_phrase_entries,
)

LISTED = [
    (name, phrase)
    for _, name, phrase in parse_phrase_entries(SHIPPED_PHRASES.read_text(encoding="utf-8"))
    if phrase
]


@pytest.mark.parametrize(("name", "phrase"), [each for each in LISTED if each[0] != "courtesy"])
def test_each_shipped_phrase_means_what_its_list_says(name: str, phrase: str) -> None:
    """Alone, in capitals, and with courtesy around it."""
    for text in (phrase, phrase.upper(), f"Hola, {phrase}!! Gracias 🙏"):
        found = read_contact_request(text).first
        assert found.request == name, text
        assert found.listed is (found.request is ContactRequest.OPT_OUT)


@given(
    st.sampled_from([phrase for name, phrase in LISTED if name == "opt_out"]),
    st.sampled_from([" ", "!", "…", "🙏", "\u200d", "\n"]),
)
def test_decoration_changes_no_listed_opt_out(phrase: str, mark: str) -> None:
    """Punctuation, emoji and spaces around a message make no difference."""
    text = f"{mark}{phrase.upper()}{mark}"
    assert read_contact_request(text).first.request is ContactRequest.OPT_OUT


@given(st.text())
def test_a_folded_text_holds_words_only(text: str) -> None:
    """Letters and digits, with one space between words."""
    folded = normalise_text(text)
    assert all(word.isalnum() for word in folded.split())
    assert folded == " ".join(folded.split())


def test_every_opt_out_can_be_spelled() -> None:
    """Letter by letter, whatever stands between them; two letters might be initials."""
    words = [phrase for name, phrase in LISTED if name == "opt_out" and phrase.isalpha()]
    spelled = [word for word in words if len(word) > 2]
    assert len(spelled) > 10
    for word in spelled:
        for between in (" ", ".", "-", "_", "  "):
            said = between.join(word)
            assert read_contact_request(said).first.request is ContactRequest.OPT_OUT, said


def write(folder: Path, text: str) -> Path:
    """Put a phrase file into a folder."""
    path = folder / "phrases.txt"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "[opt_out]\nBÁSTA YÁ AMIGOS\n[opt_in]\nyes please\n[declined]\nnope nope\n"


def test_operators_can_bring_their_own_lists(tmp_path: Path) -> None:
    """Their phrases replace the shipped ones, and are folded as messages are."""
    own = ContactRequestReader(load_listed_phrases(write(tmp_path, "# ours\n\n" + GOOD)))
    read = [own.read(text).first for text in ("basta ya, amigos!", "alta", "yes please", "nope")]
    assert [each.request for each in read] == [
        ContactRequest.OPT_OUT,
        ContactRequest.UNCLEAR,
        ContactRequest.OPT_IN,
        ContactRequest.DECLINED,
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hello\n" + GOOD, ":1: there is no list []"),
        (GOOD + "[stopp]\n", ":7: there is no list [stopp]"),
        (GOOD + "...\n", ":7: '...' has no letter or digit"),
        (GOOD + "[opt_in]\nbasta ya amigos\n", ":8: 'basta ya amigos' stands in [opt_out] too"),
        ("[opt_out]\nstop\n", "the list [opt_in] is missing or empty"),
    ],
)
def test_a_bad_list_is_named_with_file_and_line(tmp_path: Path, text: str, sentence: str) -> None:
    """What is wrong, and where."""
    path = write(tmp_path, text)
    with pytest.raises(PhrasesRejected) as caught:
        load_listed_phrases(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_all_problems_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    """One look is enough to mend them all."""
    with pytest.raises(PhrasesRejected) as caught:
        load_listed_phrases(write(tmp_path, GOOD + "!!\n[what]\n"))
    assert ":7:" in str(caught.value)
    assert ":8:" in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """Missing, or not text."""
    with pytest.raises(PhrasesRejected, match="can't be read"):
        load_listed_phrases(tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(PhrasesRejected, match="can't be read"):
        load_listed_phrases(tmp_path / "bytes.txt")


def test_an_operators_file_adds_and_removes(tmp_path: Path) -> None:
    """What it does not name stays as shipped; a phrase may move to another list."""
    own = write(tmp_path, "[opt_out]\nchau chau\n[declined]\n-no gracias\n[courtesy]\nno gracias\n")
    reader = load_contact_request_reader(own)
    assert reader.read("¡Chau, chau!").first.listed
    assert reader.read("no gracias, chau chau").first.request is ContactRequest.OPT_OUT
    assert reader.read("BAJA").first.listed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[opt_out]\n-baja\n", ":2: '-baja' can't be removed from [opt_out]"),
        ("[declined]\n-nunca listed\n", ":2: '-nunca listed' removes what is not in [declined]"),
        ("[opt_in]\nbaja\n", ":2: 'baja' stands in [opt_out] too"),
        ("[whatever]\n-x\n", ":1: there is no list [whatever]"),
    ],
)
def test_a_bad_operators_file_is_refused_with_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    """Nothing takes an opt-out away."""
    with pytest.raises(PhrasesRejected) as caught:
        load_contact_request_reader(write(tmp_path, text))
    assert sentence in str(caught.value)
