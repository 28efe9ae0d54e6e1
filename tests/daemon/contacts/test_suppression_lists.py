"""Suppression lists: every format, both numbers of a cell, and our own export elsewhere."""

from __future__ import annotations

import contextlib
import shutil
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from daemon.contacts.list_process import (
    ListRefusal,
    OpenedList,
    RecordBatch,
    answer_request,
)
from daemon.contacts.number_lists import (
    NumberListOptions,
    NumberListProcess,
    NumberListRequest,
    NumberListSummary,
    NumberRecord,
    read_number_list,
)
from daemon.contacts.suppression_lists import SuppressionImportResult, SuppressionLists
from daemon.errors import ImportRejected
from daemon.plugin_manager import Plugins
from daemon.settings import DaemonSettings, Settings
from storage.state_folder import StateFolder
from storage.suppressions import SuppressionSource
from tests.helpers.plugins import block_all_but
from tests.helpers.services.contacts import ContactServices, open_contact_services
from tests.helpers.services.imports import SYNC_ONLY_SETTINGS

ANA = "+5491141234567"
LID = "123456789012345@lid"
LISTS: Final = Path(__file__).parents[2] / "data" / "lists"
CASES: Final[list[dict[str, Any]]] = [
    case
    for case in tomllib.loads((LISTS / "expected.toml").read_text(encoding="utf-8"))["case"]
    if case["kind"] == "suppressions"
]


class InProcessNumberReader(NumberListProcess):
    """Runs the worker's code in this process, since starting one takes half a second."""

    @contextlib.asynccontextmanager
    async def open_file(
        self, request: NumberListRequest
    ) -> AsyncIterator[OpenedList[NumberListSummary, NumberRecord]]:
        """Yield the answers of the worker's own code."""
        answers = answer_request(request, read_number_list)
        opened = next(answers)
        if isinstance(opened, ListRefusal):
            raise ImportRejected(opened.sentence, hint=opened.hint)
        assert isinstance(opened, NumberListSummary)

        async def batches() -> AsyncIterator[tuple[NumberRecord, ...]]:
            for answer in answers:
                assert isinstance(answer, RecordBatch)
                yield answer.records

        yield OpenedList(opened, batches())


def build_lists(
    people: ContactServices, *, child: NumberListProcess | None = None
) -> SuppressionLists:
    """Return the lists over the services' suppression."""
    plugins = Plugins()
    plugins.load(blocked=block_all_but("sync"))
    settings = msgspec.structs.replace(
        SYNC_ONLY_SETTINGS, daemon=DaemonSettings(default_region="AR")
    )
    assert isinstance(settings, Settings)
    return SuppressionLists(
        people.suppression, plugins, settings, list_process=child or InProcessNumberReader()
    )


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[ContactServices]:
    """Open the services of an installation."""
    async with open_contact_services(tmp_path / "state") as opened:
        yield opened


async def import_text(
    people: ContactServices, text: str, name: str = "list.csv", **options: str
) -> SuppressionImportResult:
    """Import a list of this text."""
    path = people.folder.parent / name
    path.write_text(text, encoding="utf-8")
    return await build_lists(people).import_list(
        path, NumberListOptions(**options), reason="No molestar", who="eva"
    )


async def is_suppressed(people: ContactServices, target: str) -> bool:
    """Return whether a number or hidden id is suppressed."""
    return bool(await people.suppression.check(target))


async def count_suppressed_lines(people: ContactServices) -> int:
    """Return how many lines are suppressed: the spellings of one are one."""
    records = [record async for record in people.suppression.iterate_records()]
    return len({record.alias_hash for record in records})


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["file"]))
async def test_what_each_list_suppresses(people: ContactServices, case: dict[str, Any]) -> None:
    """These and nobody else; what is not taken is said by its record, and a bad file refused."""
    lists = build_lists(people)
    path = LISTS / case["file"]
    if "refused" in case:
        with pytest.raises(ImportRejected, match=case["refused"]):
            await lists.import_list(path, NumberListOptions(), reason="list", who="eva")
        assert await count_suppressed_lines(people) == 0
        return
    done = await lists.import_list(path, NumberListOptions(), reason="list", who="eva")
    assert done.added == len(case["suppressed"])
    for target in case["suppressed"]:
        assert await is_suppressed(people, target), target
    hashes = sum(
        1 if "@" in target else len(people.aliases.from_phone(target))
        for target in case["suppressed"]
    )
    assert await count_suppressed_lines(people) == hashes
    not_taken = case.get("not_taken", ())
    assert [each.record for each in done.rejected] == [each["number"] for each in not_taken]
    for rejected, wanted in zip(done.rejected, not_taken, strict=True):
        assert wanted.get("reason", rejected.reason_code) == rejected.reason_code


async def test_bad_records_are_rejected_by_number_and_known_ones_counted(
    people: ContactServices,
) -> None:
    """The header is record 1; an empty record is left out and keeps its number."""
    done = await import_text(
        people,
        "nombre;teléfono\nAna;011 15 4123-4567\nX;hola\n;\nAna;+54 11 4123 4567\nB;+525512345678\n",
    )
    assert (done.added, done.already) == (2, 1)
    assert [each.record for each in done.rejected] == [3]
    assert done.phones == ("teléfono",)
    assert await is_suppressed(people, ANA)


async def test_every_phone_column_counts(people: ContactServices) -> None:
    """Mobile and landline of whoever asked to be left alone are both left alone."""
    done = await import_text(people, "celular,telefono trabajo\n+5491141234567,+541149998877\n")
    assert done.added == 2
    assert await is_suppressed(people, "+541149998877")


async def test_half_a_cell_is_taken_and_said(people: ContactServices) -> None:
    """What can be read counts, and what can't is reported."""
    done = await import_text(people, "telefono\n+5491141234567 / 11 4555-21119\n")
    (rejected,) = done.rejected
    assert (done.added, rejected.record, rejected.partly) == (1, 2, True)


async def test_a_plain_column_of_numbers_is_a_list(people: ContactServices) -> None:
    """No header is needed, and hidden ids are taken as they are."""
    assert (await import_text(people, f"{ANA}\n{LID}\n")).added == 2
    assert await is_suppressed(people, LID)


async def test_columns_without_names_are_told_apart_by_what_stands_in_them(
    people: ContactServices,
) -> None:
    """One column with numbers is found; of two, a person says which."""
    assert (await import_text(people, f"Ana;{ANA}\nBeto;+5491141234568\n")).added == 2
    with pytest.raises(ImportRejected, match="--phone"):
        await import_text(people, "1145552199;+5491145552109\n1145552198;+5491145552110\n")
    done = await import_text(
        people, "1145552199;+5491145552109\n1145552198;+5491145552110\n", phone="column 2"
    )
    assert done.added == 2
    assert not await is_suppressed(people, "+541145552199")


@pytest.mark.parametrize("text", ["", "phone\n", "phone\n\n\n"])
async def test_an_empty_list_is_said(people: ContactServices, text: str) -> None:
    """A wrong file must not look like success."""
    with pytest.raises(ImportRejected):
        await import_text(people, text)


async def test_our_own_export_loses_nobody_elsewhere(
    people: ContactServices, tmp_path: Path
) -> None:
    """Numbers go over with reason and source; a hash goes with its key, or is counted and said."""
    await people.resolve_contact(ANA)
    await people.suppression.suppress(
        ANA, source=SuppressionSource.CONTACT, reason="BAJA", who="contact"
    )
    await import_text(people, "telefono\n+525512345678\n")  # no contact: only hashes are stored
    ours = await build_lists(people).export_list()
    assert ours.startswith("alias,source,reason,at,alias_hash,key\n")
    path = tmp_path / "export.csv"
    path.write_text(ours, encoding="utf-8")
    async with open_contact_services(tmp_path / "other") as others:
        done = await build_lists(others).import_list(
            path, NumberListOptions(), reason="moved", who="eva"
        )
        # Each spelling has a row: the first of a line adds all of them.
        assert (done.added, done.already, done.other_key) == (1, 1, 2)
        (first, *_) = await others.suppression.check(ANA)
        assert (first.source, first.reason) == (SuppressionSource.CONTACT, "BAJA")
        assert not await is_suppressed(others, "+525512345678")
    key = StateFolder(people.folder).suppression_key
    moved = StateFolder(tmp_path / "moved")
    async with open_contact_services(tmp_path / "moved"):
        pass
    shutil.copyfile(key, moved.suppression_key)
    async with open_contact_services(tmp_path / "moved") as others:
        done = await build_lists(others).import_list(
            path, NumberListOptions(), reason="moved", who="eva"
        )
        assert done.other_key == 0
        assert await is_suppressed(others, "+525512345678")


async def test_the_real_child_reads_a_list(people: ContactServices) -> None:
    """Its answers cross the process border."""
    lists = build_lists(people, child=NumberListProcess())
    done = await lists.import_list(
        LISTS / "supp_multi.csv", NumberListOptions(), reason="list", who="eva"
    )
    assert done.added == 6


async def test_a_suppressed_line_stays_suppressed_when_a_list_brings_it_again(
    people: ContactServices,
) -> None:
    """Each in another spelling than the one that was suppressed."""
    case = tomllib.loads((LISTS / "expected.toml").read_text(encoding="utf-8"))["case"][0]
    assert case["file"] == "alias_readd.csv"
    await import_text(people, "\n".join(case["suppressed_before"]))
    for record in case["records"]:
        contact = await people.resolve_contact(record["phone"])
        assert await is_suppressed(people, contact)
