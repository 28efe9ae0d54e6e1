"""A day in the life of the console: thirty people, from a list to a delivery, on a Spanish phone.

A real daemon on the simulated channel, whose first user is there; no command is run. `make life`
prints what each step took, in taps and seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, FilePayload, Locator, Page, expect

from tests.helpers.client.browser import (
    PHONE_VIEWPORT,
    is_too_wide,
    launch_chromium,
    wait_until_live,
)
from tests.helpers.client.process import DaemonProcess, run_daemon

pytestmark = pytest.mark.slow

SETTINGS: Final = """
[daemon]
state_dir = "{folder}/state"
port = 0
default_region = "AR"
[clock]
start = {start}
rate = 10.0
[pacing]
new_chat_gap_minutes = 0
new_chats_first_week = 20
number_check_min_age_days = 0
number_checks = 100
[simulated]
script = "{folder}/script.json"
"""
TODAY: Final = "2026-03-03T14:00:00Z"
TOMORROW: Final = "2026-03-04T11:00:00Z"
WANTS_IT: Final = "Sí, me interesa. ¿Cuánto sale?"
ASKS: Final = "¿De dónde sacaron mi número?"
PASSWORD: Final = "correct horse battery staple"
COMPLAINS: Final = "Los voy a denunciar"
REPLIES: Final = {
    "+5491144440100": WANTS_IT,
    "+5491144440101": ASKS,
    "+5491144440102": COMPLAINS,
}
PEOPLE: Final = (
    "Paula Núñez;11 4444-0100;Sí",
    "GÓMEZ, Ángela;11 4444-0101;Sí",
    "Íñigo Sosa;011 15 4444-0102;Sí",
    *(f"Vecino {n};11 4444-01{n:02};{'x' if n == 9 else 'Sí'}" for n in range(3, 14)),
    *(f"Vecina {n};+54 9 11 4444-01{n};{'ya es cliente' if n < 20 else ''}" for n in range(14, 28)),
    "Sin número;no tiene;Sí",
    "Dos líneas;4555-0101 / 4555-0102;",
)
HEADER: Final = "Nombre;Celular;¿Acepta WhatsApp?"
PICTURES: Final = os.environ.get("LIFE_PICTURES", "")
"""A folder for a picture of each step, if anybody wants to look."""


@dataclass
class Walk:
    """What a person does on the phone, and what each step takes them."""

    page: Page
    taps: int = 0
    steps: list[tuple[str, int, float]] = field(default_factory=list)

    async def tap(self, target: Locator) -> None:
        """Tap on something."""
        self.taps += 1
        await target.tap()

    async def open_place(self, name: str) -> None:
        """Open a place by the bar of the phone, or by what is behind «Más»."""
        bar = self.page.locator("#sidebar")
        link = bar.locator("a:visible", has_text=re.compile(rf"^\s*{name}"))
        if not await link.count():
            await self.tap(bar.locator("summary:visible"))
        await self.tap(link.first)
        await wait_until_live(self.page)

    @contextlib.asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Count the taps and the seconds of a step; nothing may overflow at its end."""
        taps, began = self.taps, time.monotonic()
        yield
        self.steps.append((name, self.taps - taps, time.monotonic() - began))
        if PICTURES:
            path = Path(PICTURES) / f"{len(self.steps):02}.png"
            await self.page.screenshot(path=path, full_page=True)
        assert not await is_too_wide(self.page), name

    def write_table(self) -> str:
        """Return the steps as a table."""
        rows = [f"{taps:>5} {seconds:>8.1f}  {name}" for name, taps, seconds in self.steps]
        whole = sum(seconds for *_, seconds in self.steps)
        total = f"{self.taps:>5} {whole:>8.1f}  in all"
        return "\n".join([" taps  seconds  step", *rows, total])


def write_script(folder: Path, replies: Mapping[str, str]) -> None:
    """Say who answers each message of ours, by their number, with which words."""
    contacts = {phone: {"reply": {"text": text, "after": 1}} for phone, text in replies.items()}
    defaults = {"ack_delay": 0.1, "deliver_after": 0.1, "read_after": 0.1}
    script = {"scan_after": 4, "defaults": defaults, "contacts": contacts}
    (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon at eleven in the morning, without a phone; three people will answer."""
    write_script(tmp_path, REPLIES)
    with run_daemon(tmp_path, SETTINGS.format(folder=tmp_path, start=TODAY)) as started:
        started.client.post("users", name="leo", role="admin", password=PASSWORD)
        yield started


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Start a Chromium."""
    async with launch_chromium() as started:
        yield started


async def sign_in(walk: Walk, daemon: DaemonProcess) -> None:
    """Sign in by name and password, where the console is now; Today comes."""
    page = walk.page
    await page.goto(daemon.client.get("status")["addresses"]["http"])
    await page.locator("[name=user]").fill("leo")
    await page.locator("[name=password]").fill(PASSWORD)
    await walk.tap(page.get_by_role("button", name="Entrar"))
    await wait_until_live(page)


async def link_a_phone(walk: Walk) -> None:
    """Add a phone, and scan its code."""
    page = walk.page
    await walk.open_place("Teléfonos")
    await walk.tap(page.get_by_role("button", name="Agregar", exact=False).first)
    await page.locator("#dialog [name=name]").fill("ventas")
    await page.locator("#dialog [name=channel]").select_option("simulated")
    await walk.tap(page.locator("#dialog .primary"))
    await expect(page.locator('#session-ventas [data-state="ready"]')).to_be_visible()


async def import_people(walk: Walk) -> None:
    """Choose the file, answer its doubts, and import it."""
    page = walk.page
    await walk.open_place("Prospectos")
    await walk.tap(page.get_by_role("link", name="Importaciones"))
    content = "\r\n".join([HEADER, *PEOPLE, ""]).encode("cp1252")
    file = FilePayload(name="feria de mayo.csv", mimeType="text/csv", buffer=content)
    await page.set_input_files("#import input[type=file]", files=[file])
    walk.taps += 2  # the button, and the file in the phone's own chooser
    preview = page.locator("#preview")
    await expect(preview.locator("#for-statement")).to_be_visible()
    for word, answer in (("x", "nothing"), ("ya es cliente", "relationship")):
        await preview.locator(f"[name='word.{word}']").select_option(answer)
        walk.taps += 2
    await preview.locator("#for-origen_en_palabras").fill("la feria de mayo")
    await preview.locator("#for-statement").fill("marcaron la casilla del formulario")
    await expect(page.locator("[data-import]")).to_be_enabled()
    await walk.tap(page.locator("[data-import]"))
    await page.wait_for_url("**/prospects/imports/imp_*")
    await expect(page.locator(".reject-row")).to_have_count(2)


async def validate_people(walk: Walk) -> None:
    """Check every number on WhatsApp, as one selection."""
    page = walk.page
    await walk.open_place("Prospectos")
    await walk.tap(page.locator("[data-tick]").first)
    await walk.tap(page.locator("[data-select-all]"))
    await walk.tap(page.locator("[data-selected=check]"))
    await walk.tap(page.locator("#dialog .primary"))
    await expect(page.locator("#selection")).to_be_hidden()


async def write_to(walk: Walk, name: str) -> None:
    """Write to somebody by hand, who agreed to it."""
    page = walk.page
    await walk.open_place("Hoy")
    await walk.tap(page.locator("main a[href='/messages/new']"))
    await page.locator("#search").fill(name.partition(" ")[0])
    await walk.tap(page.locator("#people a", has_text=name).first)
    await page.locator("textarea").fill(f"Hola, soy Leo de la feria de mayo. ¿Hablamos, {name}?")
    await expect(page.locator("#verdict [data-outlook=now]")).to_be_visible()
    await walk.tap(page.locator("button.primary[form=new-message]"))
    await expect(page.locator("#sent")).not_to_be_empty()


async def read_answers(walk: Walk) -> None:
    """Open whoever waits, and say that Paula is interested."""
    page = walk.page
    await walk.open_place("Chats")
    await walk.tap(page.locator("#chat-list a", has_text="Paula"))
    await expect(page.locator("#talk-lines")).to_contain_text(WANTS_IT)
    await walk.tap(page.get_by_role("button", name="Interesado", exact=False).first)
    await expect(page.locator("#toasts")).to_contain_text("Anotado")


async def handle_complaint(walk: Walk) -> None:
    """Read the complaint, and opt them out."""
    page = walk.page
    await walk.open_place("Revisión")
    await walk.tap(page.locator("main nav a", has_text="¿Qué quiso decir?"))
    await walk.tap(page.locator("#review-queue a", has_text="Íñigo"))
    await expect(page.locator("#case mark")).to_have_text(COMPLAINS)
    await walk.tap(page.get_by_role("button", name="No quiere, y no escribirle más"))
    await expect(page.locator(".toast").last).to_contain_text("Dado de baja")


async def deliver(walk: Walk) -> None:
    """Add a client with terms, record that Paula may be handed over, and freeze the delivery."""
    page = walk.page
    await walk.open_place("Entregas")
    await page.locator("main [name=name]").fill("Dentalia SA")
    await walk.tap(page.get_by_role("button", name="Agregar cliente"))
    await walk.tap(page.locator("[data-dialog$='/terms']"))
    await page.locator("#dialog [name=price_cents]").fill("4500")
    await walk.tap(page.locator("#dialog .primary"))
    await expect(page.locator("a[href^='/deliveries/new']")).to_be_visible()
    await walk.open_place("Chats")
    await walk.tap(page.locator("main nav a", has_text="Todos"))
    await walk.tap(page.locator("#chat-list a", has_text="Paula"))
    await walk.tap(page.locator(".sharing [data-dialog*='/share/']"))
    await walk.tap(page.locator("#dialog [name=allowed][value=true]"))
    await walk.tap(page.locator("#dialog .primary"))
    await expect(page.locator(".sharing [data-state=allowed]")).to_be_visible()
    await walk.open_place("Entregas")
    await walk.tap(page.locator("a[href^='/deliveries/new']"))
    await walk.tap(page.locator("#freeze .primary"))
    await walk.tap(page.locator("main a[href^='/deliveries/del_']"))
    await expect(page.locator("#row-1")).to_contain_text("Paula Núñez")
    async with page.expect_download() as started:
        await walk.tap(page.get_by_role("link", name="XLSX", exact=False).first)
    assert (await started.value).suggested_filename.endswith(".xlsx")


async def look_at_the_morning(walk: Walk) -> None:
    """Today says that the phone is there, how the night was, and since when somebody waits."""
    page = walk.page
    lines = page.locator("main")
    await expect(lines.get_by_role("link", name=re.compile("Teléfono.*ventas"))).to_be_visible()
    await expect(lines.get_by_role("link", name=re.compile("^Noche"))).to_be_visible()
    waiting = lines.get_by_role("link", name=re.compile("Esperan.*1, desde ayer"))
    await expect(waiting).to_be_in_viewport()
    await expect(lines).to_contain_text("1 mensaje para leer")
    await walk.tap(waiting)
    await expect(page.locator("#chat-name")).to_have_text("GÓMEZ, Ángela")


async def answer_about_the_origin(walk: Walk) -> None:
    """Tell Ángela where her number is from, in the words of the import; then nobody waits."""
    page = walk.page
    await walk.tap(page.locator("#write-origin"))
    await expect(page.locator("#chat-text")).to_have_value(re.compile("la feria de mayo"))
    await walk.tap(page.locator("#chat-box .primary"))
    await expect(page.locator("#talk-lines .ours").last).to_contain_text("la feria de mayo")
    await walk.open_place("Hoy")
    await expect(page.get_by_role("link", name=re.compile("Esperan"))).to_contain_text("nadie")


async def test_a_day_without_a_command(daemon: DaemonProcess, browser: Browser) -> None:
    """Imported, checked, written to, answered, opted out, delivered; and the next morning."""
    phone: dict[str, Any] = {"viewport": PHONE_VIEWPORT, "has_touch": True, "locale": "es-AR"}
    context = await browser.new_context(**phone, accept_downloads=True)
    walk = Walk(await context.new_page())
    async with walk.step("entrar"):
        await sign_in(walk, daemon)
    for name, doing in (
        ("vincular el teléfono", link_a_phone),
        ("importar treinta personas", import_people),
        ("verificar los números", validate_people),
    ):
        async with walk.step(name):
            await doing(walk)
    for name in ("Paula Núñez", "GÓMEZ, Ángela", "Íñigo Sosa"):
        async with walk.step(f"escribirle a {name}"):
            await write_to(walk, name)
    for name, doing in (
        ("leer las respuestas y clasificarlas", read_answers),
        ("atender una queja: baja", handle_complaint),
        ("entregar a un cliente", deliver),
    ):
        async with walk.step(name):
            await doing(walk)
    assert daemon.stop() == 0
    daemon.settings = SETTINGS.format(folder=daemon.folder, start=TOMORROW)
    write_script(daemon.folder, {})
    daemon.start()
    async with walk.step("a la mañana siguiente, Hoy"):
        await sign_in(walk, daemon)
        await look_at_the_morning(walk)
    async with walk.step("responder de dónde es su número"):
        await answer_about_the_origin(walk)
    print(f"\n{walk.write_table()}")
    await context.close()
    assert daemon.stop() == 0
