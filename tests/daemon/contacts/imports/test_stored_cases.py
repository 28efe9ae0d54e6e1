"""Lists as people send them, imported: who is suppressed stays so, and a no wins in any order."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.suppression import SuppressionService
from storage import suppressions
from storage.journal import SuppressionJournal
from storage.suppressions import SuppressionSource
from tests.helpers.services.imports import ImportServices, open_import_services

LISTS: Final = Path(__file__).parents[3] / "data" / "lists"
CASES: Final[list[dict[str, Any]]] = tomllib.loads(
    (LISTS / "expected.toml").read_text(encoding="utf-8")
)["case"]


async def import_case(services: ImportServices, case: dict[str, Any], content: bytes) -> None:
    """Import a list with the options of its case."""
    path = services.folder / case["file"]
    path.write_bytes(content)
    options = msgspec.convert(case.get("options", {}), ImportOptions)
    await services.imports.run(path, options, "ana")


@pytest.mark.parametrize(
    "case", [each for each in CASES if "suppressed_before" in each], ids=lambda each: each["file"]
)
async def test_who_is_suppressed_stays_so(tmp_path: Path, case: dict[str, Any]) -> None:
    """Whatever spelling of the line the list has."""
    async with open_import_services(tmp_path) as services:
        journal = SuppressionJournal(tmp_path / "state")
        suppression = SuppressionService(
            services.database, journal, services.aliases, services.clock
        )
        await suppression.suppress_all(
            case["suppressed_before"],
            source=SuppressionSource.IMPORT,
            reason="opted out",
            who="ana",
        )
        await import_case(services, case, (LISTS / case["file"]).read_bytes())
        for wanted in case["records"]:
            prospect = await services.get_prospect(wanted["phone"])
            assert await services.database.read(
                partial(suppressions.is_contact_suppressed, contact=prospect.contact)
            )


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize(
    "case", [each for each in CASES if "prospects" in each], ids=lambda each: each["file"]
)
async def test_one_line_is_one_prospect_and_the_no_wins(
    tmp_path: Path, case: dict[str, Any], *, backwards: bool
) -> None:
    """In the order of the file, and in the other one."""
    header, *rows = (LISTS / case["file"]).read_bytes().splitlines(keepends=True)
    async with open_import_services(tmp_path) as services:
        await import_case(services, case, header + b"".join(rows[::-1] if backwards else rows))
        found = await services.list_prospects()
        assert len(found) == len(case["prospects"])
        for wanted in case["prospects"]:
            prospect = await services.get_prospect(wanted["line"])
            assert prospect.permission == wanted["permission"]
