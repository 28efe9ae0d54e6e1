"""What an afternoon's script does: sqlite-utils and phonenumbers, and no evidence is kept."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import phonenumbers
from sqlite_utils import Database

from bench.processes import serve_orders

_BATCH_SIZE = 500


def run_order(*, path: str, folder: str) -> dict[str, object]:
    """Import the list into a new database; return the seconds that it took."""
    begun, cpu = time.perf_counter(), time.process_time()
    file = Path(folder) / "naive.db"
    database = Database(file)
    database["prospects"].upsert_all(  # type: ignore[union-attr]
        _iterate_prospects(Path(path)), pk="phone", batch_size=_BATCH_SIZE
    )
    wall = time.perf_counter() - begun
    stored = database["prospects"].count
    database.close()
    return {
        "wall": wall,
        "cpu": time.process_time() - cpu,
        "prospects": stored,
        "bytes": file.stat().st_size,
        "rss": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
    }


def _iterate_prospects(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            number = phonenumbers.parse(row["celular"], "AR")
            if phonenumbers.is_valid_number(number):
                phone = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
                yield {
                    "phone": phone,
                    "name": row["nombre"],
                    "trade": row["rubro"],
                    "consent": row["consentimiento"],
                    "date": row["fecha"],
                }


if __name__ == "__main__":
    serve_orders(run_order)
