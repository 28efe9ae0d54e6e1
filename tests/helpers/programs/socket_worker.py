"""A program: a transport's worker that answers each line on its inherited socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys


def answer(command: str, argument: str) -> str:
    """Run the command in a line; return the answer."""
    match command:
        case "arguments":
            return " ".join(sys.argv[1:])
        case "environment":
            return os.environ.get(argument, "")
        case "print":
            print(argument, flush=True)
        case "start":
            # Left behind on purpose: the test sees that it is killed together with this process.
            child = subprocess.Popen(["sleep", "99"])
            return str(child.pid)
        case "die":
            os._exit(int(argument))
    return command


def main() -> None:
    """Answer lines until the other end closes."""
    with (
        socket.socket(fileno=int(os.environ["LEADMASTER_WORKER_FD"])) as ours,
        ours.makefile("rw", encoding="utf-8") as stream,
    ):
        for line in stream:
            stream.write(f"{answer(*line.strip().partition(' ')[::2])}\n")
            stream.flush()


if __name__ == "__main__":
    main()
