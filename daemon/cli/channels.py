"""`leadmaster channels`: lists the channels, and runs the conformance suite over one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    parse_json_object,
    pass_cli_context,
)
from daemon.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.api.conformance import ChannelProbe
    from daemon.api.transport import Channel
    from daemon.conformance import ConformanceResult


@click.group(cls=CommandGroup)
def channels() -> None:
    """List the channels that plugins bring, and check one against the promises of its port."""


@channels.command("list")
@json_option
@pass_cli_context
def list_channels(cli: CliContext, *, json_: bool) -> None:
    """Show every installed channel, and what it can do; no daemon is asked."""
    rows = [_describe_channel(channel) for channel in _load_channels(cli).values()]
    if json_:
        print_json({"items": rows})
        return
    print_table(
        rows,
        {"name": "channel", "summary": "what it is", "capabilities": "can do"},
        empty="No plugin provides a channel.",
    )


@channels.command("check")
@click.argument("name")
@click.option("--options", default="{}", help="The session's options, as JSON.")
@click.option("--recipient", default=None, help="A number that real messages may be sent to.")
@click.option("--probe", default="", help="MODULE:ATTRIBUTE of a probe; else the channel's own.")
@click.option("--only", multiple=True, help="Run this check alone; may be given again.")
@json_option
@pass_cli_context
def check_channel(
    cli: CliContext,
    *,
    name: str,
    options: str,
    recipient: str | None,
    probe: str,
    only: tuple[str, ...],
    json_: bool,
) -> int:
    """Run the conformance suite over a channel; exit 1 if it breaks a promise.

    Each promise of the transport port is one check, on a session and a folder of its own. Messages
    are sent to the probe's recipient, or to --recipient; without either, nothing is sent.
    """
    # Imported here, as in every command: the start of the command line loads only what it needs.
    from daemon.conformance import CONFORMANCE_CHECKS, load_probe
    from daemon.errors import NotFound

    if unknown := set(only) - set(CONFORMANCE_CHECKS):
        names = ", ".join(CONFORMANCE_CHECKS)
        raise NotFound(f"There is no check {min(unknown)!r}.", hint=f"The checks are: {names}.")
    known = _load_channels(cli)
    if name not in known:
        raise NotFound(
            f"There is no channel {name!r}.",
            hint="Install what brings it; what is there: leadmaster channels list",
        )
    channel = known[name]
    lent = load_probe(channel, parse_json_object(options), path=probe, recipient=recipient)
    return _run_checks(channel, lent, only, json_=json_)


def _run_checks(
    channel: Channel, probe: ChannelProbe, only: tuple[str, ...], *, json_: bool
) -> int:
    import asyncio

    from msgspec.structs import asdict

    from daemon.conformance import ConformanceOutcome

    results = asyncio.run(_collect_results(channel, probe, only, show=not json_))
    failed = [each for each in results if each.outcome is ConformanceOutcome.FAILED]
    if json_:
        print_json({"ok": not failed, "results": [asdict(each) for each in results]})
    else:
        passed = sum(each.outcome is ConformanceOutcome.PASSED for each in results)
        rest = len(results) - passed - len(failed)
        print_text(f"{passed} passed, {len(failed)} failed, {rest} not tested")
    return 1 if failed else 0


async def _collect_results(
    channel: Channel, probe: ChannelProbe, only: tuple[str, ...], *, show: bool
) -> list[ConformanceResult]:
    from daemon.conformance import check_channel as run_suite

    results = []
    async for result in run_suite(channel, probe, only=only):
        results.append(result)
        if show:
            _print_result(result)
    return results


def _print_result(result: ConformanceResult) -> None:
    mark = {"passed": "ok ", "failed": "FAIL", "not_tested": "-  "}[result.outcome.value]
    print_text(f"{mark:<4} {result.check}: {result.promise}")
    if result.why:
        print_text(f"       {result.why}")


def _load_channels(cli: CliContext) -> Mapping[str, Channel]:
    from daemon.plugin_manager import Plugins

    # From the installed plugins themselves, so that no daemon has to run.
    plugins = Plugins()
    plugins.load(blocked=cli.load_settings().plugins.blocked)
    return plugins.channels()


def _describe_channel(channel: Channel) -> dict[str, object]:
    from msgspec.structs import asdict

    declared = asdict(channel.capabilities)
    words = [name for name, value in declared.items() if value is True]
    if declared["pairing"] != "none":
        words.append(f"pairing by {declared['pairing'].replace('_', ' ')}")
    return {
        "name": channel.name,
        "summary": channel.summary,
        "capabilities": ", ".join(words) or ("texts" if channel.connects else "sent by hand"),
    }
