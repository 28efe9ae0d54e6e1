"""Start the worker of one session: `python -m daemon.linked_worker --driver neonize …`.

The socket to the daemon is the descriptor in `LEADMASTER_WORKER_FD`, or the first one that systemd
passes (3).
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from daemon.linked_worker.driver import list_drivers, load_driver
from daemon.linked_worker.worker import WorkerSettings, run_worker
from daemon.worker_protocol import HEARTBEAT_SECONDS

WORKER_FD_VARIABLE: Final = "LEADMASTER_WORKER_FD"
SYSTEMD_FD: Final = 3


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options; end the process with a sentence for a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m daemon.linked_worker")
    parser.add_argument("--driver", required=True, choices=list_drivers())
    add_session_options(parser)
    return parser.parse_args(arguments)


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every worker of a session has."""
    parser.add_argument("--session", required=True, help="the name of the session")
    parser.add_argument("--folder", required=True, type=Path, help="the session's own folder")
    parser.add_argument("--permit-key", required=True, help="the gate's public key, as hex")
    parser.add_argument("--heartbeat", type=float, default=HEARTBEAT_SECONDS, help="seconds")


def build_settings(options: argparse.Namespace) -> WorkerSettings:
    """Return the settings from the options."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(options.permit_key))
    return WorkerSettings(options.session, options.folder, key, options.heartbeat)


def open_channel() -> socket.socket:
    """Return the socket to the daemon."""
    return socket.socket(fileno=int(os.environ.pop(WORKER_FD_VARIABLE, SYSTEMD_FD)))


def main() -> None:
    """Serve one session until the daemon ends."""
    options = parse_arguments()
    run_worker(build_settings(options), load_driver(options.driver), open_channel())


if __name__ == "__main__":
    main()
