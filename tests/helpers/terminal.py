"""Runs a command in a pseudo-terminal: reads its screen, and presses keys."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.helpers.client.process import TIMEOUT_SECONDS, poll_until

CTRL_C = b"\x03"
_ECHO_FLAGS = 3
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


@dataclass
class PseudoTerminal:
    """A command in the foreground of a pseudo-terminal, where Ctrl-C is a signal of the kernel."""

    process: subprocess.Popen[bytes]
    _master: int
    _shown: bytearray = field(default_factory=bytearray)

    @property
    def screen(self) -> str:
        """Return the output so far."""
        return self._shown.decode(errors="replace")

    @property
    def is_restored(self) -> bool:
        """Return whether the terminal shows the cursor and echoes keys, as it did before."""
        echoes = termios.tcgetattr(self._master)[_ECHO_FLAGS] & termios.ECHO
        return bool(echoes) and self.screen.rfind(_HIDE) <= self.screen.rfind(_SHOW)

    def wait_for_text(self, text: str) -> None:
        """Wait until a text is shown."""
        try:
            poll_until(lambda: text in self.screen, repr(text))
        except AssertionError as error:
            error.add_note(self.screen[-3000:])
            raise

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def wait_for_exit(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(TIMEOUT_SECONDS)

    def collect_output(self) -> None:
        """Read the output until the last process has closed the terminal."""
        with contextlib.suppress(OSError):  # Linux reports the end as EIO
            while piece := os.read(self._master, 65536):
                self._shown += piece


@contextlib.contextmanager
def open_terminal(
    command: Sequence[str], environ: Mapping[str, str] | None = None
) -> Iterator[PseudoTerminal]:
    """Run a command in a new pseudo-terminal for the length of the block."""
    master, slave = pty.openpty()
    # A session of its own, with this as the controlling terminal: only so does Ctrl-C reach it.
    process = subprocess.Popen(
        ["setsid", "--ctty", *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", **(environ or {})},
    )
    found = PseudoTerminal(process, master)
    reading = threading.Thread(target=found.collect_output)
    reading.start()
    try:
        yield found
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        # Only when every holder of this end has closed it does the reading thread see the end.
        os.close(slave)
        reading.join()
        os.close(master)
