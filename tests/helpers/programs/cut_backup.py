"""Kills a backup, a restore or a move at each of its changes to a folder; prints what was left.

`cut_backup.py SCENARIO FOLDER EVERY`: for each point, or one in EVERY, a process does the work on a
fresh installation and is killed there (SIGKILL); then what is left is examined, and the work is
done again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyrage

from daemon.backup import copies, keys, move, restore
from daemon.settings import BackupSettings, DaemonSettings, RulesSettings, Settings
from storage.integrity import check_state_folder
from storage.journal import JournalAction, JournalEntry, SuppressionJournal
from storage.opening import prepare_database
from storage.schema_steps import MIGRATIONS
from storage.state_folder import FolderLock, StateFolder
from storage.triggers import install_triggers

CHANGES: Final = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"})
NOW: Final = datetime(2026, 3, 3, 15, tzinfo=UTC)
IDENTITY: Final = pyrage.x25519.Identity.generate()


def build_settings(folder: Path) -> Settings:
    """Return the settings of an installation in a folder."""
    return Settings(
        daemon=DaemonSettings(state_dir=str(folder / "state")),
        rules=RulesSettings(dir=str(folder / "rules.d")),
        backup=BackupSettings(target=str(folder / "usb")),
    )


def prepare(folder: Path) -> None:
    """Open the database as a start of the daemon does, and close it again."""
    state = StateFolder(folder / "state")
    with contextlib.closing(FolderLock(state)):
        prepare_database(state, MIGRATIONS, install_triggers, NOW)


def mark(folder: Path, word: str) -> None:
    """Write a word into each part of an installation."""
    (folder / "rules.d" / "gate.yaml").write_text(f"# {word}\n", encoding="utf-8")
    (folder / "state" / "token.key").write_text(word, encoding="utf-8")
    with contextlib.closing(sqlite3.connect(folder / "state" / "leadmaster.db")) as database:
        database.execute(
            "INSERT INTO audit (at, who, action, subject) VALUES ('', 'eva', 'mark', ?)", (word,)
        )
        database.commit()


def opt_out(folder: Path, alias: str) -> None:
    """Write an opt-out to the journal."""
    journal = SuppressionJournal(folder / "state")
    journal.append([JournalEntry(journal.hash(alias), JournalAction.SUPPRESSED, NOW, "contact")])


def build_installation(folder: Path) -> None:
    """Make an installation that was marked `backup` at its backup, and is marked `present` now."""
    for name in ("state", "rules.d", "usb"):
        (folder / name).mkdir(parents=True)
    prepare(folder)
    login = folder / "state" / "sessions" / "ventas"
    login.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(login / "linked.db")) as database:
        database.execute("CREATE TABLE whatsmeow_sessions (session)")
    mark(folder, "backup")
    opt_out(folder, "ana")
    settings = build_settings(folder)
    with copies.opened_copies(settings) as sealed:
        keys.keep_public_half(sealed, IDENTITY, NOW)
    copies.make_copy(settings, None, NOW, lambda _step: None)
    mark(folder, "present")
    opt_out(folder, "beto")


def read_words(folder: Path) -> set[str]:
    """Return the words of all parts: one, unless something is half."""
    with contextlib.closing(sqlite3.connect(folder / "state" / "leadmaster.db")) as database:
        [stored] = database.execute(
            "SELECT subject FROM audit WHERE action = 'mark' ORDER BY id DESC LIMIT 1"
        ).fetchone()
    rules = (folder / "rules.d" / "gate.yaml").read_text(encoding="utf-8").strip("# \n")
    return {stored, rules, (folder / "state" / "token.key").read_text(encoding="utf-8")}


def list_opt_outs(folder: Path) -> int:
    """Return how many people the journal knows."""
    return len({entry.alias_hash for entry in SuppressionJournal(folder / "state").entries()})


def list_faulty_copies(folder: Path) -> list[str]:
    """Return the sealed copies that can't be restored."""
    faulty = []
    for place in (folder / "state" / "copies", folder / "usb"):
        for name in copies.list_copies(place):
            try:
                with restore.opened_backup(place / name, IDENTITY, folder / "opened"):
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                faulty.append(f"{place.name}/{name}: {error}")
    return faulty


def back_up(folder: Path) -> None:
    """Make a second copy, a day later."""
    copies.make_copy(build_settings(folder), None, NOW + timedelta(days=1), lambda _step: None)


def put_back(folder: Path) -> None:
    """Restore the backup."""
    plan = restore.RestorePlan("a test", lambda _tx: None, logins_are_current=False)
    [newest, *_] = copies.list_copies(folder / "usb")
    restore.restore_backup(
        build_settings(folder),
        folder / "usb" / newest,
        IDENTITY,
        plan,
        now=NOW,
        progress=lambda _step: None,
    )


def move_away(folder: Path) -> None:
    """Export the installation."""
    move.export_installation(
        build_settings(folder), None, folder / "move.age", now=NOW, progress=lambda _step: None
    )


def check_backup(folder: Path) -> dict[str, object]:
    """Return what is faulty after a backup was cut, and after the next one."""
    faulty = list_faulty_copies(folder)
    prepare(folder)
    back_up_again = NOW + timedelta(days=2)
    copies.make_copy(build_settings(folder), None, back_up_again, lambda _step: None)
    rest = [path.name for path in (folder / "state" / "copies").glob("*.new*")]
    return {"faulty": faulty, "rest": rest, "words": sorted(read_words(folder))}


def check_restore(folder: Path) -> dict[str, object]:
    """Return what a start finds after a restore was cut, and what the next restore leads to."""
    prepare(folder)
    check_state_folder(StateFolder(folder / "state"), MIGRATIONS)
    words, opt_outs = sorted(read_words(folder)), list_opt_outs(folder)
    put_back(folder)
    prepare(folder)
    return {
        "words": words,
        "opt_outs": opt_outs,
        "again": sorted(read_words(folder)),
        "opt_outs_again": list_opt_outs(folder),
        "login": (folder / "state" / "sessions" / "ventas" / "linked.db").exists(),
    }


def check_move(folder: Path) -> dict[str, object]:
    """Return whether a bundle is there that the old installation does not know of."""
    bundle, tombstone = folder / "move.age", StateFolder(folder / "state").tombstone
    both = bundle.exists() and not tombstone.exists()
    if not bundle.exists():
        move_away(folder)
    with restore.opened_backup(bundle, IDENTITY, folder / "opened") as manifest:
        counts = manifest.counts
    return {"could_run_twice": both, "opt_outs": counts["opt_outs"], "dead": tombstone.exists()}


SCENARIOS: Final[dict[str, tuple[Callable[[Path], None], Callable[[Path], dict[str, object]]]]] = {
    "backup": (back_up, check_backup),
    "restore": (put_back, check_restore),
    "move": (move_away, check_move),
}


def run_cut(work: Callable[[Path], None], folder: Path, point: int) -> bool:
    """Do the work in a process that is killed at this change; return whether it was."""
    child = os.fork()
    if child == 0:
        left = [point]

        def count(event: str, _arguments: object) -> None:
            if event in CHANGES:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def main(scenario: str, folder: Path, every: int) -> None:
    """Print a line of JSON for each point at which the work was cut."""
    work, check = SCENARIOS[scenario]
    # At one place, which a plan of a restore names.
    here, original = folder / "here", folder / "original"
    build_installation(here)
    here.rename(original)
    point, was_cut = 0, True
    while was_cut:
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(original, here)
        # A copied folder is refused: this one takes the place of the other, with its anchor.
        anchor = StateFolder(here / "state").anchor
        document = json.loads(anchor.read_text(encoding="utf-8"))
        document["inode"] = StateFolder(here / "state").database.stat().st_ino
        anchor.write_text(json.dumps(document), encoding="utf-8")
        was_cut = run_cut(work, here, point)
        print(json.dumps({"point": point, "cut": was_cut, **check(here)}), flush=True)
        point += every


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
