"""Binary XML is written and read, with tokens and without; frames are cut out of any pieces."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.virtual_whatsapp.binary_node import (
    LID_SERVER,
    Jid,
    Node,
    UnreadableNode,
    decode_node,
    encode_node,
)
from tests.virtual_whatsapp.library import find_library
from tests.virtual_whatsapp.noise import PROLOGUE, FrameBuffer, HandshakeFailed, frame
from tests.virtual_whatsapp.token_table import TokensNotFound, TokenTable, read_token_table

TOKENS = read_token_table(find_library())
NO_TOKENS = TokenTable((), ())

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
jids = st.builds(
    Jid, st.from_regex(r"[0-9]{1,15}", fullmatch=True), st.sampled_from(["s.whatsapp.net", "lid"]),
    st.integers(0, 99),
)  # fmt: skip
nodes = st.recursive(
    st.builds(
        Node,
        texts,
        st.dictionaries(texts, texts | jids, max_size=4),
        st.none() | st.binary(max_size=400),
    ),
    lambda children: st.builds(
        Node, texts, st.just({}), st.lists(children, min_size=1, max_size=4).map(tuple)
    ),
    max_leaves=8,
)


@given(nodes)
def test_what_is_written_is_read_again(node: Node) -> None:
    """Without a single token."""
    assert decode_node(encode_node(node), NO_TOKENS) == node


def test_a_compressed_frame_is_read() -> None:
    """Clients compress what is long."""
    node = Node("iq", {"id": "1"}, b"x" * 500)
    assert decode_node(b"\x02" + zlib.compress(encode_node(node)[1:]), TOKENS) == node


def test_tokens_and_packed_numbers_are_read() -> None:
    """A list of four values: the tag `type`, one attribute, one content."""
    head = bytes([0, 248, 4, TOKENS.single.index("type"), TOKENS.single.index("from")])
    packed = bytes([255, 2, 0x12, 0x3A])  # the digits 1 2 3 and a hyphen
    assert decode_node(head + packed + bytes([252, 1, 7]), TOKENS) == Node(
        "type", {"from": "123-"}, b"\x07"
    )


def test_an_address_is_read_with_its_device() -> None:
    """The domain says which server it belongs to."""
    head = bytes([0, 248, 3, 252, 1, 97, 252, 1, 98])
    assert decode_node(head + bytes([247, 1, 9, 252, 1, 53]), TOKENS).attributes == {
        "b": Jid("5", LID_SERVER, 9)
    }


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\xf8\x05\x03", b"\0\xf8\x02\x03\xfc\xff"])
def test_a_broken_node_is_refused_with_its_place(data: bytes) -> None:
    """Nothing is made of half a node."""
    with pytest.raises(UnreadableNode):
        decode_node(data, TOKENS)


def test_the_tables_are_the_librarys_own() -> None:
    """One of single bytes, four of two."""
    assert TOKENS.single[1] == "xmlstreamstart"
    assert len(TOKENS.single) == 236
    assert [len(table) for table in TOKENS.double] == [256] * 4


def test_a_library_without_the_tables_fails_with_what_to_do(tmp_path: Path) -> None:
    """As one would after an upgrade that moved them."""
    other = tmp_path / "other.so"
    other.write_bytes(find_library().read_bytes().replace(b"xmlstreamstart", b"xmlstreambegun"))
    with pytest.raises(TokensNotFound, match=r"token_table\.py"):
        read_token_table(other)


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_frames_are_cut_out_of_any_pieces(payloads: list[bytes], size: int) -> None:
    """A websocket message need not be a frame."""
    buffer, frames = FrameBuffer(), []
    stream = PROLOGUE + b"".join(frame(payload) for payload in payloads)
    for begin in range(0, len(stream), size):
        frames += buffer.feed(stream[begin : begin + size])
    assert frames == payloads


def test_a_client_without_the_prologue_is_refused() -> None:
    """It is no client of WhatsApp Web."""
    with pytest.raises(HandshakeFailed):
        FrameBuffer().feed(b"GET / HTTP/1.1")
