"""`leadmaster suppress`: who is never to be written to again."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.context import Commands, Here, as_json, listing, pass_here, reason
from daemon.cli.screen import give_out, print_json, say
from daemon.cli.tables import print_table


@click.group(cls=Commands)
def suppress() -> None:
    """Keep somebody out of every list, in every form of their number."""


@suppress.command()
@click.argument("phone")
@reason()
@as_json
@pass_here
def add(here: Here, *, phone: str, reason: str, json_: bool) -> None:
    """Suppress a person and cancel what is queued for them."""
    answer = here.client().post("suppressions", phone=phone, reason=reason)
    if json_:
        print_json(answer)
    else:
        say("Suppressed, in every form of the number.")


@suppress.command("list")
@listing
@as_json
@pass_here
def list_(here: Here, *, limit: int, after: str | None, json_: bool) -> None:
    """Show who is suppressed, since when and why."""
    found = here.client().get("suppressions", limit=limit, after=after)
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {"alias": "whom", "at": "since", "source": "source", "reason": "why"},
        empty="Nobody is suppressed.",
    )


@suppress.command()
@click.argument("phone")
@as_json
@pass_here
def check(here: Here, *, phone: str, json_: bool) -> None:
    """Tell whether a person is suppressed, in whatever form the number is written."""
    found = here.client().get("suppressions", "check", phone=phone)
    if json_:
        print_json(found)
        return
    columns = {"at": "since", "source": "source", "reason": "why"}
    print_table(found["records"], columns, empty="They are not suppressed.")


@suppress.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--region", default=None, help="Two letters: where numbers without + belong.")
@reason()
@as_json
@pass_here
def import_(here: Here, *, file: Path, region: str | None, reason: str, json_: bool) -> None:
    """Suppress every number of FILE, such as a do-not-call register; one number a line."""
    client = here.client()
    upload = client.upload(file.read_bytes(), "uploads", filename=file.name)["upload"]
    done = client.post("suppressions", "import", upload=upload, region=region, reason=reason)
    if json_:
        print_json(done)
        return
    say(f"{done['added']} suppressed, {done['already']} were already.")
    rejected = [{"record": record, "sentence": said} for record, said in done["rejected"]]
    if rejected:
        print_table(rejected, {"record": "record", "sentence": "what is wrong"}, empty="")


@suppress.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@as_json
@pass_here
def export(here: Here, *, file: Path | None, json_: bool) -> None:
    """Write everybody who is suppressed to FILE as CSV, or to the screen."""
    give_out(here.client().download("exports", "suppressions.csv"), file, json_=json_)


@suppress.command()
@click.argument("phone")
@reason()
@as_json
@pass_here
def lift(here: Here, *, phone: str, reason: str, json_: bool) -> None:
    """Correct a mistake of ours. A person's own opt-out only they themselves lift."""
    answer = here.client().post("suppressions", "lift", phone=phone, reason=reason)
    if json_:
        print_json(answer)
    else:
        say("The correction is recorded.")
