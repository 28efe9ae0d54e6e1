"""The entry point: passes the arguments to the command line and exits with its status."""

from __future__ import annotations

import sys

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main() -> None:
    """Run `leadmaster` and end the process with its exit status."""
    try:
        # Imported inside the try: Ctrl-C may come while the imports are still running.
        import signal  # noqa: PLC0415

        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # leadmaster.sh held it back
        from daemon.cli.main import run_command  # noqa: PLC0415

        status = run_command(sys.argv[1:])
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # late Ctrl-C: no traceback
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        status = INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    main()
