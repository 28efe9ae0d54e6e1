"""`leadmaster campaigns`: lists of people that are worked through by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from daemon.cli.console import print_hint, print_json, print_raw, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
    reason_option,
)
from daemon.cli.filters import build_filter, filter_options
from daemon.cli.tables import print_fields, print_table

_OUTLOOKS: Final = ("by_hand", "approval", "later", "no")
_STAGES: Final = (
    *("queued", "allowed", "sent", "delivered", "read", "replied", "interested"),
    "opted_out",
)
_PEOPLE_COLUMNS: Final = {
    "prospect": "person",
    "name": "name",
    "phone": "phone",
    "state": "state",
    "claimed_by": "operator",
    "sentence": "why",
}


@click.group(cls=CommandGroup)
def campaigns() -> None:
    """Write to many people by hand, one after another, and see what comes of it."""


@campaigns.command("list")
@list_options
@json_option
@pass_cli_context
def list_campaigns(cli: CliContext, *, limit: int, after: str | None, json_: bool) -> None:
    """Show campaigns, the newest first."""
    found = cli.client().get("campaigns", limit=limit, after=after)
    if json_:
        print_json(found)
        return
    rows = [
        {**each["campaign"], "left": each["will_leave"], "sent": each["counts"]["sent"]}
        for each in found["items"]
    ]
    columns = {"id": "campaign", "name": "name", "state": "state", "left": "left", "sent": "sent"}
    print_table(rows, columns, empty="No campaign yet.")


@campaigns.command("show")
@click.argument("campaign")
@json_option
@pass_cli_context
def show_campaign(cli: CliContext, *, campaign: str, json_: bool) -> None:
    """Show a CAMPAIGN with how many people are in each state."""
    _print_campaign(cli.client().get("campaigns", campaign), json_=json_)


def _audience_options(command: Any) -> Any:  # noqa: ANN401 - click's decorators take any command
    for option in (
        click.option("--session", help="Whose phone writes."),
        click.option("--text", help="The id of a text."),
        click.option("--text-version", type=click.IntRange(min=1), help="The newest if not named."),
        click.option("--typed", help="The words for everybody, in place of a text."),
        click.option("--filter", "saved_filter", help="As a saved filter is now, by its name."),
        click.option("--leave-out", multiple=True, metavar="PROSPECT", help="Who is left out."),
        click.option("--ends-at", help="Who was not written to by then expires (ISO 8601)."),
    ):
        command = option(command)
    return filter_options(command)


@campaigns.command("add")
@click.argument("name")
@_audience_options
@json_option
@pass_cli_context
def add_campaign(cli: CliContext, /, *, name: str, json_: bool, **options: Any) -> None:  # noqa: ANN401
    """Store a draft called NAME; without a filter it is for everybody."""
    made = cli.client().post("campaigns", name=name, **_build_draft(options))
    _print_campaign(made, json_=json_)


@campaigns.command("change")
@click.argument("campaign")
@click.option("--name", help="Another name.")
@_audience_options
@json_option
@pass_cli_context
def change_campaign(cli: CliContext, /, *, campaign: str, json_: bool, **options: Any) -> None:  # noqa: ANN401
    """Change the draft of a CAMPAIGN; what is not named stays."""
    name = options.pop("name")
    more = {"name": name} if name else {}
    changed = cli.client().patch("campaigns", campaign, **more, **_build_draft(options))
    _print_campaign(changed, json_=json_)


def _build_draft(options: dict[str, Any]) -> dict[str, Any]:
    audience = build_filter(options)
    direct = ("session", "text", "text_version", "typed", "ends_at", "saved_filter")
    draft = {name: options[name] for name in direct if options[name]}
    if audience:
        draft["audience"] = audience
    if options["leave_out"]:
        draft["left_out"] = list(options["leave_out"])
    return draft


@campaigns.command("audience")
@click.argument("campaign")
@json_option
@pass_cli_context
def show_audience(cli: CliContext, *, campaign: str, json_: bool) -> None:
    """Show who the filter of a CAMPAIGN finds now, by permission."""
    found = cli.client().get("campaigns", campaign, "audience")
    if json_:
        print_json(found)
        return
    print_fields(
        [
            ("people", found["total"]),
            *((name, n) for name, n in found["permissions"].items() if n),
            ("opted out", found["suppressed"]),
            ("left out", found["left_out"]),
            ("not in it yet", found["new"]),
        ]
    )


@campaigns.command("try")
@click.argument("campaign")
@json_option
@pass_cli_context
def make_dry_run(cli: CliContext, *, campaign: str, json_: bool) -> None:
    """Make a dry run of a CAMPAIGN: judge everybody, and send nothing."""
    _print_dry_run(cli.client().post("campaigns", campaign, "dry-run"), campaign, json_=json_)


@campaigns.command("dry-run")
@click.argument("campaign")
@json_option
@pass_cli_context
def show_dry_run(cli: CliContext, *, campaign: str, json_: bool) -> None:
    """Show the latest dry run of a CAMPAIGN, and who moved since the one before."""
    _print_dry_run(cli.client().get("campaigns", campaign, "dry-run"), campaign, json_=json_)


@campaigns.command("dry-run-people")
@click.argument("campaign")
@click.option("--outlook", type=click.Choice(_OUTLOOKS), help="Of this number alone.")
@click.option("--reason-code", help="Of this reason alone.")
@list_options
@json_option
@pass_cli_context
def list_dry_run_people(
    cli: CliContext,
    *,
    campaign: str,
    outlook: str | None,
    reason_code: str | None,
    limit: int,
    after: str | None,
    json_: bool,
) -> None:
    """Show the people behind a number of the latest dry run of a CAMPAIGN."""
    found = cli.client().get(
        "campaigns",
        campaign,
        "dry-run",
        "people",
        outlook=outlook,
        reason_code=reason_code,
        limit=limit,
        after=after,
    )
    if json_:
        print_json(found)
        return
    columns = {"prospect": "person", "name": "name", "outlook": "outlook", "sentence": "why"}
    print_table(found["items"], columns | {"action": "what changes it"}, empty="Nobody.")


@campaigns.command("start")
@click.argument("campaign")
@click.argument("hash_", metavar="HASH")
@reason_option()
@json_option
@pass_cli_context
def start_campaign(cli: CliContext, *, campaign: str, hash_: str, reason: str, json_: bool) -> None:
    """Start a CAMPAIGN by the HASH of its dry run, or add the new people of one that runs."""
    started = cli.client().post("campaigns", campaign, "start", hash=hash_, reason=reason)
    _print_campaign(started, json_=json_)
    if not json_:
        print_hint(f"Next: leadmaster campaigns next {campaign}")


@campaigns.command("pause")
@click.argument("campaign")
@reason_option()
@json_option
@pass_cli_context
def pause_campaign(cli: CliContext, *, campaign: str, reason: str, json_: bool) -> None:
    """Pause a CAMPAIGN at once."""
    paused = cli.client().post("campaigns", campaign, "pause", reason=reason)
    _print_campaign(paused, json_=json_)


@campaigns.command("resume")
@click.argument("campaign")
@reason_option()
@json_option
@pass_cli_context
def resume_campaign(cli: CliContext, *, campaign: str, reason: str, json_: bool) -> None:
    """Resume a paused CAMPAIGN where it stopped."""
    resumed = cli.client().post("campaigns", campaign, "resume", reason=reason)
    _print_campaign(resumed, json_=json_)


@campaigns.command("cancel")
@click.argument("campaign")
@reason_option()
@json_option
@pass_cli_context
def cancel_campaign(cli: CliContext, *, campaign: str, reason: str, json_: bool) -> None:
    """End a CAMPAIGN early: nobody else gets anything."""
    cancelled = cli.client().post("campaigns", campaign, "cancel", reason=reason)
    _print_campaign(cancelled, json_=json_)


@campaigns.command("next")
@click.argument("campaign")
@json_option
@pass_cli_context
def take_next(cli: CliContext, *, campaign: str, json_: bool) -> None:
    """Take the next person of a CAMPAIGN: the same until you are done with them."""
    turn = cli.client().post("campaigns", campaign, "next")
    if json_:
        print_json(turn)
        return
    for each in turn["left"]:
        print_text(f"{each['name'] or each['prospect']}: {each['sentence']}")
    person = turn["person"]
    if person is None:
        print_text(turn["sentence"])
        return
    print_text(f"{person['name']} {person['phone']} ({person['state']})")
    print_text(person["text"])
    print_text(f"{turn['left_today']} of {turn['per_day']} first contacts by hand left today.")
    print_hint(f"Next: leadmaster campaigns open {campaign} {person['prospect']}")


@campaigns.command("open")
@click.argument("campaign")
@click.argument("prospect")
@json_option
@pass_cli_context
def open_chat(cli: CliContext, *, campaign: str, prospect: str, json_: bool) -> None:
    """Show the link that opens the chat of a PROSPECT with the text. Then say how it ended."""
    answer = cli.client().post("campaigns", campaign, "people", prospect, "open")
    if json_:
        print_json(answer)
        return
    print_raw(answer["link"])
    print_hint(f"Send it there, then: leadmaster campaigns sent {campaign} {prospect}, or skip")


@campaigns.command("sent")
@click.argument("campaign")
@click.argument("prospect")
@json_option
@pass_cli_context
def confirm_sent(cli: CliContext, *, campaign: str, prospect: str, json_: bool) -> None:
    """Say that you have sent it to a PROSPECT."""
    _print_person(cli.client().post("campaigns", campaign, "people", prospect, "sent"), json_=json_)


@campaigns.command("skip")
@click.argument("campaign")
@click.argument("prospect")
@reason_option()
@json_option
@pass_cli_context
def skip_person(cli: CliContext, *, campaign: str, prospect: str, reason: str, json_: bool) -> None:
    """Leave a PROSPECT out, with a reason."""
    skipped = cli.client().post("campaigns", campaign, "people", prospect, "skip", reason=reason)
    _print_person(skipped, json_=json_)


@campaigns.command("return")
@click.argument("campaign")
@click.argument("prospect")
@json_option
@pass_cli_context
def return_person(cli: CliContext, *, campaign: str, prospect: str, json_: bool) -> None:
    """Put a PROSPECT back unseen, for somebody else to take."""
    returned = cli.client().post("campaigns", campaign, "people", prospect, "return")
    _print_person(returned, json_=json_)


@campaigns.command("people")
@click.argument("campaign")
@click.option("--state", help="In this state alone, such as sent or skipped.")
@click.option("--stage", type=click.Choice(_STAGES), help="Who reached this stage alone.")
@list_options
@json_option
@pass_cli_context
def list_people(
    cli: CliContext,
    *,
    campaign: str,
    state: str | None,
    stage: str | None,
    limit: int,
    after: str | None,
    json_: bool,
) -> None:
    """Show the people of a CAMPAIGN, in the order of their turns."""
    found = cli.client().get(
        "campaigns", campaign, "people", state=state, stage=stage, limit=limit, after=after
    )
    if json_:
        print_json(found)
        return
    print_table(found["items"], _PEOPLE_COLUMNS, empty="Nobody.")


@campaigns.command("funnel")
@click.argument("campaign")
@json_option
@pass_cli_context
def show_funnel(cli: CliContext, *, campaign: str, json_: bool) -> None:
    """Show how far the people of a CAMPAIGN came."""
    funnel = cli.client().get("campaigns", campaign, "funnel")
    if json_:
        print_json(funnel)
        return
    print_fields((name.replace("_", " "), n) for name, n in funnel.items())


@campaigns.command("report")
@click.argument("campaign")
@json_option
@pass_cli_context
def show_report(cli: CliContext, *, campaign: str, json_: bool) -> None:
    """Show what came of a CAMPAIGN by text, rule, hour and phone, and why others got nothing."""
    report = cli.client().get("campaigns", campaign, "report")
    if json_:
        print_json(report)
        return
    shares = ("replied", "interested", "opted_out")
    rows = [
        {**group, "title": _format_title(group)}
        | {name: _format_share(group[name], group["sent"]) for name in shares}
        for group in report["groups"]
    ]
    columns = {"by": "by", "title": "value", "sent": "sent", "replied": "replied"}
    columns |= {"interested": "interested", "opted_out": "opted out"}
    print_table(rows, columns, empty="Nobody was written to yet.")
    print_table(
        report["stopped"],
        {"count": "people", "state": "state", "sentence": "why", "wrote_later": "wrote later"},
        empty="Nobody was stopped.",
    )


@campaigns.command("compare")
@click.argument("campaign")
@click.argument("other")
@json_option
@pass_cli_context
def compare_campaigns(cli: CliContext, *, campaign: str, other: str, json_: bool) -> None:
    """Show a CAMPAIGN and an OTHER side by side: what came of each, and what differed."""
    found = cli.client().get("campaigns", campaign, "compare", other)
    if json_:
        print_json(found)
        return
    first, second = found["first"], found["second"]
    verdicts = {each["stage"]: each["verdict"].replace("_", " ") for each in found["shares"]}
    rows = [
        {"stage": stage.replace("_", " "), "first": n, "second": second["stages"][stage]}
        | {"says": verdicts.get(stage, "")}
        for stage, n in first["stages"].items()
    ]
    columns = {"stage": "stage", "first": first["name"], "second": second["name"]}
    print_table(rows, columns | {"says": "says"}, empty="Nothing.")
    print_text(f"Not the same: {', '.join(found['differs']) or 'nothing'}.")


def _format_title(group: dict[str, Any]) -> str:
    version = f", version {group['version']}" if group["version"] else ""
    return f"{group['title']}{version}" if group["title"] else group["value"] or "typed"


def _format_share(share: dict[str, Any], total: int) -> str:
    if not share["enough"]:
        return f"{share['count']} of {total}, too few to say"
    percent = [f"{100 * share[name]:.0f}" for name in ("share", "low", "high")]
    return f"{share['count']} of {total}, {percent[0]} % ({percent[1]} to {percent[2]} %)"


@campaigns.command("export")
@click.argument("campaign")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_cli_context
def export_people(cli: CliContext, *, campaign: str, file: Path) -> None:
    """Write the people of a CAMPAIGN to FILE: CSV, or XLSX by its ending."""
    ending = "xlsx" if file.suffix.lower() == ".xlsx" else "csv"
    content = cli.client().download("campaigns", campaign, f"people.{ending}")
    file.touch(mode=0o600)  # before it is written: with the umask alone, others might read it
    file.write_bytes(content)
    print_text(f"The people are in {file}")


def _print_person(person: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(person)
        return
    print_text(f"{person['name'] or person['prospect']}: {person['state']}")


def _print_campaign(view: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(view)
        return
    campaign = view["campaign"]
    print_text(f"{campaign['id']}: {campaign['name']} ({campaign['state']})")
    if campaign["pause_reason"]:
        print_text(f"Paused by {campaign['paused_by']}: {campaign['pause_reason']}")
    if view["breaker"]:
        print_text(f"The breaker counted {view['breaker']['detail']}.")
    print_fields((name.replace("_", " "), n) for name, n in view["counts"].items() if n)
    if campaign["state"] in {"running", "paused"}:
        print_text(f"{view['will_leave']} more leave, {view['on_its_way']} on its way.")


def _print_dry_run(run: dict[str, Any], campaign: str, *, json_: bool) -> None:
    if json_:
        print_json(run)
        return
    print_text(f"{run['total']} people")
    columns = {"count": "people", "outlook": "outlook", "sentence": "why"}
    print_table(run["groups"], columns | {"action": "what changes it"}, empty="Nobody is found.")
    print_text(run["pace"]["sentence"])
    if gone := run["opted_out_since"]:
        print_text(f"Opted out since the last dry run: {', '.join(gone['names'])}")
    for each in run["moved"]:
        print_text(f"{each['name'] or each['prospect']}: {each['before']} → {each['after']}")
    if run["stale_reason"]:
        print_text(run["stale_reason"])
        return
    print_hint(f"Start it: leadmaster campaigns start {campaign} {run['hash']} --reason WHY")
