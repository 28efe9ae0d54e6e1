"""Imports: duplicates, repetition, interruption, and a child process that can't be trusted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from daemon.contacts.imports import process
from daemon.contacts.imports.doubts import (
    ConsentWordCount,
    ImportDoubts,
    OpenDates,
    OpenMobiles,
)
from daemon.contacts.imports.options import ImportOptions, ImportPermission
from daemon.contacts.imports.process import ImportProcess, answer_import
from daemon.contacts.imports.report import EarlierImport
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.list_process import ListRefusal, RecordBatch
from daemon.errors import ImportRejected, NotFound
from daemon.gate.consent import Permission
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.dates import DateOrder
from daemon.lists.phone_cells import MobileAnswer
from daemon.worker_protocol import Answer, End, encode_frame
from storage import evidence, imports, prospect_fields
from storage.evidence import Evidence, EvidenceKind
from storage.imports import ImportRowOutcome
from storage.tx import Tx
from tests.helpers.services.imports import (
    IMPORTED_AT,
    SYNC_ONLY_SETTINGS,
    ImportServices,
    open_import_services,
)

ANA = "+5491141234567"
OTHER = "+5491141234568"
ANA_LANDLINE = "+541141234567"
HEADER = "nombre;teléfono;origen;consentimiento;último contacto\n"


@pytest.fixture
async def import_services(tmp_path: Path) -> AsyncIterator[ImportServices]:
    """Open the import room for one test."""
    async with open_import_services(tmp_path) as opened:
        yield opened


async def known(import_services: ImportServices, phone: str) -> list[Evidence]:
    """Return the evidence about a number, newest first."""
    prospect = await import_services.get_prospect(phone)
    return await import_services.database.read(
        lambda reader: evidence.list_contact_evidence(reader, prospect.contact)
    )


def counted(counts: object) -> dict[str, int]:
    """Return the counts that are not 0, by word."""
    assert isinstance(counts, dict)
    return {outcome.value: n for outcome, n in counts.items() if n}


async def test_a_prospect_is_scored_and_its_evidence_says_where_from(
    import_services: ImportServices,
) -> None:
    """Name, origin, permission with its source, date and score are there after the import."""
    await import_services.import_csv(HEADER + f"Ana;{ANA};feria;relación previa;2026-11-20\n")
    ana = await import_services.get_prospect(ANA)
    assert (ana.name, ana.cartera_origen, ana.permission) == ("Ana", "feria", "relationship")
    assert ana.score_contactabilidad == 40
    assert ana.record == 2
    (piece,) = await known(import_services, ANA)
    assert (piece.kind, piece.value, piece.quote) == (
        EvidenceKind.PERMISSION,
        "relationship",
        "relación previa",
    )
    assert piece.source == "list.csv, record 2, from feria"


async def test_an_opt_in_keeps_how_it_was_obtained(import_services: ImportServices) -> None:
    """With the operator's statement a yes is an opt-in, and the evidence holds the statement."""
    options = ImportOptions(statement="signed form at the fair of May")
    await import_services.import_csv(HEADER + f"Ana;{ANA};feria;sí;\n", options=options)
    assert (await import_services.get_prospect(ANA)).permission == Permission.OPTED_IN
    (piece,) = await known(import_services, ANA)
    assert piece.source.endswith("from feria: signed form at the fair of May")


async def test_a_yes_without_evidence_is_a_public_source(import_services: ImportServices) -> None:
    """And the record says so."""
    report = await import_services.import_csv(HEADER + f"Ana;{ANA};feria;sí;\n")
    assert (await import_services.get_prospect(ANA)).permission == Permission.PUBLIC_SOURCE
    (record,) = await import_services.database.read(
        lambda reader: imports.list_import_rows(reader, report.id)
    )
    assert record.reason_code == "consent_without_evidence"


@pytest.mark.parametrize(
    ("first", "second", "permission"),
    [
        ("relación previa", "no", Permission.REFUSED),
        ("", "relación previa", Permission.PUBLIC_SOURCE),
        ("", "sí", Permission.PUBLIC_SOURCE),
        ("no", "relación previa", Permission.REFUSED),
        ("relación previa", "", Permission.RELATIONSHIP),
        ("ninguno", "", Permission.NONE),
    ],
)
async def test_a_duplicate_can_refuse_and_not_raise(
    import_services: ImportServices, first: str, second: str, permission: Permission
) -> None:
    """A refusal wins wherever it stands; nothing else changes what the first record gave."""
    options = ImportOptions(statement="form")
    rows = f"Ana;{ANA};feria;{first};\nAna L;{ANA_LANDLINE};otra;{second};\n"
    report = await import_services.import_csv(HEADER + rows, options=options)
    assert counted(report.counts) == {"accepted": 1, "duplicate": 1}
    ana = await import_services.get_prospect(ANA)
    assert (ana.permission, ana.name, ana.cartera_origen) == (permission, "Ana", "feria")
    assert len(await known(import_services, ANA)) == 2


async def test_a_mobile_form_upgrades_a_landline_form(import_services: ImportServices) -> None:
    """The prospect is reachable from then on; what became of the first record stays told."""
    rows = f"Ana;{ANA_LANDLINE};feria;;\nAna;{ANA};feria;;\n"
    report = await import_services.import_csv(HEADER + rows)
    ana = await import_services.get_prospect(ANA_LANDLINE)
    assert (ana.phone, ana.line_type, ana.score_contactabilidad) == (ANA, "mobile", 30)
    told = await import_services.database.read(
        lambda reader: imports.list_import_rows(reader, report.id)
    )
    assert [(each.outcome, each.phone) for each in told] == [
        (ImportRowOutcome.ACCEPTED_FIXED_LINE, ANA_LANDLINE),
        (ImportRowOutcome.DUPLICATE, ANA),
    ]


async def test_a_record_without_origin_comes_from_the_file(import_services: ImportServices) -> None:
    """Nobody is there without a word on where they come from."""
    await import_services.import_csv(f"tel\n{ANA}\n", name="padron.csv")
    assert (await import_services.get_prospect(ANA)).cartera_origen == "padron.csv"


async def test_a_second_time_changes_nothing(import_services: ImportServices) -> None:
    """The same file and options give the first report again; another option is another import."""
    text = HEADER + f"Ana;{ANA};feria;;\nX;s/n;feria;;\n"
    first = await import_services.import_csv(text)
    before = (
        await import_services.list_prospects(),
        await known(import_services, ANA),
        len(import_services.published),
    )
    again = await import_services.import_csv(text, name="renamed.csv")
    assert (
        await import_services.list_prospects(),
        await known(import_services, ANA),
        len(import_services.published),
    ) == before
    assert (again.id, again.counts, again.repeated) == (first.id, first.counts, True)
    other = await import_services.import_csv(text, options=ImportOptions(cartera_origen="padrón"))
    assert (other.repeated, counted(other.counts)) == (False, {"duplicate": 1, "rejected": 1})


async def test_the_same_bytes_under_another_name_are_named_before_and_after(
    import_services: ImportServices,
) -> None:
    """In the preview and in the report, with the import that had them; other bytes are not."""
    text = HEADER + f"Ana;{ANA};feria;;\n"
    first = await import_services.import_csv(text)
    assert first.same_file == ()
    renamed = import_services.folder / "renamed.csv"
    renamed.write_text(text, encoding="utf-8")
    preview = await import_services.imports.preview(renamed, ImportOptions())
    earlier = EarlierImport(first.id, "list.csv", "ana", first.at, first.finished_at)
    assert preview.same_file == (earlier,)
    other = ImportOptions(cartera_origen="padrón")
    report = await import_services.imports.run(renamed, other, "bea")
    assert (report.repeated, report.same_file) == (False, (earlier,))
    renamed.write_text(text + f"Beto;{OTHER};feria;;\n", encoding="utf-8")
    changed = await import_services.imports.preview(renamed, ImportOptions())
    assert changed.same_file == ()


async def test_the_end_is_news(import_services: ImportServices) -> None:
    """One event tells the counts; the report has them too, and the rejects their reasons."""
    report = await import_services.import_csv(HEADER + f"Ana;{ANA};f;;\nAna;{ANA};f;;\nX;s/n;f;;\n")
    (event,) = [each for each in import_services.published if each.type == "import.finished"]
    expected = {"filename": "list.csv", "accepted": 1, "duplicates": 1, "rejected": 1}
    assert (event.subject, event.data) == (report.id, expected)
    assert (report.accepted, report.duplicates, report.rejected) == (1, 1, 1)
    (reject,) = await import_services.imports.list_rejects(report.id)
    assert (reject.record, reject.reason_code) == (4, "not_a_number")


async def test_a_preview_foretells_and_writes_nothing(import_services: ImportServices) -> None:
    """Form, headers, mapping, first rows and counts are what an import then gives."""
    text = HEADER + f"Ana;{ANA};f;;\nAna;{ANA_LANDLINE};f;;\nX;s/n;f;;\nB;0800 222 1234;f;;\n"
    path = import_services.folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    preview = await import_services.imports.preview(path, ImportOptions())
    assert await import_services.list_prospects() == []
    assert (preview.form, preview.total) == ("CSV, utf-8, semicolon", 4)
    assert preview.mapping["phone"] == "teléfono"
    assert preview.rows[0].cells["nombre"] == "Ana"
    report = await import_services.imports.run(path, ImportOptions(), "ana")
    assert dict(preview.counts) == report.counts
    again = await import_services.imports.preview(path, ImportOptions())
    assert counted(dict(again.counts)) == {"duplicate": 3, "rejected": 1}


async def test_a_preview_says_what_a_yes_is_worth_without_evidence(
    import_services: ImportServices,
) -> None:
    """Whoever imports learns before it that a bare yes counts as found, not as agreed."""
    path = import_services.folder / "list.csv"
    path.write_text(HEADER + f"Ana;{ANA};f;sí;\n", encoding="utf-8")
    bare = await import_services.imports.preview(path, ImportOptions())
    assert list(bare.remarks.values()) == [1]
    assert "not how they agreed" in next(iter(bare.remarks))
    told = await import_services.imports.preview(
        path, ImportOptions(statement="the form on our page")
    )
    assert dict(told.remarks) == {}


async def test_what_can_not_be_imported_is_refused_with_a_sentence(
    import_services: ImportServices,
) -> None:
    """No file, no source for it, an unknown source, no number, and a broken file."""
    with pytest.raises(ImportRejected, match="not a file"):
        await import_services.imports.run(
            import_services.folder / "gone.csv", ImportOptions(), "ana"
        )
    with pytest.raises(ImportRejected, match=r"end in '\.xyz'"):
        await import_services.import_csv("a", name="list.xyz")
    with pytest.raises(ImportRejected, match="called 'magic'"):
        await import_services.import_csv("a", options=ImportOptions(source="magic"))
    with pytest.raises(ImportRejected, match="phone number"):
        await import_services.import_csv("nombre;rubro\na;b\n")
    with pytest.raises(ImportRejected, match="quotation marks"):
        await import_services.import_csv('tel;nombre\n1;"a\n')
    with pytest.raises(ImportRejected, match=r"record 2 has 200,000 characters"):
        await import_services.import_csv(f"tel;nombre\n1;{'a' * 200_000}\n")
    with pytest.raises(NotFound):
        await import_services.imports.list_rejects("imp_x")


async def test_the_source_can_be_named(import_services: ImportServices) -> None:
    """A file with an ending of its own is read by the source that somebody names."""
    report = await import_services.import_csv(
        f"tel\n{ANA}\n", name="x.dat", options=ImportOptions(source="csv")
    )
    assert (report.source, report.accepted) == ("csv", 1)


async def test_an_unreadable_end_imports_nothing(import_services: ImportServices) -> None:
    """The file is read to its end before the first record is taken."""
    with pytest.raises(ImportRejected):
        await import_services.import_csv(f'tel;nombre\n{ANA};Ana\n{ANA};"never ends\n')
    assert await import_services.list_prospects() == []


async def test_imports_queue_up(import_services: ImportServices) -> None:
    """Two at once do not mix: the second finds the first one's work done."""
    text = HEADER + f"Ana;{ANA};feria;;\n"
    reports = await asyncio.gather(
        import_services.import_csv(text), import_services.import_csv(text, name="copy.csv")
    )
    assert sorted(report.repeated for report in reports) == [False, True]


def scripted(*answers: process.ImportReadAnswer | End, then: str = "") -> ImportProcess:
    """Return a child that says this, then does something; silence counts after 1 s."""
    said = b"".join(
        encode_frame(each if isinstance(each, End) else Answer(each)) for each in answers
    )
    code = f"import sys, time; sys.stdout.buffer.write({said!r}); sys.stdout.flush(); {then}"
    return ImportProcess(
        (sys.executable, "-S", "-c", code), silence_seconds=1.0 if "sleep" in then else 60
    )


def opened(total: int) -> process.ImportFileSummary:
    """Return the first answer of a well-behaved child."""
    return process.ImportFileSummary("CSV", ("tel",), {"phone": "tel"}, (), total)


def record(number: int, phone: str) -> ParsedImportRow:
    """Return an understood record."""
    return ParsedImportRow(
        record=number, phone=phone, line_type="mobile", permission=ImportPermission.NONE
    )


FIRST = RecordBatch((record(2, ANA),))
END = End()


@pytest.mark.parametrize(
    ("child", "sentence"),
    [
        (scripted(opened(2), FIRST), "ended before"),
        (scripted(opened(2), FIRST, then="sys.exit(1)"), "ended before"),
        (scripted(opened(2), FIRST, then="time.sleep(60)"), "said nothing for 1 s"),
        (scripted(opened(2), FIRST, then="print('{')"), "no answer"),
        (scripted(opened(2), FIRST, then="print('x' * (2**21 + 1))"), "line of more than 2 MiB"),
        (scripted(opened(2), FIRST, END), "found 2 records and handed over 1"),
        (scripted(opened(2), FIRST, ListRefusal("Row 3 is odd.")), r"Row 3 is odd\."),
    ],
)
async def test_a_child_that_fails_ends_the_import_unfinished(
    tmp_path: Path, child: ImportProcess, sentence: str
) -> None:
    """Crash, hang, nonsense or too little: a sentence, no finished import, no event."""
    async with open_import_services(tmp_path, child=child) as import_services:
        with pytest.raises(ImportRejected, match=sentence):
            await import_services.import_csv("tel\n")
        assert [each.phone for each in await import_services.list_prospects()] == [ANA]
        assert "import.finished" not in {event.type for event in import_services.published}


@pytest.mark.parametrize(
    "child", [scripted(), scripted(FIRST, END), scripted(END), ImportProcess(("false",))]
)
async def test_a_child_that_never_opens_the_file_imports_nothing(
    tmp_path: Path, child: ImportProcess
) -> None:
    """Dead at once, or talking out of turn."""
    async with open_import_services(tmp_path, child=child) as import_services:
        with pytest.raises(ImportRejected, match="The process that reads the file"):
            await import_services.import_csv("tel\n")
        assert await import_services.list_prospects() == []


async def test_an_import_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    """Run again, it leaves what was taken as it is and takes the rest; the report has all."""
    batches = (FIRST, RecordBatch((record(3, "+525512345678"), record(4, ANA))))
    async with open_import_services(tmp_path, child=scripted(opened(3), FIRST)) as import_services:
        with pytest.raises(ImportRejected):
            await import_services.import_csv("tel\n")
        evidence_before = await known(import_services, ANA)
    whole = scripted(opened(3), *batches, END)
    async with open_import_services(tmp_path, child=whole) as import_services:
        assert (await import_services.get_prospect(ANA)).record == 2
        report = await import_services.import_csv("tel\n")
        assert (report.repeated, counted(report.counts)) == (
            False,
            {"accepted": 2, "duplicate": 1},
        )
        assert (await known(import_services, ANA))[1:] == evidence_before
        assert (await import_services.import_csv("tel\n")).repeated


async def test_the_child_says_why_a_file_is_refused(tmp_path: Path) -> None:
    """A refusal crosses the process border with its sentence and its hint."""
    async with open_import_services(tmp_path, child=ImportProcess()) as import_services:
        with pytest.raises(ImportRejected, match="phone number") as refused:
            await import_services.import_csv("nombre\nAna\n")
        assert refused.value.hint == "Name it: --map phone=HEADER"


def test_a_strangers_source_may_raise_anything(tmp_path: Path) -> None:
    """The sentence names the source; the kind of error and its place are for the log."""
    request = process.ImportReadRequest(
        path=str(tmp_path),
        source="gone",
        options=ImportOptions(),
        region="AR",
        today=IMPORTED_AT.date(),
    )
    (answer,) = answer_import(structs.replace(request, blocked=SYNC_ONLY_SETTINGS.plugins.blocked))
    assert isinstance(answer, ListRefusal)
    assert answer.sentence == (
        "The import source 'gone' failed while it read the file; the log says where."
    )
    assert answer.hint == "Fix or replace the plugin that provides it."
    assert answer.detail.startswith("KeyError at list_process.py:")


async def test_a_source_that_prints_spoils_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin's standard output is not the one that the answers travel on."""
    site = tmp_path / "site"
    (site / "talkative-1.dist-info").mkdir(parents=True)
    (site / "talkative-1.dist-info" / "METADATA").write_text("Name: talkative\nVersion: 1\n")
    (site / "talkative-1.dist-info" / "entry_points.txt").write_text(
        "[leadmaster.plugins]\ntalkative = talkative\n"
    )
    (site / "talkative.py").write_text(
        "import subprocess\nprint('loaded')\nsubprocess.run(['echo', 'started'], check=True)\n"
        "input_ended = not __import__('sys').stdin.read()\nassert input_ended\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    async with open_import_services(tmp_path, child=ImportProcess()) as import_services:
        report = await import_services.import_csv(HEADER + f"Ana;{ANA};feria;;\n")
    assert report.accepted == 1


DOUBTFUL = (
    "nombre;celular;otro teléfono;acepta;fecha\n"
    "Ana;1145551201;;x;01/02/26\n"
    "Beto;1145551202;;X.;02/03/26\n"
    "Caro;;1145551203;ya es cliente;03/03/26\n"
    "Dani;;+5491145551204;sí;2026-03-04\n"
    "Eva;s/n;;x;05/06/26\n"
)


async def test_a_preview_asks_what_a_list_leaves_open(import_services: ImportServices) -> None:
    """Each question once, with count and examples; rejected records have none."""
    path = import_services.folder / "list.csv"
    path.write_text(DOUBTFUL, encoding="utf-8")
    found = (await import_services.imports.preview(path, ImportOptions())).doubts
    assert found == ImportDoubts(
        mobiles=(
            OpenMobiles("celular", 0, 2, ("1145551201", "1145551202")),
            OpenMobiles("otro teléfono", 1, 0, ("1145551203",)),
        ),
        consent_words=(
            ConsentWordCount("x", 2, None),
            ConsentWordCount("ya es cliente", 1, None),
        ),
        dates=OpenDates(2, ("01/02/26", "02/03/26"), DateOrder.DAY_FIRST),
        without_evidence=1,
    )
    answered = ImportOptions(
        mobiles=MobileAnswer.YES,
        date_order=DateOrder.DAY_FIRST,
        consent_words={"x": ConsentAnswer.YES, "ya es cliente": ConsentAnswer.RELATIONSHIP},
        statement="the form",
    )
    left = (await import_services.imports.preview(path, answered)).doubts
    assert [(each.open, each.assumed) for each in left.mobiles] == [(0, 2), (0, 1)]
    assert (left.dates, left.without_evidence) == (None, 0)
    assert [each.answer for each in left.consent_words] == [
        ConsentAnswer.YES,
        ConsentAnswer.RELATIONSHIP,
    ]


async def test_a_list_in_no_doubt_asks_nothing(import_services: ImportServices) -> None:
    """Numbers with their 9, known words with evidence, and dates that a row decides."""
    path = import_services.folder / "list.csv"
    rows = f"Ana;{ANA};f;sí;01/02/26\nBeto;{OTHER};f;no;13/02/26\n"
    path.write_text(HEADER + rows, encoding="utf-8")
    preview = await import_services.imports.preview(path, ImportOptions(statement="the form"))
    assert preview.doubts == ImportDoubts()


async def test_an_explained_word_is_remembered_by_an_import(
    import_services: ImportServices,
) -> None:
    """The next list with this word does not ask; a preview alone remembers nothing."""
    words = {"Ya es cliente": ConsentAnswer.RELATIONSHIP}
    text = HEADER + f"Ana;{ANA};f;ya es cliente;\n"
    path = import_services.folder / "first.csv"
    path.write_text(text, encoding="utf-8")
    await import_services.imports.preview(path, ImportOptions(consent_words=words))
    asked = await import_services.imports.preview(path, ImportOptions())
    assert [each.answer for each in asked.doubts.consent_words] == [None]
    await import_services.import_csv(text, options=ImportOptions(consent_words=words))
    assert (await import_services.get_prospect(ANA)).permission == Permission.RELATIONSHIP
    later = HEADER + f"Beto;{OTHER};f;YA ES CLIENTE.;\n"
    await import_services.import_csv(later, "later.csv")
    assert (await import_services.get_prospect(OTHER)).permission == Permission.RELATIONSHIP


async def test_a_preview_names_every_column_and_what_was_left_out(
    import_services: ImportServices,
) -> None:
    """What each header is used for, and titles above the header."""
    path = import_services.folder / "list.csv"
    text = f"Marzo;;\nTel;Signo;do_not_call\n{ANA};Libra;1\n"
    path.write_text(text, encoding="utf-8")
    options = ImportOptions(mapping={"permission": "do_not_call"})
    preview = await import_services.imports.preview(path, options)
    assert [(each.header, each.use.value) for each in preview.columns] == [
        ("Tel", "phone"),
        ("Signo", "unused"),
        ("do_not_call", "refusal"),
    ]
    assert preview.notices[0] == "Row 1 is above the header, and is not read: Marzo"
    assert preview.notices[1].startswith("A yes in «do_not_call» means no")
    report = await import_services.imports.run(path, options, "ana")
    assert report.unused == ("Signo",)
    assert (await import_services.get_prospect(ANA)).permission == Permission.REFUSED


async def test_further_data_of_a_list_is_kept_as_a_person_asks(
    import_services: ImportServices,
) -> None:
    """E-mail and city always, other columns by name; a later list adds what is not known yet."""
    text = f"Tel;Mail;Ciudad;Talle;Color\n{ANA};ana@example.org;;XL;rojo\n{OTHER};;;;\n"
    await import_services.import_csv(text, options=ImportOptions(fields=["Talle"]))
    text = f"Tel;Mail;Ciudad;Talle;Color\n{ANA};otra@example.org;Rosario;M;rojo\n"
    both = ImportOptions(fields=["Talle", "Color"])
    await import_services.import_csv(text, "again.csv", options=both)
    ana = await import_services.get_prospect(ANA)
    other = await import_services.get_prospect(OTHER)
    assert (ana.email, ana.city) == ("ana@example.org", "Rosario")
    fields = await import_services.database.read(
        lambda reader: prospect_fields.list_prospect_fields(reader, [ana.id, other.id])
    )
    assert fields == {ana.id: {"Talle": "XL", "Color": "rojo"}, other.id: {}}


GIVEN = ImportOptions(given_where="fair in Rosario", given_how="field «WhatsApp» of the form")


async def test_numbers_given_as_whatsapp_are_validated_by_the_importers_word(
    import_services: ImportServices,
) -> None:
    """Each row has the statement as evidence, with who made it; the validation expires."""
    await import_services.import_csv(HEADER + f"Ana;{ANA};feria;;\n", options=GIVEN)
    ana = await import_services.get_prospect(ANA)
    assert (ana.validado_tecnicamente, ana.on_whatsapp) == (True, "yes")
    assert ana.expires_at == IMPORTED_AT + timedelta(days=90)
    piece = next(
        each
        for each in await known(import_services, ANA)
        if each.kind is EvidenceKind.GIVEN_AS_WHATSAPP
    )
    assert piece.quote == "fair in Rosario: field «WhatsApp» of the form"
    assert piece.source == "list.csv, record 2, stated by ana"


async def test_a_statement_on_a_list_changes_nothing_that_is_known(
    import_services: ImportServices,
) -> None:
    """A number that was found not reachable stays so."""
    await import_services.import_csv(HEADER + f"Ana;{ANA};feria;;\n")
    await import_services.database.write(
        lambda tx: tx.execute(
            "UPDATE prospects SET validation = 'not_reachable', validado_tecnicamente = 0"
        )
    )
    await import_services.import_csv(HEADER + f"Ana;{ANA};feria;;\n", "again.csv", options=GIVEN)
    assert (await import_services.get_prospect(ANA)).validado_tecnicamente is False


@pytest.mark.parametrize("half", [{"given_where": "fair"}, {"given_how": "form"}])
def test_a_statement_on_numbers_has_a_place_and_a_manner(half: dict[str, str]) -> None:
    """Where without how, or how without where, is no statement."""
    with pytest.raises(ImportRejected, match="both where and how"):
        ImportOptions(**half)  # type: ignore[arg-type] # the names are the option's own


async def test_a_withdrawn_permission_does_not_return_with_the_same_list(
    import_services: ImportServices,
) -> None:
    """A second import of the rows grants no more than what still counts."""
    text = HEADER + f"Ana;{ANA};feria;relación previa;\n"
    await import_services.import_csv(text)
    ana = await import_services.get_prospect(ANA)
    (granted,) = await known(import_services, ANA)

    def withdraw(tx: Tx) -> None:
        evidence.withdraw_evidence(tx, ana.contact, granted, at=IMPORTED_AT, source="test")

    await import_services.database.write(withdraw)
    await import_services.import_csv(text.replace("Ana", "Ana Paz"), "again.csv")
    assert (await import_services.get_prospect(ANA)).permission == Permission.NONE


async def test_a_list_does_not_bring_back_what_was_agreed_before_a_refusal(
    import_services: ImportServices,
) -> None:
    """An opt-in on a list has no date: who said no before is opted in by none, new or known."""
    consented = ImportOptions(statement="ticked the box")
    text = HEADER + f"Ana;{ANA};feria;sí;\n"
    await import_services.import_csv(text, options=consented)
    ana = await import_services.get_prospect(ANA)

    def say(kind: EvidenceKind, value: str, hours: int) -> Callable[[Tx], None]:
        at = IMPORTED_AT + timedelta(hours=hours)

        def job(tx: Tx) -> None:
            evidence.insert_evidence(tx, ana.contact, kind, value, at=at, source="test")
            import_services.scoring.refresh_prospect(
                tx, ana.contact, at, reason_code="test", sentence=""
            )

        return job

    await import_services.database.write(say(EvidenceKind.DECLINED, "refused", 1))
    await import_services.clock.advance(2 * 3600)
    again = text.replace("Ana", "Ana Paz")
    await import_services.import_csv(again, "again.csv", options=consented)
    await import_services.database.write(say(EvidenceKind.INBOUND, "interested", 3))
    await import_services.clock.advance(48 * 3600)
    assert (await import_services.get_prospect(ANA)).permission == Permission.RELATIONSHIP
