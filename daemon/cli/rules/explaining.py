"""`rules explain`: why a message got its verdict, and what if a fact were otherwise."""

from __future__ import annotations

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.screen import print_json, say


@click.command()
@click.argument("subject")
@click.option("--what-if", multiple=True, metavar="FACT=VALUE", help="Suppose this; repeatable.")
@as_json
@pass_here
def explain(here: Here, *, subject: str, what_if: tuple[str, ...], json_: bool) -> None:
    """Explain SUBJECT: a message, a prospect or a decision, by its id.

    With --what-if the rules in force judge the same facts anew, but for those supposed.
    """
    found = here.client().get("rules", "explain", subject, **_supposed(what_if))
    if json_:
        print_json(found)
        return
    if found["changed"]:
        supposed = ", ".join(f"{name} = {value}" for name, value in found["changed"].items())
        say(f"supposing {supposed}:")
    for line in found["lines"]:
        say(line)


def _supposed(words: tuple[str, ...]) -> dict[str, str]:
    """Return the facts by name; what has no `=` is a misuse."""
    pairs = [word.partition("=") for word in words]
    unclear = next((name for name, equals, _ in pairs if not equals), None)
    if unclear is not None:
        raise click.UsageError(f"--what-if takes FACT=VALUE, not {unclear!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}
