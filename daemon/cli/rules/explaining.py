"""`rules explain`: why a message got its verdict, and what if a fact were otherwise."""

from __future__ import annotations

import click

from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.screen import print_json, print_text


@click.command("explain")
@click.argument("subject")
@click.option("--what-if", multiple=True, metavar="FACT=VALUE", help="Suppose this; repeatable.")
@json_option
@pass_cli_context
def explain_decision(
    cli: CliContext, *, subject: str, what_if: tuple[str, ...], json_: bool
) -> None:
    """Explain SUBJECT: a message, a prospect or a decision, by its id.

    With --what-if the rules in force judge the same facts anew, but for those supposed.
    """
    found = cli.client().get("rules", "explain", subject, **_parse_suppositions(what_if))
    if json_:
        print_json(found)
        return
    if found["changed"]:
        supposed = ", ".join(f"{name} = {value}" for name, value in found["changed"].items())
        print_text(f"supposing {supposed}:")
    for line in found["lines"]:
        print_text(line)


def _parse_suppositions(words: tuple[str, ...]) -> dict[str, str]:
    """Return the facts by name; what has no `=` is a misuse."""
    pairs = [word.partition("=") for word in words]
    unclear = next((name for name, equals, _ in pairs if not equals), None)
    if unclear is not None:
        raise click.UsageError(f"--what-if takes FACT=VALUE, not {unclear!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}
