"""Replays a recorded link into the virtual WhatsApp, and reports where that one is different.

`make linked-trace TRACE=FILE`, with a file of `leadmaster doctor --linked --record FILE`. A device
is linked to the virtual WhatsApp, and both traces are compared. Then it is linked once more, and
is sent, with empty values, what only the other server sent of itself: does the library take it?
Exit status 1 where anything is different.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path

from daemon.linked_worker.neonize_driver.frame_shape import OTHER
from daemon.linked_worker.neonize_driver.frame_trace import TracedFrame, read_trace
from tests.virtual_whatsapp.binary_node import Attribute, Jid, Node
from tests.virtual_whatsapp.linked_recorder import record_link
from tests.virtual_whatsapp.server import VirtualWhatsApp

NUMBER = "+5491155550001"
LISTEN_SECONDS = 3.0
_ENDING = frozenset(("success", "failure", "stream:error", "xmlstreamend"))
"""What begins or ends a login is not sent to one that is in the middle of it."""
_EMPTY = "1"
_REMOVAL = "(remove-companion-device"
"""In the shape of the request with which a device unlinks itself."""


def compare_traces(real: Sequence[TracedFrame], virtual: Sequence[TracedFrame]) -> list[str]:
    """Return a sentence for each difference, in the order of the real trace."""
    return [*_compare_news(real, virtual), *_compare_answers(real, virtual)]


def _compare_news(real: Sequence[TracedFrame], virtual: Sequence[TracedFrame]) -> Iterator[str]:
    """Compare what each server sends of itself."""
    sent, sent_virtually = list_news(real), list_news(virtual)
    yield from (f"only WhatsApp sends {each}" for each in sent if each not in sent_virtually)
    yield from (f"only the virtual one sends {each}" for each in sent_virtually if each not in sent)


def list_news(trace: Iterable[TracedFrame]) -> list[str]:
    """Return the shapes of what a server sent and nobody had asked for, each once.

    What follows the device's own request to be removed is left out: the server closes the line
    then, and whether the device still reads its reason is chance.
    """
    linked = takewhile(lambda each: _REMOVAL not in each.shape, trace)
    return list(
        dict.fromkeys(
            each.shape for each in linked if each.sender == "server" and each.answers is None
        )
    )


def _compare_answers(real: Sequence[TracedFrame], virtual: Sequence[TracedFrame]) -> Iterator[str]:
    """Compare how each server answers what the device asks."""
    answers, virtual_answers = _group_answers(real), _group_answers(virtual)
    for asked, shapes in answers.items():
        known = virtual_answers.get(asked)
        if known is None:
            yield f"only WhatsApp is asked {asked}"
        for shape in sorted(shapes - (known or shapes)):
            yield f"WhatsApp answers {asked} with {shape}, the virtual one with {min(known or [])}"


def _group_answers(trace: Sequence[TracedFrame]) -> dict[str, set[str]]:
    """Return the shapes of answers by the shape of what the device had asked."""
    asked = {each.number: each.shape for each in trace if each.sender == "device"}
    grouped: defaultdict[str, set[str]] = defaultdict(set)
    for each in trace:
        if each.sender == "server" and each.answers in asked:
            grouped[asked[each.answers]].add(each.shape)
    return dict(grouped)


def build_node(shape: str) -> Node:
    """Return a node of this shape, with empty values: what a trace holds can be sent again."""
    node, _ = _parse_node(shape, 0)
    return node


def _parse_node(shape: str, start: int) -> tuple[Node, int]:
    """Return the node that begins there, and where it ends."""
    end = start
    while end < len(shape) and shape[end] not in "[( )+":
        end += 1
    tag, attributes, children = shape[start:end], "", []
    if shape[end : end + 1] == "[":
        attributes, end = shape[end + 1 : shape.index("]", end)], shape.index("]", end) + 1
    if shape[end : end + 1] == "(":
        while shape[end] != ")":
            child, end = _parse_node(shape, end + 1)
            children.append(child)
        end += 1
    if shape[end : end + 1] == "+":
        end += 1
    return Node(tag, dict(map(_build_attribute, attributes.split())), tuple(children) or None), end


def _build_attribute(described: str) -> tuple[str, Attribute]:
    name, _, value = described.partition("=")
    if value.startswith("@"):
        return name, Jid("", value[1:]) if value == "@s.whatsapp.net" else Jid(_EMPTY, value[1:])
    return name, value if value not in {"", OTHER} else _EMPTY


async def replay_trace(real: Sequence[TracedFrame], folder: Path) -> list[str]:
    """Return a sentence for each difference of a link to the virtual WhatsApp."""
    async with VirtualWhatsApp(folder) as whatsapp:
        phone = whatsapp.add_phone(NUMBER)
        virtual = await record_link(whatsapp, phone, folder, seconds=LISTEN_SECONDS)
        differences = compare_traces(real, virtual)
        missing = [each for each in list_news(real) if each not in list_news(virtual)]
        if missing:
            send = partial(_send_news, whatsapp, missing)
            try:
                await record_link(whatsapp, phone, folder, seconds=LISTEN_SECONDS, meanwhile=send)
            except ConnectionError:
                differences.append("a link to the virtual one ends where it is sent the same")
    return differences


async def _send_news(whatsapp: VirtualWhatsApp, shapes: Iterable[str]) -> None:
    for shape in shapes:
        node = build_node(shape)
        if node.tag not in _ENDING and node.tag != "iq":
            await whatsapp.broadcast(node)


def main() -> int:
    """Compare the trace in the file that is named; return the exit status."""
    real = read_trace(Path(sys.argv[1]).read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        differences = asyncio.run(replay_trace(real, Path(folder)))
    for each in differences:
        print(each)
    print(f"{len(real)} frames, {len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
