"""The program that tells people: `python -m daemon.alerts.process`. It answers one request.

It alone of all of LeadMaster that knows the addresses has a network; it knows nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from daemon.alerts.requests import (
    PROTOCOL,
    AlertAnswer,
    AlertRefusal,
    AlertRequest,
    CheckAnswer,
    CheckTargets,
    PingAnswer,
    SendAnswer,
    SendNotices,
    SendPing,
)
from daemon.alerts.targets import (
    load_targets,
    ping,
    read_targets_file,
    require_known_targets,
    send_notices,
)
from daemon.errors import LeadMasterError
from daemon.worker_protocol import FrameWriter, serve_requests, take_standard_streams

CREDENTIAL: Final = "alerts.toml"


class AlertProgram:
    """Answers requests, with the targets of one file."""

    def __init__(self, path: Path, *, is_credential: bool) -> None:
        self._path = path
        self._is_credential = is_credential

    def send_answer(
        self, request: AlertRequest, writer: FrameWriter[AlertAnswer, None, None]
    ) -> None:
        """Do what was asked, and send the answer."""
        try:
            writer.send_answer(self._handle(request))
        except LeadMasterError as error:
            writer.send_answer(AlertRefusal(error.code, str(error), error.hint))

    def _handle(self, request: AlertRequest) -> AlertAnswer:
        file = read_targets_file(self._path, is_credential=self._is_credential)
        match request:
            case SendNotices(notices):
                found = load_targets(file)
                return SendAnswer(len(found), send_notices(found, notices))
            case SendPing():
                if not file.ping:
                    return PingAnswer(wanted=False)
                return PingAnswer(wanted=True, failure=ping(file.ping))
            case CheckTargets():
                found = load_targets(file)
                require_known_targets(found, self._path)
                return CheckAnswer(len(found), bool(file.ping))


def main(arguments: Sequence[str], requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol, until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m daemon.alerts.process")
    parser.add_argument("targets", type=Path, nargs="?", help="the file; else a unit's credential")
    given = parser.parse_args(arguments).targets
    credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))
    program = AlertProgram(given or credentials / CREDENTIAL, is_credential=given is None)
    serve_requests(PROTOCOL, program.send_answer, requests, answers)


if __name__ == "__main__":
    main(sys.argv[1:], *take_standard_streams())
