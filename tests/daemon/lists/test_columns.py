"""Which header means which column, and which is not used."""

from __future__ import annotations

import pytest

from daemon.lists.columns import is_phone_header, plan_columns
from daemon.lists.vocabulary import (
    HEADER_NAMES,
    USES_BY_KIND,
    ColumnUse,
    ListKind,
    PhoneRank,
    find_phone_rank,
    is_consent_question,
    is_refusal_header,
)

GOOGLE_NEW = (
    *("First Name", "Middle Name", "Last Name", "Nickname", "Organization Name", "Notes"),
    *("E-mail 1 - Label", "E-mail 1 - Value", "Phone 1 - Label", "Phone 1 - Value"),
    *("Phone 2 - Label", "Phone 2 - Value"),
)
OUTLOOK = (
    *("Title", "First Name", "Middle Name", "Last Name", "Company", "Business City"),
    *("Assistant's Phone", "Business Fax", "Business Phone", "Business Phone 2", "Callback"),
    *("Car Phone", "Company Main Phone", "Home Phone", "ISDN", "Mobile Phone", "Other Fax"),
    *("Other Phone", "Pager", "Primary Phone", "Radio Phone", "TTY/TDD Phone", "Telex"),
    *("E-mail Address", "E-mail 2 Address", "Notes", "Web Page"),
)
OUTLOOK_ES = (
    *("Tratamiento", "Nombre", "Segundo nombre", "Apellidos", "Organización", "Ciudad de trabajo"),
    *("Teléfono del ayudante", "Fax del trabajo", "Teléfono del trabajo", "Móvil"),
    *("Otro teléfono", "Localizador", "Teléfono principal", "Télex", "Notas"),
    "Dirección de correo electrónico",
)


def test_headers_are_known_in_three_languages() -> None:
    """Case, accents and punctuation do not matter; of two numbers the mobile is taken."""
    spanish = ("NOMBRE", "Tel.", "Celular", "Rubro", "Origen", "Consentimiento", "Último contacto")
    assert plan_columns(spanish).mapping == {
        "name": "NOMBRE",
        "phone": "Celular",
        "trade": "Rubro",
        "cartera_origen": "Origen",
        "permission": "Consentimiento",
        "data_date": "Último contacto",
    }
    english = ("Full name", "Phone number", "Opt-in", "Evidence", "Notes")
    assert set(plan_columns(english).mapping) == {
        *("name", "phone", "permission", "evidence", "notes")
    }
    portuguese = ("Nome", "Sobrenome", "Telefone", "Cidade", "E-mail", "Observações")
    assert plan_columns(portuguese).mapping == {
        "first_name": "Nome",
        "last_name": "Sobrenome",
        "phone": "Telefone",
        "city": "Cidade",
        "email": "E-mail",
        "notes": "Observações",
    }
    assert plan_columns(("foo",)).mapping == {}


def test_no_header_means_two_things_in_one_list() -> None:
    """In a list of each kind, a name belongs to one use only."""
    for kind in ListKind:
        names = [name for use in USES_BY_KIND[kind] for name in HEADER_NAMES[use]]
        assert len(names) == len(set(names)), kind
        assert not [name for name in names if is_phone_header([name])], kind


@pytest.mark.parametrize(
    ("headers", "phones", "unused"),
    [
        (
            GOOGLE_NEW,
            ["Phone 1 - Value", "Phone 2 - Value"],
            {"Nickname", "E-mail 1 - Label"},
        ),
        (
            OUTLOOK,
            [
                *("Mobile Phone", "Primary Phone", "Other Phone", "Business Phone"),
                *("Business Phone 2", "Company Main Phone", "Home Phone"),
            ],
            {
                *("Title", "Assistant's Phone", "Business Fax", "Callback", "Car Phone", "ISDN"),
                *("Other Fax", "Pager", "Radio Phone", "TTY/TDD Phone", "Telex", "Web Page"),
                "E-mail 2 Address",
            },
        ),
        (
            OUTLOOK_ES,
            ["Móvil", "Teléfono principal", "Otro teléfono", "Teléfono del trabajo"],
            {
                *("Tratamiento", "Teléfono del ayudante", "Fax del trabajo", "Localizador"),
                "Télex",
            },
        ),
        (("nombre", "Celular", "Celular (2)"), ["Celular", "Celular (2)"], set()),
    ],
)
def test_phones_are_ordered_and_what_is_unused_is_named(
    headers: tuple[str, ...], phones: list[str], unused: set[str]
) -> None:
    """Mobile before landline, in the order of the file; a fax is never a phone."""
    plan = plan_columns(headers)
    assert [each.header for each in plan.phones] == phones
    assert set(plan.unused) == unused


def test_a_label_ranks_the_number_beside_it() -> None:
    """Record by record; a fax is none."""
    plan = plan_columns(GOOGLE_NEW)

    def read(*pairs: tuple[str, str]) -> list[tuple[str, bool | None]]:
        cells: dict[str, str] = {}
        for number, (label, value) in enumerate(pairs, 1):
            cells |= {f"Phone {number} - Label": label, f"Phone {number} - Value": value}
        return [(each.cell, each.says_mobile) for each in plan.list_phones(cells)]

    assert read(("Work", "1"), ("Mobile", "2")) == [("2", True), ("1", None)]
    assert read(("* Móvil", "1"), ("Home Fax", "2")) == [("1", True)]
    assert read(("", "1"), ("", "")) == [("1", None)]


def test_names_are_joined_from_their_parts() -> None:
    """A whole name stands above its parts; an organisation is the name of who has none."""
    plan = plan_columns(GOOGLE_NEW)
    cells = {"First Name": "Ana", "Last Name": "Prueba", "Organization Name": "Taller"}
    assert plan.get_name(cells) == "Ana Prueba"
    assert plan.get_name({"Organization Name": "Kiosco"}) == "Kiosco"
    assert plan_columns(("Nombre", "Apellido")).get_name({"Nombre": "A", "Apellido": "B"}) == "A B"


@pytest.mark.parametrize(
    "header",
    [
        *("do_not_call", "DNC", "Opted out of WhatsApp", "no contactar", "Unsubscribed", "Baja"),
        *("Fecha de baja", "opted_out_at", "Do not contact", "Descadastrado", "Lista negra"),
        *("No llamar", "Não contatar", "Unsubscribed from all email", "Bloqueado", "optout"),
    ],
)
def test_a_column_whose_yes_means_no_is_known_by_its_name(header: str) -> None:
    """Also where it is mapped to permission by hand."""
    assert is_refusal_header(header)
    plan = plan_columns((header, "Tel"))
    assert plan.list_headers(ColumnUse.REFUSAL) == (header,)
    by_hand = plan_columns((header, "Tel"), {"permission": header})
    assert by_hand.list_headers(ColumnUse.REFUSAL) == by_hand.inverted == (header,)
    assert by_hand.list_headers(ColumnUse.PERMISSION) == ()


@pytest.mark.parametrize("header", ["Trabaja", "Opt-in", "Consentimiento", "Stock", "Celular"])
def test_other_columns_refuse_nothing(header: str) -> None:
    """A part of a word is not the word."""
    assert not is_refusal_header(header)


@pytest.mark.parametrize(
    "header",
    [
        *("¿acepta_recibir_información_por_whatsapp?", "¿Querés que te contactemos?"),
        *("Do you agree to receive messages?", "Aceita receber mensagens no WhatsApp?"),
        "autorizo_el_contacto_por_whatsapp",
    ],
)
def test_a_question_for_consent_is_known(header: str) -> None:
    """As lead forms ask it."""
    assert is_consent_question(header)
    assert plan_columns((header, "Tel")).mapping["permission"] == header


@pytest.mark.parametrize(
    "header", ["¿Querés recibir novedades por mail?", "¿Cuándo te contactamos?", "whatsapp"]
)
def test_another_question_is_none(header: str) -> None:
    """A yes to e-mail is no yes to WhatsApp."""
    assert not is_consent_question(header)


@pytest.mark.parametrize(
    ("header", "rank"),
    [
        ("Nro. de WhatsApp", PhoneRank.MOBILE),
        ("Teléfono celular", PhoneRank.MOBILE),
        ("phone_number", PhoneRank.ANY),
        ("Teléfono con código de área", PhoneRank.ANY),
        ("Tel. fijo", PhoneRank.LANDLINE),
        ("Work phone", PhoneRank.LANDLINE),
        ("Home Fax", None),
        ("Número de cliente", None),
        ("Código de área", None),
        ("Listado de teléfonos", None),
        ("Mensaje de WhatsApp", None),
        ("id", None),
    ],
)
def test_which_headers_are_phones(header: str, rank: PhoneRank | None) -> None:
    """By all of their words: an id, a title or a message that mentions a phone is none."""
    assert find_phone_rank(header) in {rank, PhoneRank.NEVER if rank is None else rank}


def test_what_a_person_maps_stands_above_the_guess() -> None:
    """The guess for that use goes; a name replaces its parts."""
    plan = plan_columns(("Celular", "Otro", "Nombre", "Apellido"), {"phone": "Otro"})
    assert [each.header for each in plan.phones] == ["Otro"]
    assert plan.unused == ("Celular",)
    named = plan_columns(("Tel", "Nombre", "Apellido", "Alias"), {"name": "Alias"})
    assert named.get_name({"Nombre": "A", "Apellido": "B", "Alias": "C"}) == "C"
    assert named.unused == ("Nombre", "Apellido")


def test_a_guess_that_comes_back_from_a_form_is_no_choice() -> None:
    """It would leave out the other phone columns, and the parts of a name."""
    guess = plan_columns(GOOGLE_NEW)
    assert plan_columns(GOOGLE_NEW, guess.mapping) == guess


def test_unused_columns_can_be_kept() -> None:
    """Under their headers."""
    plan = plan_columns(("Tel", "Talle", "Color"), fields=["Talle"])
    assert plan.list_headers(ColumnUse.FIELD) == ("Talle",)
    assert plan.unused == ("Color",)


def test_ids_are_no_numbers_of_a_list_of_opt_outs() -> None:
    """Where a phone column stands beside them."""
    plan = plan_columns(("id", "mobile", "opted_out_at"), kind=ListKind.SUPPRESSIONS)
    assert [each.header for each in plan.phones] == ["mobile"]
    jids = plan_columns(("jid",), kind=ListKind.SUPPRESSIONS)
    assert [each.header for each in jids.phones] == ["jid"]
