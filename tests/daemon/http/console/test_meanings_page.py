"""The tab where a person says what contacts meant, as documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.auth import ROLE_SCOPES, Role
from storage.inbound_reviews import Meaning
from tests.helpers.client.console import (
    ANA_ROW,
    BETO_ROW,
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    get_page,
    open_console,
)
from tests.helpers.client.http import DAYTIME, build_settings

pytestmark = pytest.mark.slow

ANA, BETO = "+5491141234567", "+5491141234568"
SPANISH = {"Accept-Language": "es-AR"}


async def receive(console: ConsoleServer, *texts: str, sender: str = ANA) -> list[str]:
    """Receive messages of a prospect; return their ids."""
    await console.add_ready_session()
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW + BETO_ROW).encode())
    for number, text in enumerate(texts):
        await console.services.signal_handlers.inbound.handle_inbound(
            "ventas", InboundMessage(f"W{number}", parse_identity(sender), text, DAYTIME)
        )
    rows = await console.services.database.read(
        lambda r: r.all("SELECT id FROM inbound ORDER BY wire_id")
    )
    return [row["id"] for row in rows]


async def test_the_words_that_show_why_are_marked(console: ConsoleServer) -> None:
    """Within the text as it was written, escaped; each answer has its key."""
    await receive(console, "Buenas <b>tardes</b>. Los voy a denunciar. Chau", "no me mandes audios")
    shown = (await get_page(console, "/review/meanings")).document
    assert "Buenas &lt;b&gt;tardes&lt;/b&gt;. <mark>Los voy a denunciar</mark>. Chau" in shown
    assert "May ask us to stop" in shown
    assert [f'data-shortcut="{key}"' in shown for key in "1234"] == [True] * 4
    spanish = (await get_page(console, "/review/meanings", **SPANISH)).document
    assert "¿Qué quiso decir?" in spanish
    assert "Quizá pide la baja" in spanish


async def test_a_persons_own_words_are_never_translated(console: ConsoleServer) -> None:
    """Only what the daemon says is, such as where a piece of evidence comes from."""
    (english,) = await receive(console, "They said no")
    await console.services.classification.classify(english, Meaning.NEITHER, who="eva")
    shown = (await get_page(console, f"/review/meanings/{english}", **SPANISH)).document
    assert "clasificado por eva · “They said no”" in shown
    assert "su propio mensaje" in shown


async def test_complaints_come_first_with_a_fourth_key(console: ConsoleServer) -> None:
    """The first case is open; each tab has its own count."""
    vague, complaint = await receive(console, "el lunes te digo", "los voy a denunciar")
    shown = (await get_page(console, "/review/meanings")).document
    assert f'<article class="case" data-case="{complaint}"' in shown
    assert shown.index(f'id="row-{complaint}"') < shown.index(f'id="row-{vague}"')
    assert 'data-shortcut="4"' in shown
    assert 'What did they mean? <span class="figure">2</span>' in shown
    assert 'To approve <span class="figure">0</span>' in shown
    today = (await get_page(console, "/")).document
    assert "2 messages to read: what did they mean?" in today


async def test_a_final_answer_asks_first(console: ConsoleServer) -> None:
    """What it does is said in words, and a correction needs a reason."""
    (child,) = await receive(console, "tengo 14 años")
    page = (await get_page(console, f"/review/meanings/{child}")).document
    assert f"/pieces/review/meanings/cases/{child}/minor" in page
    path = f"/pieces/review/meanings/cases/{child}"
    asked = (await get_page(console, f"{path}/minor")).document
    assert "All that is stored of them is erased" in asked
    assert 'name="meaning" value="minor"' in asked
    assert 'name="confirmed" data-json value="true"' in asked
    corrected = (await get_page(console, f"{path}/neither")).document
    assert "Was it misread?" in corrected
    assert 'name="confirmed"' not in corrected
    assert 'name="reason" required' in corrected


async def test_a_stopped_person_is_seen_to_be_stopped(console: ConsoleServer) -> None:
    """Not on the opt-out list yet: the page names the message to decide, and lifts nothing."""
    (child,) = await receive(console, "tengo 14 años")
    (row,) = await console.services.database.read(
        lambda r: r.all("SELECT p.id FROM prospects AS p JOIN inbound AS i USING (contact)")
    )
    page = (await get_page(console, f"/prospects/{row['id']}", **SPANISH)).document
    assert "Puede que sea menor de edad: no se le escribe hasta que alguien lo decida." in page
    assert f'href="/review/meanings/{child}"' in page
    assert "/lift" not in page
    listed = (await get_page(console, "/prospects", **SPANISH)).document
    assert listed.count("No escribir") == 1


async def test_an_opt_out_may_be_corrected_and_a_listed_word_not(console: ConsoleServer) -> None:
    """The first stands apart in the queue; the second has no answers and says why."""
    (stop,) = await receive(console, "sacame de tu base de datos")
    queue = (await get_page(console, "/pieces/review/meanings/queue")).document
    assert "Read as an opt-out" in queue
    assert "To read" not in queue
    case = (await get_page(console, f"/review/meanings/{stop}")).document
    assert 'data-shortcut="1"' in case
    (_, listed) = await receive(console, "sacame de tu base de datos", "BAJA")
    case = (await get_page(console, f"/review/meanings/{listed}")).document
    assert "it can&#39;t be a misreading" in case
    assert 'data-shortcut="1"' not in case


async def test_what_was_answered_says_by_whom_and_can_be_changed(console: ConsoleServer) -> None:
    """The wrong key was pressed: the message stands among the answered, with the other answers."""
    (vague,) = await receive(console, "el lunes te digo")
    await console.services.classification.classify(vague, Meaning.NO, who="eva")
    queue = (await get_page(console, "/pieces/review/meanings/queue")).document
    assert "To read" not in queue
    assert "Answered lately" in queue
    assert f'id="row-{vague}"' in queue
    shown = (await get_page(console, f"/review/meanings/{vague}")).document
    assert "eva has classified it: No." in shown
    assert "They said no, a person says" in shown
    assert [f'name="meaning" value="{each}"' in shown for each in ("welcome", "no", "neither")] == [
        True,
        False,
        True,
    ]
    spanish = (await get_page(console, f"/review/meanings/{vague}", **SPANISH)).document
    assert "¿Quiso decir otra cosa?" in spanish


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("los voy a denunciar", Meaning.SUPPRESS),
        ("sacame de tu base de datos", Meaning.NEITHER),
        ("se equivocó de número", Meaning.THIRD_PARTY),
        ("mi papá falleció en marzo", Meaning.NEITHER),
    ],
)
async def test_a_final_answer_can_not_be_changed(
    console: ConsoleServer, text: str, meaning: Meaning
) -> None:
    """A case that somebody opens too late offers nothing any more."""
    (message,) = await receive(console, text)
    await console.services.classification.classify(message, meaning, who="eva", reason="I called")
    shown = (await get_page(console, f"/review/meanings/{message}")).document
    assert "eva has classified it" in shown
    assert 'name="meaning"' not in shown
    assert f"/pieces/review/meanings/cases/{message}/" not in shown
    assert "Answered lately" not in (await get_page(console, "/review/meanings")).document


async def test_who_may_only_look_gets_no_keys(short_folder: Path) -> None:
    """A viewer reads; the answers are not offered."""
    viewer = ROLE_SCOPES[Role.VIEWER]
    async with open_console(build_settings(short_folder), viewer) as console:
        shown = (await get_page(console, "/review/meanings")).document
        assert "Nothing to read" in shown
        assert 'data-shortcut="1"' not in shown
