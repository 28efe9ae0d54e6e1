"""`leadmaster restore` and `leadmaster move`: puts a backup in place; moves to another server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.backup import ask_private_key, format_manifest, key_file_option
from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    pass_cli_context,
    reason_option,
)
from daemon.cli.errors import InvalidUsage, ask_confirmation, translate_storage_errors

if TYPE_CHECKING:
    from storage.tx import Tx

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("restore")
@click.argument("file", type=_FILE, required=False)
@key_file_option
@reason_option(required=False)
@click.option("--finish", is_flag=True, help="Only finish a restore that was cut short.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_cli_context
def restore(
    cli: CliContext,
    *,
    file: Path | None,
    key_file: Path | None,
    reason: str | None,
    finish: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Put a sealed copy in place of what is here; the daemon must not run.

    Afterwards only replies go out, until you resume; what waited in the copy is in doubt, and the
    opt-outs of after the copy are read from the journal. What was here is kept beside it.
    """
    from daemon.outbox.halt import settle_restored_queue

    if finish:
        _finish(cli)
        return
    if file is None or not reason:
        raise InvalidUsage("A file and a reason are missing.", hint="restore FILE --reason WHY")
    question = f"Put {file.name} in place of what is in {cli.load_settings().state_dir}?"
    if not yes:
        ask_confirmation(question, if_declined="Nothing was restored.")
    settle = partial(settle_restored_queue, reason=reason)
    _put_in_place(cli, file, key_file, reason, settle, json_=json_, is_move=False)
    if not json_:
        print_hint(
            "Start the daemon. Only replies go out, until: leadmaster resume REASON. What waited is"
            " in doubt: leadmaster queue list --state in_doubt"
        )


def _finish(cli: CliContext) -> None:
    from daemon.backup.restore import finish_restore

    with translate_storage_errors():
        found = finish_restore(cli.load_settings())
    print_hint("The restore is finished." if found else "No restore was cut short.")


def _put_in_place(
    cli: CliContext,
    file: Path,
    key_file: Path | None,
    reason: str,
    settle: Callable[[Tx], None],
    *,
    json_: bool,
    is_move: bool,
) -> None:
    import msgspec

    from daemon.backup.restore import RestorePlan, restore_backup
    from storage.column_formats import utc_now

    plan = RestorePlan(reason, settle, logins_are_current=is_move)
    identity = ask_private_key(key_file, file)
    with translate_storage_errors():
        done = restore_backup(
            cli.load_settings(), file, identity, plan, now=utc_now(), progress=lambda _step: None
        )
    if json_:
        print_json(msgspec.to_builtins(done))
        return
    print_text(format_manifest(file, done.manifest))
    print_text(f"It is in place, in epoch {done.epoch}; {done.opt_outs_since} later opt-outs too.")
    for path in done.beside:
        print_hint(f"{path} differs from what is here: compare them.")
    if done.kept.exists():
        print_hint(f"What was here is kept in {done.kept}.")


@click.group(cls=CommandGroup)
def move() -> None:
    """Move this installation to another server, without linking a phone again."""


@move.command("export")
@click.argument("bundle", type=_FILE)
@json_option
@pass_cli_context
def export_bundle(cli: CliContext, *, bundle: Path, json_: bool) -> None:
    """Seal everything into a bundle; this installation does not start any more.

    The daemon must not run. The bundle is opened with the printed key of the backups.
    """
    import msgspec

    from daemon.backup.move import export_installation
    from daemon.backup.requests import find_config
    from storage.column_formats import utc_now

    config = cli.config or find_config()
    with translate_storage_errors():
        manifest = export_installation(
            cli.load_settings(), config, bundle, now=utc_now(), progress=lambda _step: None
        )
    if json_:
        print_json(msgspec.to_builtins(manifest))
        return
    print_text(format_manifest(bundle, manifest))
    print_hint(
        "This installation does not start any more. On the new server: leadmaster move import FILE"
    )


@move.command("import")
@click.argument("bundle", type=_FILE)
@key_file_option
@json_option
@pass_cli_context
def import_bundle(cli: CliContext, *, bundle: Path, key_file: Path | None, json_: bool) -> None:
    """Put a bundle in place here, where the daemon must not run; phones stay linked."""
    reason = "moved here"
    _put_in_place(cli, bundle, key_file, reason, lambda _tx: None, json_=json_, is_move=True)
    if not json_:
        print_hint("Start the daemon: the phones connect without a code, and the queue goes on.")


@move.command("revoke")
@reason_option()
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_cli_context
def revoke(cli: CliContext, *, reason: str, yes: bool, json_: bool) -> None:
    """Let this installation start again after it was moved away.

    If it runs on the other server too, WhatsApp answers `replaced` to one of them, and people may
    be written to twice.
    """
    from daemon.backup.move import revoke_move
    from daemon.outbox.halt import settle_restored_queue

    warning = (
        "If the other server runs, WhatsApp would answer `replaced`, and people may be written to"
        " twice. Start this one again?"
    )
    if not yes:
        ask_confirmation(warning, if_declined="This installation is still moved away.")
    settle = partial(settle_restored_queue, reason=f"move revoked: {reason}")
    with translate_storage_errors():
        epoch = revoke_move(cli.load_settings(), reason, settle)
    if json_:
        print_json({"epoch": epoch})
        return
    print_hint(
        "It may start again. If the other one runs, WhatsApp would answer `replaced`. Only replies"
        " go out, until: leadmaster resume REASON"
    )
