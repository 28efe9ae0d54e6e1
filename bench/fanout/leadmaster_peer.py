"""LeadMaster under measure: a daemon behind its public server, and events on its bus."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta

from bench.fanout.server_protocol import serve_orders
from daemon.auth import ALL_SCOPES, Principal, Role, SignInMethod
from daemon.bootstrap import open_services
from daemon.events import MessageChanged
from daemon.http.health import DaemonHealth
from daemon.http.server import serve_public
from daemon.services import Services
from daemon.settings import DaemonSettings, Settings

OWNER = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)


def build_event(house: Services, number: int, last: int, size: int) -> MessageChanged:
    """Return a message's change as they are; `contact` holds the time, `decision` the end."""
    return MessageChanged(
        subject=f"msg_{number:026}",
        at=house.clock.now(),
        state="sent",
        previous="sending",
        reason_code="acknowledged",
        sentence="WhatsApp acknowledged the message." + "." * size,
        session="ventas",
        channel="simulated",
        contact=f"t{time.monotonic_ns():020}",
        decision="the-end" if number == last else "dec_01J8ZZZZZZZZZZZZZZZZZZZZZZ",
    )


async def main() -> None:
    """Open the house and obey."""
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        settings = Settings(daemon=DaemonSettings(state_dir=folder, port=0))
        vitals = DaemonHealth(lambda: 0.0)
        async with serve_public(settings, vitals), open_services(settings) as house:
            vitals.services = house
            await house.auth.users.create_user("ana", Role.ADMIN, "root")
            made = await house.auth.tokens.issue_token(
                OWNER, "ana", "bench", ALL_SCOPES, timedelta(hours=1)
            )

            async def send(count: int, burst: int, size: int, pause: float) -> None:
                for number in range(count):
                    # Without a seq: the log, which clients that come later ask, has none of it.
                    house.bus.publish(build_event(house, number, count - 1, size))
                    if number % burst == burst - 1:
                        await asyncio.sleep(pause)

            offer = f"leadmaster.v1, leadmaster.token.{made.token}"
            await serve_orders(f"{vitals.addresses['http']}/v1/events {offer}", send)


if __name__ == "__main__":
    asyncio.run(main())
