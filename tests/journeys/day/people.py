"""Forty people of a working day: what each does when the first message comes, in real words."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.protobufs import Message
from tests.virtual_whatsapp.server import VirtualWhatsApp

CORPUS = Path(__file__).parents[2] / "data" / "contact_requests.csv"


class Reaction(StrEnum):
    """What somebody does; the value is the corpus's word for what they write, if they write."""

    ASKS = "question"
    WANTS_IT = "interested"
    REFUSES = "declined"
    COMPLAINS = "complaint"
    OPTS_OUT = "opt_out"
    SENDS_VOICE_NOTE = "voice note"
    SENDS_STICKER = "sticker"
    SAYS_NOTHING = "nothing"


HOW_MANY: Mapping[Reaction, int] = MappingProxyType(
    {
        Reaction.ASKS: 8,
        Reaction.WANTS_IT: 8,
        Reaction.REFUSES: 6,
        Reaction.COMPLAINS: 3,
        Reaction.OPTS_OUT: 7,
        Reaction.SENDS_VOICE_NOTE: 2,
        Reaction.SENDS_STICKER: 2,
        Reaction.SAYS_NOTHING: 4,
    }
)
"""Forty in all."""
NAMES = ("Ana", "Beto", "Carla", "Diego", "Elsa", "Fede", "Gabi", "Hugo", "Inés", "Juan")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the list: who writes to them, and what they do; ``words`` are what they write."""

    name: str
    contact: Contact
    phone: Phone
    reaction: Reaction
    words: str

    @property
    def content(self) -> str | Any:  # noqa: ANN401 - a protobuf, generated at run time
        """What they send: their words, or a voice note or sticker; "" for nothing."""
        if self.reaction is Reaction.SENDS_VOICE_NOTE:
            message = Message()
            message.audioMessage.PTT = True
            return message
        if self.reaction is Reaction.SENDS_STICKER:
            message = Message()
            message.stickerMessage.URL = "https://example.invalid/sticker"
            return message
        return self.words


def invite_people(whatsapp: VirtualWhatsApp, phones: list[Phone], rng: Random) -> list[Person]:
    """Add the people of a day to a WhatsApp, in a random order, in turn for each phone."""
    reactions = [each for each, count in HOW_MANY.items() for _ in range(count)]
    rng.shuffle(reactions)
    words = _read_words()
    people = []
    for number, reaction in enumerate(reactions):
        name = f"{NAMES[number % len(NAMES)]} {number:02}"
        said = words.get(reaction, [""])
        rng.shuffle(said)
        contact = whatsapp.add_contact(f"+549115555{1000 + number}", name)
        people.append(Person(name, contact, phones[number % len(phones)], reaction, said.pop()))
    return people


def _read_words() -> dict[str, list[str]]:
    """Return what people really wrote, in Spanish, by what it asks of us."""
    found: dict[str, list[str]] = {}
    with CORPUS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["lang"] == "es":
                found.setdefault(row["expected"], []).append(row["text"])
    return found | {each: [""] * 4 for each in ("voice note", "sticker", "nothing")}
