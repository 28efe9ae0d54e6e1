"""The errors of the command line itself, and the confirmation prompt."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from daemon.cli.console import escape_controls
from daemon.errors import LeadMasterError


class InvalidUsage(LeadMasterError):
    """The command can't be understood as it was typed."""

    code = "usage"
    status = 400
    hint = "Try: leadmaster --help"


class FileNotUsable(LeadMasterError):
    """A file that was named can't be read or written."""

    code = "file"
    status = 400
    hint = "Check the path, and whether this user may read or write there."


class ConfirmationMissing(LeadMasterError):
    """A command needs a confirmation, and its standard input gives none."""

    code = "unanswered"
    status = 400
    hint = "Confirm in advance: run the same command with --yes"


class ConfirmationDeclined(LeadMasterError):
    """The confirmation was answered with no."""

    code = "declined"
    status = 400
    hint = "Nothing was changed; the same command asks again."


def ask_confirmation(question: str, *, if_declined: str) -> None:
    """Ask for a confirmation and return at a yes; `if_declined` is the sentence for a no.

    Raises :class:`ConfirmationDeclined` at a no, :class:`ConfirmationMissing` where standard input
    has no answer.
    """
    try:
        # On standard error: standard output may be piped into a file.
        yes = click.confirm(escape_controls(question), default=False, err=True)
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C or Ctrl-D by a person, and not an empty pipe
            raise
        click.echo(err=True)
        raise ConfirmationMissing(f"{if_declined} The question got no answer.") from None
    if not yes:
        raise ConfirmationDeclined(if_declined)


def usage_error_from_click(error: click.ClickException) -> InvalidUsage:
    """Return click's own error as one of ours."""
    context = getattr(error, "ctx", None)
    name = context.command_path if context else "leadmaster"
    sentence = error.format_message()
    if sentence[-1:] not in {".", "?", "!", ")"}:
        sentence += "."
    return InvalidUsage(sentence, hint=f"Try: {name} --help")


def file_error_from_os(error: OSError) -> FileNotUsable:
    """Return an error of the system about a file as one of ours."""
    return FileNotUsable(f"{error.filename or 'a file'}: {error.strerror or error}.")


class StorageRefused(LeadMasterError):
    """The files of the installation can't be used for what a command was to do."""

    code = "storage_refused"
    status = 409
    hint = "Run: leadmaster doctor"


@contextlib.contextmanager
def translate_storage_errors() -> Iterator[None]:
    """Raise an error of storage as one of ours, for commands that work on the files themselves."""
    from storage.errors import StorageError

    try:
        yield
    except StorageError as error:
        raise StorageRefused(error.sentence, hint=error.hint) from error
