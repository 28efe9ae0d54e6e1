"""The entry point: argv goes to the command line, its answer is the exit status."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130


def main() -> None:
    """Run `leadmaster` and end the process with its exit status."""
    try:
        from daemon.cli.main import run  # noqa: PLC0415 - Ctrl-C may come while it is loaded

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        status = INTERRUPTED
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # from here on it would only be a traceback
    sys.exit(status)


if __name__ == "__main__":
    main()
