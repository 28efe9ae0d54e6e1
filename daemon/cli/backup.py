"""`leadmaster backup`: makes, lists and tests sealed copies, and makes and confirms their key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.console import print_hint, print_json, print_raw, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context
from daemon.cli.tables import print_fields, print_table

if TYPE_CHECKING:
    from pyrage.x25519 import Identity

    from daemon.backup.contents import Manifest
    from daemon.backup.requests import BackupAnswer, BackupRequest

key_file_option = click.option(
    "--key-file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Read the key from a file in place of asking for it.",
)


@click.group(cls=CommandGroup)
def backup() -> None:
    """Make sealed copies of everything that a new server needs, and test them."""


@backup.command("now")
@json_option
@pass_cli_context
def make_backup(cli: CliContext, *, json_: bool) -> None:
    """Make a sealed copy now, and test that it can be restored; the daemon goes on meanwhile."""
    from daemon.backup.requests import MakeCopyRequest

    answer = _ask(cli, MakeCopyRequest(), "backups")
    if json_:
        print_json(answer["copy"])
        return
    copy, counts = answer["copy"], answer["copy"]["counts"]
    print_text(
        f"{copy['name']}: {copy['bytes'] >> 10} KiB, opened and counted: {counts['contacts']}"
        f" contacts, {counts['messages']} messages, {counts['suppressions']} opt-outs,"
        f" {copy['logins']} logins of phones."
    )
    print_hint(f"It is in {', '.join(answer['status']['places'])}.")
    _print_concerns(answer["status"])


@backup.command("list")
@json_option
@pass_cli_context
def list_backups(cli: CliContext, *, json_: bool) -> None:
    """List the sealed copies, newest first, with when each was tested, and where they are."""
    import msgspec

    from daemon.backup.status import read_status, require_readable

    known = read_status(cli.load_settings())
    require_readable(known)
    status = msgspec.to_builtins(known)
    if json_:
        print_json(status)
        return
    columns = {"made_at": "made at", "name": "file", "bytes": "bytes", "tested_at": "tested at"}
    print_table(
        status["copies"], columns, empty="There is no backup. Make one: leadmaster backup now"
    )
    places = ", ".join(status["places"])
    print_fields((("in", places), ("last tested", status["last_tested_restore"])))
    _print_concerns(status)


@backup.command("key")
@click.option("--confirm", is_flag=True, help="Type a row of the sheet, to show that you have it.")
@click.option("--replace", is_flag=True, help="Make another key, though there is a confirmed one.")
@json_option
@pass_cli_context
def make_backup_key(cli: CliContext, *, confirm: bool, replace: bool, json_: bool) -> None:
    """Make the key of the backups and print its sheet, once; or confirm that you have the sheet.

    The row to type is asked for, or read from a pipe.
    """
    from daemon.backup.requests import ConfirmKeyRequest, MakeKeyRequest, RefreshRequest

    if confirm:
        row = _ask_program(cli, RefreshRequest()).status.key_row
        typed = _ask_secret(f"Row {row} of the sheet")
        answer = _ask(cli, ConfirmKeyRequest(typed), "backups", "key", "confirm", typed=typed)
        if json_:
            print_json(answer["status"])
        else:
            print_hint("The key is confirmed. Back up now: leadmaster backup now")
        return
    answer = _ask(cli, MakeKeyRequest(replace), "backups", "key", replace=replace)
    if json_:
        print_json(answer["key"])
        return
    print_raw(_format_sheet(answer["key"]))
    print_hint("Print it now, it is shown once. Then: leadmaster backup key --confirm")


@backup.command("send")
@pass_cli_context
def send_copies(cli: CliContext) -> None:
    """Run your own command with the folder of the sealed files, as after each copy."""
    from daemon.backup.copies import run_owner_command

    settings = cli.load_settings()
    run_owner_command(settings)
    done = " ".join(settings.backup.command)
    print_hint(f"Done: {done}" if done else "No command is set under [backup].")


@backup.command("test")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@key_file_option
@json_option
@pass_cli_context
def test_backup(cli: CliContext, *, file: Path, key_file: Path | None, json_: bool) -> None:
    """Open a sealed copy with the key, and check that this version can restore it."""
    print_tested_backup(cli, file, key_file, json_=json_)


def print_tested_backup(cli: CliContext, file: Path, key_file: Path | None, *, json_: bool) -> None:
    """Test a sealed copy, and print what it holds; raise where it can't be restored."""
    import tempfile

    import msgspec

    from daemon.backup.restore import opened_backup
    from daemon.cli.errors import translate_storage_errors

    identity = ask_private_key(key_file, file)
    settings = cli.load_settings()
    # Not in the usual temporary folder, which may be in memory, or readable by others.
    parent = settings.state_dir if settings.state_dir.is_dir() else None
    with (
        translate_storage_errors(),
        tempfile.TemporaryDirectory(prefix="backup-test-", dir=parent) as folder,
        opened_backup(file, identity, Path(folder) / "opened") as manifest,
    ):
        if json_:
            print_json(msgspec.to_builtins(manifest))
        else:
            print_text(format_manifest(file, manifest))
            print_hint("It can be restored by this version.")


def format_manifest(file: Path, manifest: Manifest) -> str:
    """Return what a backup holds, as a sentence."""
    counts = manifest.counts
    return (
        f"{file.name} is of {manifest.made_at:%Y-%m-%d %H:%M} UTC, by version {manifest.version}:"
        f" {counts['contacts']} contacts, {counts['messages']} messages,"
        f" {counts['suppressions']} opt-outs, {manifest.logins} logins of phones."
    )


def ask_private_key(key_file: Path | None, sealed: Path) -> Identity:
    """Return the private key of a sealed file: from a file, typed on a terminal, or from a pipe."""
    from daemon.backup.keys import parse_private_key

    with sealed.open("rb"):  # raises where it can't be read, before a long key is typed for nothing
        pass
    if key_file is not None:
        return parse_private_key(key_file.read_text(encoding="utf-8", errors="replace"))
    return parse_private_key(_ask_secret("The key of the backup, as printed"))


def _ask_secret(question: str) -> str:
    # Never as an argument: everybody on the machine could read it in `ps`.
    if sys.stdin.isatty():
        return str(click.prompt(question, hide_input=True, err=True))
    return sys.stdin.read()


def _format_sheet(key: dict[str, Any]) -> str:
    import msgspec

    from daemon.backup.keys import format_sheet
    from daemon.backup.requests import NewBackupKey

    return format_sheet(msgspec.convert(key, NewBackupKey))


def _print_concerns(status: dict[str, Any]) -> None:
    import msgspec

    from daemon.backup.status import BackupStatus, list_concerns
    from storage.column_formats import utc_now

    now = utc_now()
    for concern in list_concerns(msgspec.convert(status, BackupStatus), now, now):
        print_hint(f"{concern.sentence} {concern.hint}")


def _ask(cli: CliContext, request: BackupRequest, *path: str, **body: object) -> dict[str, Any]:
    """Ask the daemon, which keeps what was done; without one, the program itself."""
    import msgspec

    from daemon.errors import NotRunning

    try:
        answer: dict[str, Any] = cli.client().post(*path, **body)
    except NotRunning:
        answer = msgspec.to_builtins(_ask_program(cli, request))
    return answer


def _ask_program(cli: CliContext, request: BackupRequest) -> BackupAnswer:
    import asyncio

    from daemon.backup.requests import ask_backup, find_config

    config = cli.config or find_config()
    return asyncio.run(ask_backup(cli.load_settings(), request, config=config))
