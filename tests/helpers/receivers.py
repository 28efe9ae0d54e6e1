"""Receivers of alerts on loopback: an ntfy and a webhook over HTTP, a ping, and a mail server."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RECEIVED_SECONDS = 60.0
"""Within so long a person has to know."""


@dataclass(frozen=True, slots=True)
class ReceivedNotice:
    """A notice as a receiver got it: how, its title, its text."""

    by: str
    title: str
    text: str


@dataclass
class Receivers:
    """What listens; `refuse` is a status that HTTP answers with, in place of taking a notice.

    `answer_after` is how many seconds HTTP thinks about a notice that it has taken.
    """

    http_port: int = 0
    mail_port: int = 0
    refuse: int = 0
    answer_after: float = 0.0
    pings: int = 0
    refused: int = 0
    received: queue.Queue[ReceivedNotice] = field(default_factory=queue.Queue)
    closing: threading.Event = field(default_factory=threading.Event)

    def list_targets(self) -> list[str]:
        """Return the addresses of all three, as apprise writes them."""
        address = f"127.0.0.1:{self.http_port}"
        mail = f"mailto://127.0.0.1:{self.mail_port}?from=lm@example.org&to=ana@example.org"
        return [f"ntfy://{address}/a-secret-topic", f"json://{address}/hook", mail]

    def write_targets_file(self, targets: list[str] | None = None) -> str:
        """Return a file with these targets, or all; with the ping."""
        chosen = self.list_targets() if targets is None else targets
        return f'targets = {json.dumps(chosen)}\nping = "http://127.0.0.1:{self.http_port}/ping"\n'

    def take(self) -> ReceivedNotice:
        """Wait for the next notice."""
        return self.received.get(timeout=RECEIVED_SECONDS)


def _build_http_handler(receivers: Receivers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            receivers.pings += 1
            self._answer(receivers.refuse or 200)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not receivers.refuse:
                receivers.received.put(_read_notice(json.loads(body)))
                receivers.closing.wait(receivers.answer_after)
            else:
                receivers.refused += 1
            self._answer(receivers.refuse or 200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    return Handler


def _read_notice(document: dict[str, Any]) -> ReceivedNotice:
    if "topic" in document:
        return ReceivedNotice("ntfy", document["title"], document["message"])
    return ReceivedNotice("json", document["title"], document["message"])


def _build_mail_handler(receivers: Receivers) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            for raw in self.rfile:
                word = raw.split()[0].upper() if raw.split() else b""
                if word == b"DATA":
                    self._say("354 go on")
                    self._take_mail()
                elif word == b"QUIT":
                    self._say("221 bye")
                    return
                self._say("250 fine")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def _take_mail(self) -> None:
            lines = []
            for raw in self.rfile:
                if raw == b".\r\n":
                    break
                lines.append(raw.decode())
            mail = message_from_string("".join(lines), policy=policy.default)
            body = mail.get_body(("plain", "html"))
            text = re.sub(r"<br ?/?>", "\n", body.get_content() if body else "")
            receivers.received.put(ReceivedNotice("mail", str(mail["Subject"]), text))

    return Handler


@contextlib.contextmanager
def open_receivers() -> Iterator[Receivers]:
    """Listen on loopback for the length of the block."""
    receivers = Receivers()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _build_http_handler(receivers))
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _build_mail_handler(receivers))
    receivers.http_port, receivers.mail_port = http.server_address[1], mail.server_address[1]
    with http, mail:
        for server in (http, mail):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receivers
        finally:
            receivers.closing.set()
            for server in (http, mail):
                server.shutdown()
