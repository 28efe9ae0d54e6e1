"""How a person works with chats in Chromium: on each size, in each language, by keys or pointer."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace
from playwright.async_api import Locator, Page, expect

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage, Origin
from tests.helpers.client.browser import LAPTOP_VIEWPORT, PHONE_VIEWPORT, wait_until_live
from tests.helpers.client.console import ConsoleServer

FULL: Final = bool(os.environ.get("CONSOLE_FULL"))


@dataclass(frozen=True, slots=True)
class Way:
    """How a number is looked at: size of the screen, language, and how things are pressed."""

    phone: bool
    language: str
    keys: bool

    @property
    def name(self) -> str:
        """Return a name for the test's id."""
        size, press = "phone" if self.phone else "laptop", "keys" if self.keys else "pointer"
        return f"{size}-{self.language}-{press}"

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of a browser context."""
        view = PHONE_VIEWPORT if self.phone else LAPTOP_VIEWPORT
        locale = {"es": "es-AR", "en": "en-GB"}[self.language]
        return {"viewport": view, "locale": locale, "has_touch": self.phone}

    def say(self, english: str, spanish: str) -> str:
        """Return the word of this way's language."""
        return english if self.language == "en" else spanish


EVERY_WAY: Final = [
    Way(*each) for each in itertools.product((False, True), ("es", "en"), (False, True))
]


def look_at(number: int) -> pytest.MarkDecorator:
    """Run a test once on each size; with `CONSOLE_FULL` in every way.

    The fixed table: odd numbers have the laptop in English by keys and the phone in Spanish by
    touch, even ones the laptop in Spanish by mouse and the phone in English by keys.
    """
    odd = number % 2 == 1
    language = ("en", "es") if odd else ("es", "en")
    pair = [Way(phone, language[phone], keys=odd is not phone) for phone in (False, True)]
    return pytest.mark.parametrize("way", EVERY_WAY if FULL else pair, ids=lambda each: each.name)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of one test."""

    phone: str
    name: str


_numbers = itertools.count(1_000)


def make_person(name: str) -> Person:
    """Return somebody new, with a name and a number that nobody else has."""
    number = next(_numbers)
    return Person(f"+549114123{number}", f"{name} {number}")


async def add(console: ConsoleServer, name: str, *texts: str, hours: float = 0) -> Person:
    """Add a prospect who wrote these texts, so many hours ago."""
    person = make_person(name)
    entry = {"phone": person.phone, "name": person.name, "cartera_origen": "feria"}
    made = await console.api.post("/v1/prospects", **entry, permission="relationship")
    assert made.status == 201, made.document
    for text in texts:
        await write(console, person, text, hours=hours)
    return person


async def write(
    console: ConsoleServer,
    person: Person,
    text: str,
    *,
    hours: float = 0,
    session: str = "ventas",
) -> None:
    """Receive a message of somebody; one of hours ago came in while we were offline."""
    at = console.services.clock.now() - timedelta(hours=hours)
    origin = Origin.OFFLINE if hours else Origin.LIVE
    sender, wire_id = parse_identity(person.phone), f"{person.phone}{text}{hours}"
    signal = replace(InboundMessage(wire_id, sender, text, at), origin=origin)
    await console.services.signal_handlers.inbound.handle_inbound(session, signal)


async def find_contact(console: ConsoleServer, person: Person) -> str:
    """Return the contact of a prospect."""
    found: str = await console.services.database.read(
        lambda r: r.value("SELECT contact FROM prospects WHERE phone = ?", (person.phone,))
    )
    return found


async def list_sent(console: ConsoleServer, person: Person) -> list[dict[str, Any]]:
    """Return the messages of ours to somebody."""
    found = (await console.api.get("/v1/messages?limit=200")).document["items"]
    return [each for each in found if each["recipient"] == person.phone]


async def press(page: Page, way: Way, key: str, button: Locator) -> None:
    """Press a key, or the button of that key."""
    if way.keys:
        await expect(button).to_be_visible()
        await page.keyboard.press(key)
    elif way.phone:
        await button.tap()
    else:
        await button.click()


async def push(way: Way, button: Locator) -> None:
    """Press a button that has no letter: by enter on it, or by the pointer."""
    await expect(button).to_be_visible()  # a key does not wait: a closed dialog has its old buttons
    if way.keys:
        await button.press("Enter")
    elif way.phone:
        await button.tap()
    else:
        await button.click()


async def open_chat(page: Page, way: Way, person: Person, tab: str = "waiting") -> None:
    """Open the tab, and the chat of somebody from its list."""
    await page.goto(f"/chats?tab={tab}")
    await wait_until_live(page)
    await push(way, row_of(page, person))
    await expect(page.locator("#chat-name")).to_have_text(person.name)


def row_of(page: Page, person: Person) -> Locator:
    """Return the row of somebody in the list."""
    return page.locator("#chat-list a", has_text=person.name)


async def type_answer(page: Page, way: Way, text: str) -> None:
    """Type an answer into the box."""
    await press(page, way, "r", page.locator("[data-focus]"))
    await expect(page.locator("#chat-text")).to_be_focused()
    await page.keyboard.type(text)


async def send(page: Page, way: Way) -> None:
    """Send what is in the box."""
    await press(page, way, "Control+Enter", page.locator("#chat-box .primary"))
