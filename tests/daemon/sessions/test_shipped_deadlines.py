"""The deadlines as they are shipped, on an injected clock over the simulated channel.

`test_linked_deadlines.py` shows the same on the real library, with shorter ones.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.helpers.services.sessions import SESSION_NAME, SessionServices, open_session_services
from tests.helpers.transport import write_session_script

MINUTE, HOUR = 60.0, 3600.0


async def play(services: SessionServices, folder: Path, script: dict[str, object]) -> None:
    """Start a session that follows a script, and let an hour pass."""
    write_session_script(folder, SESSION_NAME, {"scan_after": 1, **script})
    await services.start_session("simulated")
    await services.clock.advance(HOUR)


def list_stays(services: SessionServices) -> list[tuple[str, str, float]]:
    """Return each state that was left, the reason of what followed, and its seconds."""
    told: list[tuple[datetime, str, str]] = []
    for event in services.events:
        if event.type != "session.changed":
            continue
        state = str(event.data["state"])
        if not told or told[-1][1] != state or event.data["reason_code"] == "ban_expired":
            told.append((event.at, state, str(event.data["reason_code"])))
    return [
        (before[1], after[2], (after[0] - before[0]).total_seconds())
        for before, after in pairwise(told)
    ]


@pytest.mark.parametrize(
    ("script", "stay"),
    [
        ({"step": 100}, ("starting", "start_timed_out", 60.0)),
        ({"scan_after": None}, ("awaiting_scan", "qr_expired", 160.0)),
        ({"step": 20}, ("syncing", "ready", 10.0)),
        ({"line": [{"at": 10, "do": "silence"}]}, ("degraded", "silent_too_long", 3 * MINUTE)),
        ({"line": [{"at": 10, "do": "stream_error"}]}, ("degraded", "silent_too_long", 10.0)),
        (
            {"line": [{"at": 10, "do": "refuse", "code": 415}]},
            ("failed", "retrying", 15 * MINUTE),
        ),
        (
            {"line": [{"at": 10, "do": "ban", "code": 104, "seconds": 600}]},
            ("banned_temporarily", "ban_expired", 10 * MINUTE),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
async def test_a_state_lasts_as_long_as_is_shipped(
    tmp_path: Path, script: dict[str, object], stay: tuple[str, str, float]
) -> None:
    """To the second, and then it goes on by itself."""
    async with open_session_services(tmp_path) as services:
        await play(services, tmp_path, script)
        assert stay in list_stays(services)


async def test_45_seconds_after_the_last_frame_nothing_is_sent(tmp_path: Path) -> None:
    """The simulated platform answers a keep-alive every 20 seconds until then."""
    async with open_session_services(tmp_path) as services:
        await play(services, tmp_path, {"line": [{"at": 110, "do": "silence"}]})
        stays = [each for each in list_stays(services) if each[:2] == ("ready", "line_silent")]
        [(_, _, seconds)] = stays
        # The last frame was at 100 seconds.
        assert seconds == pytest.approx(145.0, abs=1.0)


@pytest.mark.parametrize("action", ["disconnect", "server_error", "die"])
async def test_each_wait_to_reconnect_is_about_twice_the_one_before(
    tmp_path: Path, action: str
) -> None:
    """From 2 seconds on, with jitter; four times are not too many."""
    line = [{"at": 10 + 40 * number, "do": action} for number in range(4)]
    async with open_session_services(tmp_path) as services:
        await play(services, tmp_path, {"line": line})
        waits = [
            each[2] for each in list_stays(services) if each[:2] == ("backoff", "reconnecting")
        ]
        for number, wait in enumerate(waits):
            assert 2**number <= wait <= 2 ** (number + 1)
        assert len(waits) == 4
        assert services.view.state == "ready"


async def test_five_deaths_in_ten_minutes_need_a_person(tmp_path: Path) -> None:
    """Who then has no deadline to wait for."""
    line = [{"at": 10 + 45 * number, "do": "die"} for number in range(5)]
    async with open_session_services(tmp_path) as services:
        await play(services, tmp_path, {"line": line})
        view = services.sessions.view(SESSION_NAME)
        assert (view.state, view.reason_code, view.deadline) == (
            "failed", "crashed_too_often", None
        )  # fmt: skip
