"""One record: what its cells are understood as, and what is held to be less than it says."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.contacts.imports.options import ImportOptions, ImportPermission
from daemon.contacts.imports.row_parser import parse_date, parse_permission, parse_row
from daemon.errors import ImportRejected
from daemon.lists.table import ListRecord

TODAY = date(2026, 11, 20)
MAPPING = {
    "phone": "Tel",
    "name": "Nombre",
    "permission": "Permiso",
    "evidence": "Prueba",
    "data_date": "Fecha",
    "cartera_origen": "Origen",
}


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
    found, reason_code, sentence = parse_permission(said, evidence, ImportPermission.PUBLIC_SOURCE)
    assert (found, reason_code) == (granted, remark)
    assert bool(sentence) is bool(remark)


@given(st.text(max_size=30), st.sampled_from(list(ImportPermission)))
def test_no_word_opts_in_without_evidence(said: str, default: ImportPermission) -> None:
    """Whatever a cell says, it is no opt-in unless somebody says how it was obtained."""
    granted, _, _ = parse_permission(said, "", default)
    assert granted is not ImportPermission.OPTED_IN or default is ImportPermission.OPTED_IN


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("2026-11-01", date(2026, 11, 1)),
        ("15/10/2026", date(2026, 10, 15)),
        ("1/2/2026", date(2026, 2, 1)),
        ("hace mucho", None),
        ("10/15/2026", None),
        ("2026-02-30", None),
        ("15/10/26", None),
        ("2026-11-01 10:00", None),
        ("2026-11-21", date(2026, 11, 21)),
        ("2026-11-22", None),
        ("", None),
    ],
)
def test_dates_are_read_strictly(said: str, found: date | None) -> None:
    """ISO or dd/mm/yyyy; anything else, and the future, is unknown."""
    assert parse_date(said, TODAY) == found


@given(st.text(max_size=20) | st.from_regex(r"\d{1,4}[-/]\d{1,2}[-/]\d{1,4}", fullmatch=True))
def test_no_text_breaks_the_dates(said: str) -> None:
    """Every text is a date up to tomorrow, or unknown."""
    found = parse_date(said, TODAY)
    assert found is None or found <= date(2026, 11, 21)


def test_a_whole_record() -> None:
    """Every mapped cell has its place."""
    row = cells(Nombre=" Ana ", Permiso="sí", Prueba="form", Fecha="2026-11-01", Origen="feria")
    found = parse_row(row, MAPPING, ImportOptions(), region="AR", today=TODAY)
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
    blank = parse_row(cells(Origen="feria"), MAPPING, options, region="AR", today=TODAY)
    assert (blank.cartera_origen, blank.permission) == ("padrón 2026", ImportPermission.NONE)
    yes = parse_row(cells(Permiso="sí"), MAPPING, options, region="AR", today=TODAY)
    assert (yes.permission, yes.evidence) == (ImportPermission.OPTED_IN, "signed at the fair")


def test_a_record_without_a_number_is_rejected_with_the_reason() -> None:
    """Nothing is raised; the reason is in the result."""
    found = parse_row(cells(Tel="s/n"), MAPPING, ImportOptions(), region="AR", today=TODAY)
    assert (found.phone, found.reason_code) == (None, "not_a_number")
    assert found.sentence


def test_a_record_that_can_not_be_read_is_rejected_with_its_problem() -> None:
    """Whatever its cells say."""
    row = ListRecord(3, {"Tel": "+5491141234567"}, "Card 3 has no END:VCARD.")
    found = parse_row(row, MAPPING, ImportOptions(), region="AR", today=TODAY)
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
    headers = ("A", "B")
    assert ImportOptions(mapping={"phone": "B"}).resolve_mapping(headers, {"name": "A"}) == {
        "name": "A",
        "phone": "B",
    }
    with pytest.raises(ImportRejected, match="no header 'C'"):
        ImportOptions(mapping={"phone": "C"}).resolve_mapping(headers, {})
    with pytest.raises(ImportRejected, match="phone number"):
        ImportOptions().resolve_mapping(headers, {"name": "A"})
