"""A trace of a link holds types and times, and nothing that anybody wrote or that names anybody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.linked_worker.neonize_driver.frame_shape import SHAPE_WORDS, TAGS, read_shape
from daemon.linked_worker.neonize_driver.frame_trace import (
    MAX_FRAMES,
    FrameTrace,
    TracedFrame,
    read_trace,
)
from tests.helpers.hypothesis_profiles import examples

SECRETS = st.one_of(
    st.text(min_size=1),
    st.from_regex(r"\A\+?[1-9][0-9]{7,14}\Z"),
    st.from_regex(r"\A[1-9][0-9]{7,14}(:[0-9]{1,2})?@(lid|s\.whatsapp\.net|g\.us)\Z"),
    st.from_regex(r"\A2@[A-Za-z0-9+/=]{20,40}\Z"),
    st.from_regex(r"\A[0-9a-f]{16,64}\Z"),
    st.from_regex(r"\A[a-z]{3,12}\Z"),
    st.from_regex(r'\A[a-z]{1,8}" (type|from|notify|[a-z]{3,9})="[a-z0-9@.]{1,20}\Z'),
    st.from_regex(r'\A</?[a-z]{3,12}( [a-z]{2,9}="[a-z0-9]{1,12}")?/?>\Z'),
)
"""What people write, their numbers and addresses, codes and keys, and names that look like tags."""
NAMES = st.one_of(
    st.sampled_from(["type", "from", "to", "id", "notify", "code", "jid", "name", "xmlns", "t"]),
    st.from_regex(r"\A[a-z_-]{1,20}\Z"),
)


@st.composite
def frames(draw: st.DrawFn, depth: int = 0) -> str:
    """Return a frame as the library logs it, with secrets in its values, contents and tags."""
    known = st.sampled_from(sorted(TAGS))
    tag = draw(st.one_of(known, NAMES) if depth else known)
    attributes = draw(st.lists(st.tuples(NAMES, SECRETS), max_size=4))
    head = tag + "".join(f' {name}="{value}"' for name, value in attributes)
    if draw(st.booleans()):
        return f"<{head}/>"
    content = draw(SECRETS) if depth > 2 or draw(st.booleans()) else ""
    children = draw(st.lists(frames(depth + 1), max_size=3)) if depth < 3 else []
    return f"<{head}>{content}{''.join(children)}</{tag}>"


def list_shape_words(shape: str) -> set[str]:
    """Return the words of a shape."""
    return set(re.split(r"[\[\]() +=]+", shape)) - {""}


@given(frames())
@examples(400)
def test_a_shape_holds_words_of_the_protocol_alone(frame: str) -> None:
    """Whatever stands in names, addresses, bodies and keys: each word is in the list, or a code."""
    words = list_shape_words(read_shape(frame))
    assert {each for each in words if each not in SHAPE_WORDS} <= {
        each for each in words if re.fullmatch("[0-9]{3}", each)
    }


@given(SECRETS)
@examples(200)
def test_what_is_no_frame_is_other(text: str) -> None:
    """As a text that the library might log beside its frames."""
    assert read_shape(f"{text}<message/>".removeprefix("<")) == "other"


def test_a_first_word_that_is_new_is_kept() -> None:
    """It is WhatsApp's own, and what one wants to know; below it, what is new is `other`."""
    assert read_shape('<novelty id="1"><hola/></novelty>') == "novelty[id](other)"


def test_a_name_with_quotation_marks_hides_the_rest() -> None:
    """Names are not escaped in the log."""
    assert read_shape('<message notify="An"a <x>" from="1@lid"><enc v="2">00</enc></message>') == (
        "message"
    )


@pytest.mark.parametrize(
    ("frame", "shape"),
    [
        ('<iq id="s.1" type="set" xmlns="md"><ref>2@a</ref><ref>2@b</ref></iq>',
         "iq[id type=set xmlns=md](ref+)"),
        ('<failure reason="402" location="vir" code="101" expire="3600"/>',
         "failure[code=101 expire other reason=402]"),
        ('<receipt from="5491155550101:3@lid" id="3EB0" type="read"/>',
         "receipt[from=@lid id type=read]"),
        ('<message from="1@g.us" type="adios"><enc type="pkmsg" v="2"><!-- 9 --></enc></message>',
         "message[from=@g.us type=other](enc[type=pkmsg v])"),
    ],
)  # fmt: skip
def test_a_shape_says_what_kind_of_frame_it_was(frame: str, shape: str) -> None:
    """Types, codes and kinds of addresses are kept."""
    assert read_shape(frame) == shape


def test_answers_are_numbered_by_what_was_asked(tmp_path: Path) -> None:
    """By the ids of frames, which are not in the file; only its owner can read it."""
    path = tmp_path / "trace.jsonl"
    trace = FrameTrace(path)
    trace.record("device", '<iq id="234.200-1" type="get" xmlns="encrypt"><count/></iq>')
    trace.record("server", '<ib from="s.whatsapp.net"><offline count="0"/></ib>')
    trace.record("server", '<iq id="234.200-1" type="result"><count value="812"/></iq>')
    recorded = read_trace(path.read_bytes())
    assert [(each.sender, each.answers) for each in recorded] == [
        ("device", None),
        ("server", None),
        ("server", 1),
    ]
    assert recorded[2].shape == "iq[id type=result](count[value])"
    assert b"812" not in path.read_bytes()
    assert b"234" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_a_trace_is_not_endless(tmp_path: Path) -> None:
    """A session that is recorded for weeks fills no disk."""
    path = tmp_path / "trace.jsonl"
    trace = FrameTrace(path)
    for _ in range(MAX_FRAMES + 10):
        trace.record("server", "<ib/>")
    recorded = read_trace(path.read_bytes())
    assert len(recorded) == MAX_FRAMES
    assert recorded[-1] == TracedFrame(MAX_FRAMES, recorded[-1].seconds, "server", "ib")
