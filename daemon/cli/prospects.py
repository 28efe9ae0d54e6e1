"""`leadmaster prospects`: bring lists in, look at who is there, check and validate numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daemon.cli.context import Commands, Here, as_json, listing, pass_here, reason
from daemon.cli.screen import give_out, print_json, say
from daemon.cli.tables import print_facts, print_table


@click.group(cls=Commands)
def prospects() -> None:
    """Import, see, check and validate prospects."""


@prospects.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Import without asking.")
@click.option("--map", "mapped", multiple=True, metavar="COLUMN=HEADER", help="Correct the guess.")
@click.option("--region", default=None, help="Two letters: where numbers without + belong.")
@click.option("--origin", default=None, help="cartera_origen of the whole list.")
@click.option("--permission", default=None, help="What holds where a record says nothing.")
@click.option("--consent-statement", default=None, help="How consent was obtained.")
@click.option("--rejects", type=click.Path(path_type=Path), help="Write rejects to this CSV file.")
@as_json
@pass_here
def import_(
    here: Here,
    /,
    *,
    file: Path,
    yes: bool,
    rejects: Path | None,
    json_: bool,
    mapped: tuple[str, ...],
    **given: str | None,
) -> None:
    """Import FILE: shows what was recognised, asks, imports, and reports every reject."""
    from daemon.cli.importing import import_file, options_of

    import_file(
        here.client(), file, options_of(mapped, **given), yes=yes, rejects=rejects, json_=json_
    )


@prospects.command("list")
@click.option("--text", default=None, help="Part of a name, trade, origin or number.")
@click.option("--validation", default=None, help="Only in this state, such as validated.")
@click.option("--permission", default=None, help="Only with this permission.")
@listing
@as_json
@pass_here
def list_(here: Here, /, *, json_: bool, **wanted: Any) -> None:  # noqa: ANN401 - as click gives it
    """Show prospects in the order they came."""
    found = here.client().get("prospects", **wanted)
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {
            "id": "prospect",
            "name": "name",
            "phone": "phone",
            "validation": "validation",
            "score_contactabilidad": "score",
            "permission": "permission",
            "cartera_origen": "cartera_origen",
        },
        empty="There is no such prospect. Bring some: leadmaster prospects import FILE",
    )
    if found["next"]:
        say(f"There are more: --after {found['next']}")


@prospects.command()
@click.argument("prospect")
@as_json
@pass_here
def show(here: Here, *, prospect: str, json_: bool) -> None:
    """Show all that is known of a prospect; an id or a number."""
    found = here.client().get("prospects", prospect)
    if json_:
        print_json(found)
        return
    hidden = {"score_explanation", "contact", "import_id", "record"}
    facts = {key: value for key, value in found["prospect"].items() if key not in hidden}
    said = found["reviewed"] or {"who": None, "reason": None}
    standing = {"suppressed": found["suppressed"], "review": found["review"]}
    print_facts(
        (facts | standing | {"reviewed by": said["who"], "because": said["reason"]}).items()
    )
    _print_score(found["score"])
    columns = {
        "at": "when",
        "kind": "evidence",
        "value": "says",
        "source": "source",
        "quote": "words",
    }
    print_table(found["evidence"], columns, empty="There is no evidence yet.")


def _print_score(score: dict[str, Any] | None) -> None:
    for part in (score or {}).get("contributions", ()):
        say(f"  {part['points']:+.3g}  {part['reason']} ({part['at']})")


@prospects.command()
@click.argument("prospect")
@click.option("--not-reachable", is_flag=True, help="Say that the number does not reach them.")
@reason()
@as_json
@pass_here
def validate(here: Here, *, prospect: str, not_reachable: bool, reason: str, json_: bool) -> None:
    """Validate a prospect on your own word; it expires like any other validation."""
    client = here.client()
    answer = client.post(
        "prospects", prospect, "validate", validated=not not_reachable, reason=reason
    )
    _tell(answer, json_=json_)


@prospects.command()
@click.argument("prospect")
@as_json
@pass_here
def check(here: Here, *, prospect: str, json_: bool) -> None:
    """Ask WhatsApp whether the number is there: yes, no, or unknown."""
    _tell(here.client().post("prospects", prospect, "check"), json_=json_)


@prospects.command()
@click.argument("phone")
@click.option("--name", default=None, help="Who they are.")
@click.option("--trade", default=None, help="What they do.")
@click.option("--origin", required=True, help="cartera_origen: where they come from.")
@click.option("--permission", default=None, help="Such as relationship; without it, none.")
@click.option("--statement", default=None, help="How they agreed; an opt-in needs it.")
@as_json
@pass_here
def add(here: Here, /, *, phone: str, origin: str, json_: bool, **known: str | None) -> None:
    """Enter one prospect by hand."""
    answer = here.client().post("prospects", phone=phone, cartera_origen=origin, **known)
    _tell(answer, json_=json_)


@prospects.command()
@click.argument("prospect")
@click.option("--phone", default=None, help="The right number.")
@click.option("--name", default=None, help="The right name.")
@click.option("--trade", default=None, help="The right trade.")
@click.option("--notes", default=None, help="New notes, in place of the old.")
@reason()
@as_json
@pass_here
def correct(here: Here, /, *, prospect: str, json_: bool, **right: str | None) -> None:
    """Put a number, a name, a trade or the notes right; the rest stays."""
    _tell(here.client().patch("prospects", prospect, **right), json_=json_)


@prospects.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--text", default=None, help="Part of a name, trade, origin or number.")
@click.option("--validation", default=None, help="Only in this state, such as validated.")
@click.option("--permission", default=None, help="Only with this permission.")
@as_json
@pass_here
def export(here: Here, /, *, file: Path | None, json_: bool, **wanted: str | None) -> None:
    """Write prospects to FILE as CSV, or to the screen."""
    content = here.client().download("exports", "prospects.csv", **wanted)
    give_out(content, file, json_=json_)


def _tell(prospect: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(prospect)
        return
    say(
        f"{prospect['id']}: {prospect['validation']}, on WhatsApp: {prospect['on_whatsapp']}, "
        f"score {prospect['score_contactabilidad']}"
    )
