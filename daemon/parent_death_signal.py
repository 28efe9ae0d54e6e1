"""Sets the parent-death signal, then executes a command. A program to run, not to import.

``parent_death_signal.py PARENT SIGNAL COMMAND…``: the kernel sends SIGNAL to the command when the
process PARENT dies. The command starts with every signal unblocked and at its default.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>; the standard library does not have it


def main(parent: int, number: int, command: list[str]) -> None:
    """Execute the command; exit at once where the parent died before the signal was set."""
    # An ignored or blocked signal stays so across exec; under nohup, say, SIGHUP is ignored.
    for each in signal.valid_signals():
        if signal.getsignal(each) is signal.SIG_IGN:
            signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    # The kernel sends nothing for a parent that died before prctl: the child has a new parent then.
    if os.getppid() != parent:
        sys.exit(128 + number)  # as if the signal had come
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
