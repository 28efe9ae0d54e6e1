"""`rules backtest`: shows what other rules would have decided in the past."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.rules.files import collect_rule_files
from daemon.cli.tables import print_table

EXIT_ALLOWS_TOO_MUCH = 1
_BAR_WIDTH = 30
_DAYS_PER_UNIT: Final = {"d": 1.0, "h": 1 / 24, "w": 7.0}
_PERCENT: Final = 100.0
_SHARE_PATTERN: Final = re.compile(
    r"(\d+(?:\.\d+)?)%?", re.ASCII
)  # \d alone matches other scripts' digits


def _parse_days(_context: click.Context, _option: click.Parameter, text: str) -> float:
    """Return a period such as 30d, 12h or 4w in days."""
    number, unit = text[:-1], text[-1:]
    if unit in _DAYS_PER_UNIT and number.isdecimal() and int(number):
        return int(number) * _DAYS_PER_UNIT[unit]
    raise click.BadParameter(f"{text} is not a length of time: write 30d, 12h or 4w")


def _parse_share(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> float | None:
    """Return a share such as 5% as a number from 0 to 1."""
    if text is None:
        return None
    if (found := _SHARE_PATTERN.fullmatch(text)) and (percent := float(found.group(1))) <= _PERCENT:
        return percent / _PERCENT
    raise click.BadParameter(f"{text} is not a share: write 5%, and 100% at most")


@click.command("backtest")
@click.option(
    "--since", "days", callback=_parse_days, default="30d", show_default=True, help="How far."
)
@click.option(
    "--rules",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Files or folders laid over the shipped rules; none: the operator's folder.",
)
@click.option(
    "--fail-if-allows-more", "limit", callback=_parse_share, help="Exit with 1 above this share."
)
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with plots.")
@json_option
@pass_cli_context
def run_backtest(
    cli: CliContext,
    *,
    days: float,
    paths: tuple[Path, ...],
    limit: float | None,
    html: Path | None,
    json_: bool,
) -> int:
    """Judge past decisions again by other rules, and show what would come out otherwise.

    Nothing is sent and nothing is changed: the facts of each decision are judged again.
    """
    files = None
    if paths:
        # Read here and sent as texts: the daemon may not be allowed to read the user's files.
        read = collect_rule_files(cli, paths)
        files = [{"path": each.path, "text": each.text, "own": each.own} for each in read]
    report = _follow_report(cli.client().follow("rules", "backtest", days=days, files=files))
    if html is not None:
        from daemon.backtest.html_report import render_html_report

        html.write_text(render_html_report(report), encoding="utf-8")
    if json_:
        print_json(report)
    else:
        _print_report(report)
    return EXIT_ALLOWS_TOO_MUCH if limit is not None and _newly_allowed_share(report) > limit else 0


def _follow_report(answers: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the report, with a progress bar on a terminal."""
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
            bar = "#" * round(share * _BAR_WIDTH)
            end = "\n" if answer["done"] >= answer["total"] else ""
            print(f"\r[{bar:.<{_BAR_WIDTH}}] {answer['done']} decisions", end=end, file=sys.stderr)
    raise Unavailable("The daemon stopped before the backtest ended.")


def _newly_allowed_share(report: Mapping[str, Any]) -> float:
    return report["allows_more"] / report["decisions"] if report["decisions"] else 0.0


def _describe_engine_check(report: Mapping[str, Any]) -> str:
    if report["decisions"] and not report["checked"]:
        return "durable-rules was not asked"
    return f"{report['checked']} of them by durable-rules too, {report['disagreed']} otherwise"


def _print_report(report: Mapping[str, Any]) -> None:
    print_text(
        f"{report['decisions']} decisions since {report['since'][:10]}, judged anew in"
        f" {report['seconds']:.1f} s; {_describe_engine_check(report)}"
    )
    if report["left_out"]:
        print_text(f"{report['left_out']} left out: a rule reads their text, which is forgotten")
    print_text(
        f"newly allowed: {report['allows_more']} ({_newly_allowed_share(report):.1%})"
        f"{_format_aftermath(report['more'])}"
    )
    print_text(f"allowed no more: {report['allows_less']}{_format_aftermath(report['less'])}")
    for flip, count in report["flips"].items():
        print_text(f"  {count:>7}  {flip}")
    if report["by_rule"]:
        columns = {"rule": "rule", "allows": "newly allowed", "stops": "allowed no more"}
        print_table(report["by_rule"], columns, empty="")
    rows = [{**each, "outcomes": ", ".join(each["outcomes"])} for each in report["examples"]]
    names = ("name", "phone", "message", "before", "after", "sentence", "outcomes")
    print_table(rows, {name: name for name in names}, empty="Nothing would change.")


def _format_aftermath(outcomes: Mapping[str, int]) -> str:
    """Return what the contacts did afterwards, as the end of a sentence."""
    if not outcomes:
        return ""
    return "; of them " + ", ".join(f"{count} {word}" for word, count in outcomes.items())
