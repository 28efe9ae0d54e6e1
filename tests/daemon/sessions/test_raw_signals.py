"""What real channels were seen to tell, through a simulated one: each heard, nobody's, or kept."""

from __future__ import annotations

from pathlib import Path

from daemon.api.signals import InboundMessage, Origin, OwnMessage
from tests.helpers.services.sessions import SESSION_NAME, open_session_services
from tests.helpers.transport import write_session_script

WRITTEN: list[dict[str, object]] = [
    {"address": "5491151000007@s.whatsapp.net"},
    {"address": "5491151000008:12@c.us"},
    {"address": "5491151000011"},
    {"address": "199999000010@lid", "contact": "+5491151000010"},
    {"address": "status@broadcast"},
    {"address": "120363041234567890@g.us"},
    {"address": "120363041234567890@newsletter"},
    {"address": ""},
    {"contact": "+5491151000001", "text": "hola \ud83d"},
    {"contact": "+5491151000002", "without_zone": True},
    {"address": "Ana"},
    {"contact": "+5491151000012", "origin": "history", "written_ago": 34_560_000},
    {"do": "type", "address": "5491151000013@c.us"},
]


async def test_each_message_of_a_careless_channel_is_heard_dropped_or_kept(tmp_path: Path) -> None:
    """In one stream: what can't be stored stops nothing that comes behind it."""
    events = [{"at": 1, "do": "write", "text": "BAJA", **each} for each in WRITTEN]
    write_session_script(tmp_path, SESSION_NAME, {"scan_after": 0, "line": events})
    async with open_session_services(tmp_path) as services:
        await services.start_session("simulated")
        await services.clock.advance(10)
        heard = [signal for _, signal in services.stored if isinstance(signal, InboundMessage)]
        own = [signal for _, signal in services.stored if isinstance(signal, OwnMessage)]
        assert [str(each.sender) for each in heard] == [
            "+5491151000007",
            "+5491151000008",
            "+5491151000011",
            "199999000010@lid",
            "+5491151000012",
        ]
        assert [str(each) for each in heard[3].aliases] == ["+5491151000010"]
        assert heard[4].origin is Origin.HISTORY
        assert [str(each.recipient) for each in own] == ["+5491151000013"]
        assert [(each.reason_code, each.kept["sender"]) for each in services.rejected] == [
            ("text_unstorable", "+5491151000001"),
            ("time_without_zone", "+5491151000002"),
            ("name_unreadable", "Ana"),
        ]
        assert services.view.state == "ready"
        assert services.sessions.refused_signals["ventas"] == 7
