"""A program that loads every installed plugin and uses every part of the example plugin."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.api.clock import SystemClock
from daemon.api.identity import parse_identity
from daemon.api.imports import SourceOptions
from daemon.api.opinions import OpinionRequest
from daemon.api.permit import Permit, PermitRefused, PermitSigner, PermitVerifier, hash_body
from daemon.api.transport import OpenContext, Outgoing, SessionInfo, Text
from daemon.events import SendingHalted
from daemon.plugin_manager import Plugins
from daemon.worker_launcher import launch_worker

ANA = "+5491141234567"
NOW = datetime.now(UTC)


def sign_permit(signer: PermitSigner, text: str) -> Permit:
    """Return a signed permit for one text to Ana."""
    return signer.sign(
        Permit(
            id=f"per_{text}",
            message="msg_1",
            recipient=ANA,
            body=hash_body(text),
            session="folder",
            decision="dec_1",
            ruleset="r",
            issued_at=NOW,
            expires_at=NOW + timedelta(minutes=10),
        )
    )


def build_outgoing(message: str, text: str) -> Outgoing:
    """Return a text message to Ana."""
    return Outgoing(message, parse_identity(ANA), Text(text))


async def use_channel(plugins: Plugins, folder: Path) -> dict[str, Any]:
    """Connect the file channel, send once with a permit, and try three wrong ones."""
    signer = PermitSigner()
    info = SessionInfo("folder", paired=False, phone=None, folder=folder)
    context = OpenContext(info, SystemClock(), PermitVerifier(signer.public_key), launch_worker)
    open_line = plugins.channels()["folder"].open
    assert open_line
    line = await open_line(context)
    await line.connect()
    answer = await line.send(sign_permit(signer, "Hola"), build_outgoing("msg_1", "Hola"))
    refusals = []
    for permit, text in (
        (sign_permit(signer, "Hola"), "Hola"),
        (sign_permit(signer, "uno"), "otro"),
        (sign_permit(PermitSigner(), "tres"), "tres"),
    ):
        try:
            await line.send(permit, build_outgoing("msg_1", text))
        except PermitRefused as refused:
            refusals.append(refused.reason_code)
    checked = await line.check_numbers([ANA])
    await line.logout()
    await line.close()
    return {
        "signals": [type(signal).__name__ async for signal in line.signals()],
        "answer": type(answer).__name__,
        "refusals": refusals,
        "files": read_texts(folder),
        "checked": [str(each.answer) for each in checked],
    }


def read_texts(folder: Path) -> dict[str, str]:
    """Return the texts of the files in a folder."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


async def collect_opinions(plugins: Plugins) -> list[list[str]]:
    """Return the plugin's opinions on a quiet country, a delicate word, and an ordinary message."""
    found: list[list[str]] = []
    for country, text in (("BR", "Hola"), ("AR", "¡URGENTE!"), ("AR", "Hola")):
        facts = {"prospect.country": country, "message.text": text}
        answers = await plugins.judge(OpinionRequest("msg_1", ANA, "main", "folder", facts))
        own = next(answer for answer in answers if answer.plugin == "stranger")
        effect = getattr(own.value, "effect", None)
        found.append([str(effect), own.failure])
    return found


async def main(folder: Path) -> None:
    """Print the results as JSON."""
    plugins = Plugins()
    plugins.load()
    numbers = folder / "people.numbers"
    numbers.write_text("# ours\n+5491141234567; Ana\n\n1122334455\n", encoding="utf-8")
    source = plugins.sources()["lines"].open(numbers, SourceOptions())
    await plugins.observe(SendingHalted(subject="installation", at=NOW, who="eva", reason="test"))
    stranger = sys.modules["leadmaster_stranger"]
    result = {
        "names": plugins.names,
        "channel": await use_channel(plugins, folder / "out"),
        "opinions": await collect_opinions(plugins),
        "rows": [[row.number, *row.cells] for row in source.rows()],
        "form": source.form,
        "counts": dict(stranger.plugin.counts),
    }
    print(json.dumps(result))


asyncio.run(main(Path(sys.argv[1])))
