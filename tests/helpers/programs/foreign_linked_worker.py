"""A worker of a linked device that writes what it is given, and then waits for its socket's end.

`LINES` in the environment is what it writes; `FILLER` is how many more bytes follow on one line.
"""

from __future__ import annotations

import os

from daemon.linked_worker.__main__ import open_channel


def main() -> None:
    """Write, and wait."""
    with open_channel() as channel:
        channel.sendall(os.environ["LINES"].encode())
        channel.sendall(b"x" * int(os.environ.get("FILLER", "0")))
        channel.recv(1)


if __name__ == "__main__":
    main()
