"""People who are here already: what a second list adds, lowers, and raises by a tick."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.contacts.imports.known_people import KnownPeople, KnownPerson, PermissionEffect
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.suppression import SuppressionService
from storage.journal import SuppressionJournal
from storage.suppressions import SuppressionSource
from tests.helpers.services.imports import ImportServices, open_import_services

ANA, BETO, CARO, DORA, ELSA = (f"+549114123456{n}" for n in range(5))
FIRST = (
    "nombre;teléfono;origen;consentimiento\n"
    f"Ana;{ANA};feria;\nBeto;{BETO};feria;\nCaro;{CARO};feria;no\n"
    f"Dora;{DORA};feria;\nElsa;{ELSA};feria;relación previa\n"
)
SECOND = (
    "nombre;teléfono;correo;consentimiento\n"
    f"Ana L;{ANA};ana@example.org;sí\nBeto;{BETO};;no\nCaro;{CARO};;sí\n"
    f"Dora;{DORA};;sí\nElsa;{ELSA};;\n"
)
TICKED = ImportOptions(statement="form of May", record_consents=True)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[ImportServices]:
    """Five people are here: Caro refused in her list, and Dora opted out since."""
    async with open_import_services(tmp_path) as opened:
        await opened.import_csv(FIRST, name="first.csv")
        suppression = SuppressionService(
            opened.database, SuppressionJournal(tmp_path / "state"), opened.aliases, opened.clock
        )
        await suppression.suppress(
            DORA, source=SuppressionSource.CONTACT, reason="BAJA", who="Dora"
        )
        yield opened


async def preview_second(services: ImportServices, options: ImportOptions) -> KnownPeople:
    """Return what the preview of the second list says of the people who are here."""
    path = services.folder / "second.csv"
    path.write_text(SECOND, encoding="utf-8")
    return (await services.imports.preview(path, options)).known


async def list_permissions(services: ImportServices) -> list[str]:
    """Return the permissions of the five, in order."""
    found = [await services.get_prospect(phone) for phone in (ANA, BETO, CARO, DORA, ELSA)]
    return [each.permission for each in found]


async def test_a_preview_names_who_is_here_and_what_the_list_does_to_them(
    services: ImportServices,
) -> None:
    """Whose permission could be raised first, then who refuses, then who said no before."""
    known = await preview_second(services, ImportOptions(statement="form of May"))
    assert (known.total, known.adding) == (5, 1)
    assert (known.lowered, known.raisable, known.protected) == (1, 1, 2)
    assert [(each.name, each.effect.value) for each in known.people] == [
        ("Ana", "raisable"),
        ("Beto", "lowered"),
        ("Caro", "protected"),
        ("Dora", "protected"),
        ("Elsa", "unchanged"),
    ]
    ana = await services.get_prospect(ANA)
    effect = PermissionEffect.RAISABLE
    assert known.people[0] == KnownPerson(
        2, ana.id, "Ana", ANA, "public_source", effect, ("email",)
    )


async def test_without_evidence_nothing_can_be_raised(services: ImportServices) -> None:
    """A bare yes is no evidence, and there is nothing to tick."""
    known = await preview_second(services, ImportOptions())
    assert (known.raisable, known.protected) == (0, 0)


async def test_a_second_list_raises_nothing_by_itself(services: ImportServices) -> None:
    """A no counts, a yes does not; what was missing is added."""
    await services.import_csv(SECOND, options=ImportOptions(statement="form of May"))
    assert await list_permissions(services) == [
        *("public_source", "refused", "refused", "public_source", "relationship")
    ]
    ana = await services.get_prospect(ANA)
    assert (ana.name, ana.email) == ("Ana", "ana@example.org")


async def test_the_tick_raises_a_yes_with_evidence_and_never_over_a_no(
    services: ImportServices,
) -> None:
    """Ana agreed; Caro's refusal and Dora's opt-out stay, and so does what is on record of them."""
    await services.import_csv(SECOND, options=TICKED)
    assert await list_permissions(services) == [
        *("opted_in", "refused", "refused", "public_source", "relationship")
    ]
    assert (await preview_second(services, TICKED)).raisable == 0


async def test_the_tick_is_about_people_who_were_here_before_the_list(tmp_path: Path) -> None:
    """Who is in one list twice keeps what the first record gave."""
    async with open_import_services(tmp_path) as services:
        rows = f"Ana;{ANA};feria;\nAna;{ANA};feria;sí\n"
        header = "nombre;teléfono;origen;consentimiento\n"
        await services.import_csv(header + rows, options=TICKED)
        assert (await services.get_prospect(ANA)).permission == "public_source"


async def test_a_refusal_between_preview_and_import_counts(services: ImportServices) -> None:
    """What was looked at is a plan; whether a yes may count is decided when it is written."""
    assert (await preview_second(services, TICKED)).raisable == 1
    no = f"nombre;teléfono;consentimiento\nAna;{ANA};no\n"
    await services.import_csv(no, name="no.csv")
    await services.import_csv(SECOND, options=TICKED)
    assert (await services.get_prospect(ANA)).permission == "refused"
