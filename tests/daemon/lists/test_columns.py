"""Which header means which column."""

from __future__ import annotations

from daemon.lists.columns import HEADER_NAMES, guess_mapping


def test_headers_are_known_in_both_languages() -> None:
    """Case, accents and punctuation do not matter; of two numbers the mobile is taken."""
    spanish = ("NOMBRE", "Tel.", "Celular", "Rubro", "Origen", "Consentimiento", "Último contacto")
    assert guess_mapping(spanish) == {
        "name": "NOMBRE",
        "phone": "Celular",
        "trade": "Rubro",
        "cartera_origen": "Origen",
        "permission": "Consentimiento",
        "data_date": "Último contacto",
    }
    english = ("Full name", "Phone number", "Opt-in", "Evidence", "Notes")
    assert set(guess_mapping(english)) == {"name", "phone", "permission", "evidence", "notes"}
    assert guess_mapping(("foo",)) == {}


def test_no_header_means_two_things() -> None:
    """A name belongs to one column only."""
    names = [name for names in HEADER_NAMES.values() for name in names]
    assert len(names) == len(set(names))
