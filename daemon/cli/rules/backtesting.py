"""`rules backtest`: what other rules would have decided, before they decide anything."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.rules.sources import files_of
from daemon.cli.screen import print_json, say
from daemon.cli.tables import print_table

ALLOWS_TOO_MUCH = 1
_BAR = 30
_UNITS: Final = {"d": 1.0, "h": 1 / 24, "w": 7.0}  # in days
_ALL: Final = 100.0  # per cent
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)%?", re.ASCII)


def _days(_context: click.Context, _option: click.Parameter, text: str) -> float:
    """Return a stretch of time such as 30d, 12h or 4w in days."""
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isdecimal() and int(number):
        return int(number) * _UNITS[unit]
    raise click.BadParameter(f"{text} is no stretch of time: write 30d, 12h or 4w")


def _share_of(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """Return a share such as 5% as a number from 0 to 1."""
    if text is None:
        return None
    if (found := _SHARE.fullmatch(text)) and (percent := float(found.group(1))) <= _ALL:
        return percent / _ALL
    raise click.BadParameter(f"{text} is no share: write 5%, and 100% at most")


@click.command()
@click.option("--since", "days", callback=_days, default="30d", show_default=True, help="How far.")
@click.option(
    "--rules",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Files or folders laid over the shipped rules; none: the operator's folder.",
)
@click.option(
    "--fail-if-allows-more", "limit", callback=_share_of, help="Exit with 1 above this share."
)
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with plots.")
@as_json
@pass_here
def backtest(
    here: Here,
    *,
    days: float,
    paths: tuple[Path, ...],
    limit: float | None,
    html: Path | None,
    json_: bool,
) -> int:
    """Judge past decisions anew by other rules, and show what would come out otherwise.

    Nothing is sent and nothing is changed: the facts of each decision are judged again.
    """
    files = None
    if paths:
        read = files_of(here, paths)
        files = [{"path": each.path, "text": each.text, "own": each.own} for each in read]
    found = _report(here.client().follow("rules", "backtest", days=days, files=files))
    if html is not None:
        from daemon.hindsight.page import page

        html.write_text(page(found), encoding="utf-8")
    if json_:
        print_json(found)
    else:
        _print(found)
    return ALLOWS_TOO_MUCH if limit is not None and _share(found) > limit else 0


def _report(answers: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the report, with a bar on the way where somebody watches."""
    from daemon.errors import RulesRejected, Unavailable

    watched = sys.stderr.isatty()
    for answer in answers:
        match answer["type"]:
            case "report":
                return answer
            case "refused":
                raise RulesRejected(answer["sentence"])
        if watched:
            share = answer["done"] / (answer["total"] or 1)
            bar = "#" * round(share * _BAR)
            end = "\n" if answer["done"] >= answer["total"] else ""
            print(f"\r[{bar:.<{_BAR}}] {answer['done']} decisions", end=end, file=sys.stderr)
    raise Unavailable("The daemon ended before the backtest did.")


def _share(found: Mapping[str, Any]) -> float:
    return found["allows_more"] / found["decisions"] if found["decisions"] else 0.0


def _checked(found: Mapping[str, Any]) -> str:
    if found["decisions"] and not found["checked"]:
        return "durable-rules was not asked"
    return f"{found['checked']} of them by durable-rules too, {found['disagreed']} otherwise"


def _print(found: Mapping[str, Any]) -> None:
    say(
        f"{found['decisions']} decisions since {found['since'][:10]}, judged anew in"
        f" {found['seconds']:.1f} s; {_checked(found)}"
    )
    if found["left_out"]:
        say(f"{found['left_out']} left out: a rule reads their text, which is forgotten")
    say(f"newly allowed: {found['allows_more']} ({_share(found):.1%}){_after(found['more'])}")
    say(f"allowed no more: {found['allows_less']}{_after(found['less'])}")
    for flip, count in found["flips"].items():
        say(f"  {count:>7}  {flip}")
    if found["by_rule"]:
        columns = {"rule": "rule", "allows": "newly allowed", "stops": "allowed no more"}
        print_table(found["by_rule"], columns, empty="")
    rows = [{**each, "became": ", ".join(each["became"])} for each in found["examples"]]
    names = ("name", "phone", "message", "before", "after", "sentence", "became")
    print_table(rows, {name: name for name in names}, empty="Nothing would change.")


def _after(became: Mapping[str, int]) -> str:
    """Say what the people did afterwards."""
    if not became:
        return ""
    return "; of them " + ", ".join(f"{count} {word}" for word, count in became.items())
