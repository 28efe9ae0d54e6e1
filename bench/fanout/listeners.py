"""The listeners: many WebSockets in one process, which read as fast as they can."""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from urllib.parse import urlsplit

READY, END = b'"subscribed"', b'"the-end"'
_TIME = re.compile(rb'"t(\d{20})"')
_SEQ = re.compile(rb'"subject":\s*"msg_(\d+)"')
_CHUNK = 1 << 18
_TAIL = 64


class Listener:
    """One listener. `whole` ones keep everything that they hear, to prove it."""

    def __init__(self, address: str, offer: str, *, whole: bool) -> None:
        where = urlsplit(address)
        self.line = socket.create_connection((where.hostname, where.port))
        self.received: list[bytes] | None = [] if whole else None
        self.tail = b""
        lines = (
            f"GET {where.path} HTTP/1.1",
            f"Host: {where.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==",
            f"Sec-WebSocket-Protocol: {offer}",
        )
        self.line.sendall("\r\n".join([*lines, "", ""]).encode())

    def receive(self, mark: bytes) -> bool:
        """Read what is there; tell whether the mark was in it."""
        data = self.line.recv(_CHUNK)
        if not data:
            sys.exit(f"the server hung up after {self.tail!r}")
        if self.received is not None:
            self.received.append(data)
        found = mark in self.tail + data
        self.tail = data[-_TAIL:]
        return found


def wait_for(ears: list[Listener], mark: bytes, delays: list[int] | None = None) -> None:
    """Return when every ear has heard the mark; note how late each event came, if asked to."""
    with selectors.DefaultSelector() as selector:
        for ear in ears:
            selector.register(ear.line, selectors.EVENT_READ, ear)
        left = len(ears)
        while left:
            for key, _ in selector.select(60) or sys.exit("nothing came for a minute"):
                before = len(key.data.heard or ())
                if key.data.hears(mark):
                    selector.unregister(key.fileobj)
                    left -= 1
                if delays is not None and key.data.heard:
                    now = time.monotonic_ns()
                    new = b"".join(key.data.heard[before:])
                    delays += [now - int(each) for each in _TIME.findall(new)]


def main(address: str, offer: str, count: int, stalled: int) -> None:
    """Connect, then hear one run after the other for as long as the driver says so."""
    deaf = [Listener(address, offer, whole=False) for _ in range(stalled)]
    ears = [Listener(address, offer, whole=index == 0) for index in range(count)]
    wait_for([*ears, *deaf], READY)
    print(json.dumps({"connected": count}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        delays: list[int] | None = [] if order["delays"] else None
        for ear in ears:
            ear.received, ear.tail = ([] if order["delays"] or ear is ears[0] else None), b""
        wait_for(ears, END, delays)
        numbers = [int(each) for each in _SEQ.findall(b"".join(ears[0].received or ()))]
        if numbers != list(range(order["count"])):
            sys.exit("events are missing or out of order")
        late = sorted(delays or [0])
        p50, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
        print(json.dumps({"ended": time.monotonic(), "p50": p50, "p99": p99}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
