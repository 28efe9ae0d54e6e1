"""Start the worker of one session: `python -m daemon.linked_worker --driver neonize …`.

As a child, its socket to the daemon is the descriptor in `LEADMASTER_WORKER_FD`, or 3. As a systemd
unit it is started with `--unit`: it accepts the daemon's connection, over which its command line
comes (`systemd_unit.py`).
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from daemon.linked_worker import systemd_unit
from daemon.linked_worker.driver import list_drivers, load_driver
from daemon.linked_worker.worker import WorkerSettings, run_worker
from daemon.worker_protocol import HEARTBEAT_SECONDS

MODULE: Final = "daemon.linked_worker"
WORKER_FD_VARIABLE: Final = "LEADMASTER_WORKER_FD"
DEFAULT_FD: Final = 3
UNIT_OPTION: Final = "--unit"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options; end the process with a sentence for a wrong one."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--driver", required=True, choices=list_drivers())
    add_session_options(parser)
    return parser.parse_args(arguments)


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every worker of a session has."""
    parser.add_argument("--session", required=True, help="the name of the session")
    parser.add_argument("--folder", required=True, type=Path, help="the session's own folder")
    parser.add_argument("--permit-key", required=True, help="the gate's public key, as hex")
    parser.add_argument("--heartbeat", type=float, default=HEARTBEAT_SECONDS, help="seconds")
    parser.add_argument("--trace", action="store_true", help="record the shapes of frames")


def build_settings(options: argparse.Namespace) -> WorkerSettings:
    """Return the settings from the options."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(options.permit_key))
    return WorkerSettings(
        options.session, options.folder, key, options.heartbeat, traced=options.trace
    )


def open_channel() -> socket.socket:
    """Return the socket to the daemon, which a child inherits."""
    return socket.socket(fileno=int(os.environ.pop(WORKER_FD_VARIABLE, DEFAULT_FD)))


def accept_as_unit(arguments: Sequence[str]) -> tuple[socket.socket, argparse.Namespace]:
    """Accept the daemon's connection; return it with the options that came over it.

    Ends the process with a sentence where that can't be.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument(UNIT_OPTION, action="store_true", help="serve the socket systemd passes")
    parser.add_argument("--daemon-user", required=True, help="the only user who may connect")
    try:
        user_id = systemd_unit.find_user_id(parser.parse_args(arguments).daemon_user)
        listening = systemd_unit.take_listening_socket()
        channel = systemd_unit.accept_daemon(listening, user_id)
        systemd_unit.refuse_others(listening)
        received = systemd_unit.receive_arguments(channel, MODULE)
        # Last, so that it counts: a unit writes into its own folder, whatever it is told.
        options = parse_arguments([*received, "--folder", systemd_unit.get_state_folder()])
        options.folder = systemd_unit.find_session_folder(options.folder, options.session)
    except systemd_unit.NotAUnit as reason:
        sys.exit(str(reason))
    return channel, options


def main() -> None:
    """Serve one session until the daemon ends."""
    if UNIT_OPTION in sys.argv:
        channel, options = accept_as_unit(sys.argv[1:])
    else:
        channel, options = open_channel(), parse_arguments()
    run_worker(build_settings(options), load_driver(options.driver), channel)


if __name__ == "__main__":
    main()
