"""The entry point: argv goes to the command line, its answer is the exit status."""

from __future__ import annotations

import sys

from daemon.cli.main import run


def main() -> None:
    """Run `leadmaster` and end the process with its exit status."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
