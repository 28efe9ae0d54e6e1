"""One record: what its cells are understood as, and what is held to be less than it says."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.contacts.imports.options import ImportOptions, ImportPermission
from daemon.contacts.imports.row_parser import ParsedImportRow, RowParser
from daemon.errors import ImportRejected
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.dates import DateOrder
from daemon.lists.phone_cells import MobileAnswer
from daemon.lists.table import ListRecord

TODAY = date(2026, 11, 20)
HEADERS = ("Tel", "Nombre", "Permiso", "Prueba", "Fecha", "Origen")


def parse(
    row: ListRecord,
    options: ImportOptions | None = None,
    headers: tuple[str, ...] = HEADERS,
    order: DateOrder | None = DateOrder.DAY_FIRST,
) -> ParsedImportRow:
    """Return a record of these columns parsed, in Argentina."""
    options = options or ImportOptions()
    return RowParser(
        options.plan_columns(headers),
        options,
        region="AR",
        today=TODAY,
        date_order=order,
        consent_words=options.folded_consent_words,
    ).parse(row)


def cells(**given_: str) -> ListRecord:
    """Return record 2 with these cells."""
    return ListRecord(2, {"Tel": "+5491141234567", **given_})


@pytest.mark.parametrize(
    ("said", "evidence", "granted", "remark"),
    [
        ("sí", "", ImportPermission.PUBLIC_SOURCE, "consent_without_evidence"),
        ("si", "form of 2026-05-01", ImportPermission.OPTED_IN, ""),
        (" SÍ. ", "form", ImportPermission.OPTED_IN, ""),
        ("relación previa", "", ImportPermission.RELATIONSHIP, ""),
        ("no", "form", ImportPermission.REFUSED, ""),
        ("No, gracias", "", ImportPermission.REFUSED, ""),
        ("baja", "", ImportPermission.REFUSED, ""),
        ("", "form", ImportPermission.PUBLIC_SOURCE, ""),
        ("ninguno", "", ImportPermission.NONE, ""),
        ("fuente pública", "", ImportPermission.PUBLIC_SOURCE, ""),
        ("quizás", "form", ImportPermission.NONE, "permission_not_understood"),
        ("noviembre", "", ImportPermission.NONE, "permission_not_understood"),
    ],
)
def test_what_a_word_grants(
    said: str, evidence: str, granted: ImportPermission, remark: str
) -> None:
    """A yes counts with evidence only; a no always; what is not understood grants nothing."""
    found = parse(cells(Permiso=said, Prueba=evidence))
    assert (found.permission, found.reason_code) == (granted, remark)
    assert bool(found.sentence) is bool(remark)
    asked = ConsentAnswer.UNKNOWN if remark == "permission_not_understood" else None
    assert found.consent_answer is asked


@given(st.text(max_size=30), st.sampled_from(list(ImportPermission)))
def test_no_word_opts_in_without_evidence(said: str, default: ImportPermission) -> None:
    """Whatever a cell says, it is no opt-in unless somebody says how it was obtained."""
    statement = "form" if default is ImportPermission.OPTED_IN else ""
    found = parse(cells(Permiso=said), ImportOptions(permission=default, statement=statement))
    assert found.permission is not ImportPermission.OPTED_IN or statement


@pytest.mark.parametrize("said", ["-", "N/A", "pendiente", "x", "ninguno", "❌"])
def test_a_cell_that_is_no_yes_is_not_opted_in_with_its_list(said: str) -> None:
    """What was said of the whole list counts for blank cells only."""
    options = ImportOptions(permission=ImportPermission.OPTED_IN, statement="formulario web")
    assert parse(cells(Permiso=""), options).permission is ImportPermission.OPTED_IN
    assert parse(cells(Permiso=said), options).permission in {
        ImportPermission.NONE,
        ImportPermission.REFUSED,
    }


def test_an_explained_word_is_what_a_person_said_of_it() -> None:
    """Case and punctuation do not matter."""
    answers = {
        "X": ConsentAnswer.YES,
        "ya es cliente": ConsentAnswer.RELATIONSHIP,
        "ver": ConsentAnswer.NOTHING,
    }
    options = ImportOptions(statement="form", consent_words=answers)
    assert parse(cells(Permiso="x."), options).permission is ImportPermission.OPTED_IN
    assert parse(cells(Permiso="Ya es cliente"), options).permission is (
        ImportPermission.RELATIONSHIP
    )
    assert parse(cells(Permiso="VER"), options).permission is ImportPermission.PUBLIC_SOURCE
    with pytest.raises(ImportRejected, match="yes, relationship, no or nothing"):
        ImportOptions(consent_words={"x": ConsentAnswer.UNKNOWN})


HUBSPOT = ("Phone Number", "Mobile Phone Number", "Opted out of WhatsApp", "Acepta WhatsApp")


@pytest.mark.parametrize(
    ("opted_out", "accepts", "permission"),
    [
        ("Yes", "", ImportPermission.REFUSED),
        ("Yes", "sí", ImportPermission.REFUSED),
        ("2026-01-05", "sí", ImportPermission.REFUSED),
        ("No", "", ImportPermission.PUBLIC_SOURCE),
        ("No", "sí", ImportPermission.OPTED_IN),
        ("", "no", ImportPermission.REFUSED),
    ],
)
def test_a_column_whose_yes_means_no(
    opted_out: str, accepts: str, permission: ImportPermission
) -> None:
    """Its yes refuses above every other column; its no gives nothing."""
    row = ListRecord(2, dict(zip(HUBSPOT, ("1145551200", "", opted_out, accepts), strict=True)))
    found = parse(row, ImportOptions(statement="form"), HUBSPOT)
    assert found.permission is permission
    if opted_out not in {"", "No"}:
        assert found.permission_text == f"Opted out of WhatsApp: {opted_out}"


def test_the_mobile_column_is_taken_where_it_has_a_number() -> None:
    """Else the next one; a number that can't be used is said."""
    headers = ("Phone Number", "Mobile Phone Number")

    def read(phone: str, mobile: str) -> ParsedImportRow:
        return parse(ListRecord(2, dict(zip(headers, (phone, mobile), strict=True))), None, headers)

    assert read("011 4555-1308", "11 4555-1208").phone == "+5491145551208"
    landline = read("011 4555-1308", "")
    assert (landline.phone, landline.mobile_open) == ("+541145551308", True)
    unusable = read("011 4555-1308", "5,49E+12")
    assert (unusable.phone, unusable.reason_code) == ("+541145551308", "first_number_unusable")
    assert read("011 4555-1308", "11 4555-1208 / 11 4555-1209").reason_code == "several_numbers"
    assert read("", "").reason_code == "empty"
    two = ("Celular", "Celular 2")
    further = parse(ListRecord(2, {two[0]: "1145551208", two[1]: "1145551209"}), None, two)
    assert (further.phone, further.reason_code) == ("+5491145551208", "further_mobile")
    same = parse(ListRecord(2, {two[0]: "1145551208", two[1]: "+5491145551208"}), None, two)
    assert (same.phone, same.reason_code) == ("+5491145551208", "")


def test_argentine_mobiles_are_assumed_open_or_answered() -> None:
    """The header says it, a person answers it, or it is open: never in silence."""
    opened = parse(cells(Tel="11 5555-0101"))
    assert (opened.phone, opened.mobile_open) == ("+541155550101", True)
    answered = parse(cells(Tel="11 5555-0101"), ImportOptions(mobiles=MobileAnswer.YES))
    assert (answered.phone, answered.mobile_assumed) == ("+5491155550101", True)


@pytest.mark.parametrize(
    ("said", "order", "found", "remark"),
    [
        ("2026-11-01", None, date(2026, 11, 1), ""),
        ("15/10/26 10:00", None, date(2026, 10, 15), ""),
        ("1/2/2026", DateOrder.DAY_FIRST, date(2026, 2, 1), ""),
        ("1/2/2026", DateOrder.MONTH_FIRST, date(2026, 1, 2), ""),
        ("1/2/2026", None, None, "date_order_open"),
        ("hace mucho", DateOrder.DAY_FIRST, None, "date_not_understood"),
        ("2026-11-22", None, None, "date_not_understood"),
        ("", None, None, ""),
    ],
)
def test_a_date_is_known_or_it_is_said(
    said: str, order: DateOrder | None, found: date | None, remark: str
) -> None:
    """Never unknown without a word."""
    parsed = parse(cells(Fecha=said), order=order)
    assert (parsed.data_date, parsed.reason_code) == (found, remark)
    assert parsed.open_date == (said if remark == "date_order_open" else "")


def test_name_and_further_data() -> None:
    """First and last name are joined, else the organisation; columns are kept as asked."""
    headers = ("Nombre", "Apellido", "Empresa", "Tel", "Mail", "Ciudad", "Talle")
    options = ImportOptions(fields=["Talle"])

    def read(*texts: str) -> ParsedImportRow:
        return parse(ListRecord(2, dict(zip(headers, texts, strict=True))), options, headers)

    ana = read("Ana", "Prueba", "Taller", "1145551200", "ana@example.org", "Rosario", "XL")
    assert (ana.name, ana.email, ana.city) == ("Ana Prueba", "ana@example.org", "Rosario")
    assert ana.fields == {"Talle": "XL"}
    kiosk = read("", "", "Kiosco", "1145551200", "", "", "")
    assert (kiosk.name, kiosk.fields) == ("Kiosco", {})


def test_a_whole_record() -> None:
    """Every mapped cell has its place."""
    row = cells(Nombre=" Ana ", Permiso="sí", Prueba="form", Fecha="2026-11-01", Origen="feria")
    found = parse(row)
    assert (found.record, found.phone, found.name) == (2, "+5491141234567", "Ana")
    assert (found.permission, found.permission_text, found.evidence) == (
        ImportPermission.OPTED_IN,
        "sí",
        "form",
    )
    assert (found.data_date, found.cartera_origen) == (date(2026, 11, 1), "feria")


def test_what_holds_for_all() -> None:
    """The import's own origin, permission and statement stand in for, or above, the cells."""
    options = ImportOptions(
        cartera_origen="padrón 2026",
        permission=ImportPermission.NONE,
        statement="signed at the fair",
    )
    blank = parse(cells(Origen="feria"), options)
    assert (blank.cartera_origen, blank.permission) == ("padrón 2026", ImportPermission.NONE)
    yes = parse(cells(Permiso="sí"), options)
    assert (yes.permission, yes.evidence) == (ImportPermission.OPTED_IN, "signed at the fair")


def test_a_record_without_a_number_is_rejected_with_the_reason() -> None:
    """Nothing is raised; the reason is in the result."""
    found = parse(cells(Tel="s/n"))
    assert (found.phone, found.reason_code) == (None, "not_a_number")
    assert found.sentence


def test_a_record_that_can_not_be_read_is_rejected_with_its_problem() -> None:
    """Whatever its cells say."""
    row = ListRecord(3, {"Tel": "+5491141234567"}, "Card 3 has no END:VCARD.")
    found = parse(row)
    assert (found.phone, found.reason_code) == (None, "record_unreadable")
    assert found.sentence == "Card 3 has no END:VCARD."


def test_options_that_can_not_be_meant_are_refused() -> None:
    """An unknown column, and an opt-in of a whole list without a word on how."""
    with pytest.raises(ImportRejected, match="no column 'telefono'"):
        ImportOptions(mapping={"telefono": "Tel"})
    with pytest.raises(ImportRejected, match="without saying"):
        ImportOptions(permission=ImportPermission.OPTED_IN)
    assert ImportOptions(permission=ImportPermission.OPTED_IN, statement="form").statement == "form"


def test_a_mapping_names_headers_that_are_there() -> None:
    """A corrected guess counts; a header that is not there, and no number at all, are refused."""
    headers = ("Nombre", "B", "C")
    plan = ImportOptions(mapping={"phone": "B"}, fields=["C"]).plan_columns(headers)
    assert plan.mapping == {"name": "Nombre", "phone": "B"}
    with pytest.raises(ImportRejected, match="no header 'D'"):
        ImportOptions(mapping={"phone": "D"}).plan_columns(headers)
    with pytest.raises(ImportRejected, match="no header 'D'"):
        ImportOptions(mapping={"phone": "B"}, fields=["D"]).plan_columns(headers)
    with pytest.raises(ImportRejected, match="phone number"):
        ImportOptions().plan_columns(headers)
