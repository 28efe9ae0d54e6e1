"""The key of the backups, made and confirmed as a person does it, and the commands that need it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.client.process import CommandResult, run_cli


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation by its settings file; commands run with its daemon, or without one."""

    config: Path

    def run(self, *words: str, text: str = "", **environ: str) -> CommandResult:
        """Run a command to its end."""
        return run_cli("--config", str(self.config), *words, text=text, **environ)

    def succeed(self, *words: str, text: str = "") -> str:
        """Run a command that has to succeed; return what it prints."""
        done = self.run(*words, text=text)
        assert done.status == 0, (words, done.out, done.err)
        return done.out

    def make_key(self, sheet: Path) -> None:
        """Make a key, keep its sheet, and confirm it by the row that is asked for."""
        sheet.write_text(self.succeed("backup", "key"), encoding="utf-8")
        row = json.loads(self.succeed("backup", "list", "--json"))["key_row"]
        printed = sheet.read_text(encoding="utf-8")
        [typed] = re.findall(rf"^ +{row}\.  (\w+)$", printed, re.MULTILINE)
        self.succeed("backup", "key", "--confirm", text=typed)

    def find_newest_copy(self, folder: Path) -> Path:
        """Return the newest sealed copy in a folder."""
        return max(folder.glob("leadmaster-*.age"))


def read_private_key(sheet: Path) -> str:
    """Return the private key of a sheet in its one line, as `age` reads it."""
    [key] = re.findall(r"^AGE-SECRET-KEY-1\w{58}$", sheet.read_text(encoding="utf-8"), re.MULTILINE)
    return str(key)
