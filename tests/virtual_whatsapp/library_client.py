"""The smallest client of the linked-device library: a process, and what a test does with it.

The process (`python -m tests.virtual_whatsapp.library_client DATABASE`) obeys lines of JSON and
answers with lines of JSON, on standard input and output; what the library itself prints goes to the
standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.virtual_whatsapp.client_process import ClientProcess

_ROOT = Path(__file__).parents[2]
_OPTIONS = "?_foreign_keys=on&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000&_x="

_LAST_PAIRING_EVENT = 2
"""Codes and pairing come as events too, but late."""


class LibraryProcess(ClientProcess):
    """A process of the library; ``environment`` is that of the virtual WhatsApp it goes to."""

    def __init__(self, database: Path, environment: Mapping[str, str]) -> None:
        module = "tests.virtual_whatsapp.library_client"
        super().__init__([sys.executable, "-m", module, str(database)], environment, _ROOT)


def main() -> None:
    """Connect, report each event, and obey until the input ends."""
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from neonize import client as library  # noqa: PLC0415 - it prints where it is loaded
    from neonize import events  # noqa: PLC0415

    client = library.NewClient(sys.argv[1] + _OPTIONS)

    def report(event: str, text: str) -> None:
        output.write(json.dumps({"event": event, "text": text}) + "\n")

    def listen(kind: type[Any]) -> None:
        client.event(kind)(lambda _, message: report(kind.__name__, str(message)))

    client.event.qr(lambda _, code: report("code", code.decode()))
    for kind, number in events.EVENT_TO_INT.items():
        if number > _LAST_PAIRING_EVENT:
            listen(kind)
    threading.Thread(target=_obey, args=(client, report), daemon=True).start()
    client.connect()


def _obey(client: Any, report: Any) -> None:  # noqa: ANN401 - the library has no types
    for line in sys.stdin:
        order, *arguments = json.loads(line)
        try:
            if order == "send":
                report("sent", client.send_message(*arguments).ID)
            elif order == "check":
                answers = client.is_on_whatsapp(*arguments)
                report("checked", json.dumps({each.Query: each.IsIn for each in answers}))
            elif order == "pair":
                report("link_code", client.PairPhone(*arguments, show_push_notification=True))
            elif order == "logout":
                client.logout()
                report("logged_out", "")
        except Exception as error:  # noqa: BLE001 - the test reads what went wrong
            report("error", str(error))
    os._exit(0)


if __name__ == "__main__":
    main()
