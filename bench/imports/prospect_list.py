"""Writes a list of made-up prospects as an operator would have it: CSV, mobiles, some twice."""

from __future__ import annotations

import csv
import random
from pathlib import Path

HEADER = ("nombre", "celular", "rubro", "consentimiento", "evidencia", "fecha", "notas")
_TRADES = ("Taller mecánico", "Panadería", "Ferretería", "Kiosco", "Peluquería", "Librería")
_NAMES = ("Ana Núñez", "José Muñoz", "María Peña", "Juan Ibáñez", "Sofía Acuña", "Raúl Gómez")
_CONSENTS = ("", "", "sí", "no", "cliente")
_REPEATED_EVERY = 20
"""One record in so many has the number of an earlier one, written differently."""


def write_prospect_list(path: Path, count: int) -> None:
    """Write ``count`` records, of which 5 % repeat a number."""
    dice = random.Random(11)  # noqa: S311 - the same list in every run
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(count):
            repeats = number % _REPEATED_EVERY == _REPEATED_EVERY - 1
            line = 40_000_000 + (dice.randrange(number) if repeats else number)
            form = "+5411{}" if repeats else "+54911{}"
            writer.writerow(
                (
                    f"{dice.choice(_NAMES)} {number}",
                    form.format(line),
                    dice.choice(_TRADES),
                    dice.choice(_CONSENTS),
                    "formulario web" if number % 3 else "",
                    f"{dice.randint(1, 28):02}/{dice.randint(1, 9):02}/2026",
                    "",
                )
            )
