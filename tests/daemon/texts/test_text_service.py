"""Texts: refused with the place, versioned, previewed on real people, approved for a purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.gate.gate import EvaluationPhase
from daemon.outbox import SendRequest
from daemon.outbox.message_check import SendOutlook
from storage.prospect_search import ProspectSearch
from storage.texts import NewTextVersion, TextPurpose, format_text_reference
from tests.helpers.services.messaging import (
    ANA,
    GATE_WITHOUT_VETOES,
    MessagingServices,
    build_phone,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import write_gate_rules

FOOTER = "Soy {quien}; tu número lo tomamos de {origen_en_palabras}. Respondé BAJA y no escribimos."
EVERYBODY = ProspectSearch()
FIRST, FOLLOW_UP = TextPurpose.FIRST_CONTACT, TextPurpose.FOLLOW_UP


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open the services with rules that allow everything, a session and four people."""
    rules = write_gate_rules(tmp_path, GATE_WITHOUT_VETOES)
    async with open_messaging_services(tmp_path, rules=rules) as opened:
        await opened.add_session()
        people = (("GÓMEZ, Ángela", "Dentista"), ("Petterson", "Veterinaria y peluquería"))
        for number, (name, trade) in enumerate((*people, ("", "Dentista"))):
            await opened.add_prospect(build_phone(number))
            await opened.execute_sql(
                "UPDATE prospects SET name = ?, trade = ? WHERE phone = ?",
                *(name, trade, build_phone(number)),
            )
        yield opened


def build(body: str, footer: str = "", **fallbacks: str) -> NewTextVersion:
    """Return a version as a person writes it."""
    return NewTextVersion(body=body, footer=footer, fallbacks=fallbacks)


@pytest.mark.parametrize(
    ("purpose", "new", "says"),
    [
        (FIRST, build("Hola {nombre}"), "how to stop"),
        (FIRST, build("Hola {nombre}", FOOTER.replace("BAJA", "que no")), "opt-out list"),
        (FIRST, build("Hola", FOOTER.replace("{quien}", "Leo")), "needs {quien}"),
        (FOLLOW_UP, build("Hola {nombr}"), "body: character 6: .*nearest is {nombre}"),
        (FOLLOW_UP, build("  "), "empty"),
        (FOLLOW_UP, build("Hola", FOOTER), "only a first contact"),
        (FOLLOW_UP, build("Hola", nombr="vos"), "fallbacks: nombr"),
    ],
)
async def test_a_text_that_is_not_right_is_refused_with_its_place(
    services: MessagingServices, purpose: TextPurpose, new: NewTextVersion, says: str
) -> None:
    """When it is made, when it is changed, and in a preview."""
    with pytest.raises(BadRequest, match=says):
        await services.texts.create("Uno", purpose, "es", new, "eva")
    with pytest.raises(BadRequest, match=says):
        await services.texts.preview(purpose, new, "eva", EVERYBODY)
    assert await services.texts.list_texts() == []


async def test_a_preview_is_three_real_people_and_never_a_hole(
    services: MessagingServices,
) -> None:
    """One with everything, one who lacks a value, the longest; words in its place take them in."""
    new = build("Hola {nombre}, ¿seguís con {rubro}?")
    preview = await services.texts.preview(FOLLOW_UP, new, "eva", EVERYBODY)
    assert (preview.total, preview.left_out, dict(preview.missing)) == (3, 1, {"nombre": 1})
    texts = {each.name: each.text for each in preview.people}
    assert texts[""] == "", "left out, not a hole"
    assert texts["Petterson"] == "Hola Petterson, ¿seguís con Veterinaria y peluquería?"
    filled = build("Hola {nombre}", nombre="qué tal")
    shown = await services.texts.preview(FOLLOW_UP, filled, "eva", EVERYBODY)
    assert shown.left_out == 0
    assert all("{" not in each.text and each.text != "Hola " for each in shown.people)


async def test_a_preview_says_what_would_become_of_each_message(
    services: MessagingServices,
) -> None:
    """As if the text was approved: links, likeness and verdict; who lacks a value has none."""
    await services.add_prospect(build_phone(3))
    await services.enqueue(build_phone(3), "Hola Petterson, mirá https://uno.example y dos.com.ar")
    await services.clock.settle()
    new = build("Hola {nombre}, mirá https://uno.example y dos.com.ar")
    preview = await services.texts.preview(FOLLOW_UP, new, "eva", EVERYBODY)
    by_name = {each.name: each for each in preview.people}
    assert by_name[""].check is None
    check = by_name["Petterson"].check
    assert check is not None
    assert (check.outlook, check.links, check.similarity) == (SendOutlook.NOW, 2, 1.0)
    first = build("Hola {nombre}, mirá https://uno.example y dos.com.ar", FOOTER)
    first = build(first.body, FOOTER, origen_en_palabras="la feria")
    preview = await services.texts.preview(FIRST, first, "eva", EVERYBODY)
    found = {each.name: each.check.similarity for each in preview.people if each.check}
    assert found["Petterson"] is not None
    assert found["Petterson"] < 0.4, "fixed words of an approved text do not count"


async def test_a_preview_is_of_a_filter_and_has_further_pages(services: MessagingServices) -> None:
    """Three of those who are found, then the next ones; the last page stays the last."""
    new = build("Hola {nombre}", nombre="qué tal")
    dentists = ProspectSearch(text="dentista")
    preview = await services.texts.preview(FOLLOW_UP, new, "eva", dentists)
    assert (preview.total, preview.pages) == (2, 1)
    for number in range(10, 15):
        await services.add_prospect(build_phone(number))
    seen = set()
    for page in range(3):
        preview = await services.texts.preview(FOLLOW_UP, new, "eva", EVERYBODY, page=page)
        seen |= {each.prospect for each in preview.people}
    assert (preview.total, preview.page, preview.pages, len(seen)) == (8, 2, 3, 8)
    later = await services.texts.preview(FOLLOW_UP, new, "eva", EVERYBODY, page=9)
    assert later.page == 2
    nobody = await services.texts.preview(FOLLOW_UP, new, "eva", ProspectSearch(text="nobody here"))
    assert (nobody.total, nobody.people, nobody.pages) == (0, (), 0)


async def test_choices_are_approved_texts_that_fit_the_person(services: MessagingServices) -> None:
    """A first contact before the first message, the others after it; who lacks a value sees why."""
    await services.clock.settle()
    first = await services.texts.create(
        "Feria", FIRST, "es", build("Hola {nombre}", FOOTER, origen_en_palabras="la feria"), "eva"
    )
    later = await services.texts.create("Seguimos", FOLLOW_UP, "es", build("Hola {nombre}"), "eva")
    ids = {name: id_ for id_, name in await services.query_rows("SELECT id, name FROM prospects")}
    person = str(ids["Petterson"])
    assert await services.texts.list_choices(person, "eva") == [], "nobody approved one"
    for text in (first, later):
        await services.texts.approve(text.id, 1, "eva")
        await services.texts.change(text.id, text.versions[0], "eva")  # type: ignore[arg-type]
    [choice] = await services.texts.list_choices(person, "Leo")
    assert (choice.name, choice.template) == ("Feria", f"{first.id}@1")
    assert choice.text.startswith("Hola Petterson\n\nSoy Leo;")
    [nameless] = await services.texts.list_choices(str(ids[""]), "eva")
    assert (nameless.missing, nameless.text) == (("nombre",), "")
    await services.enqueue(build_phone(1), "Hola")
    await services.clock.settle()
    assert [each.name for each in await services.texts.list_choices(person, "eva")] == ["Seguimos"]
    with pytest.raises(NotFound):
        await services.texts.list_choices("prs_1", "eva")


async def test_a_new_version_changes_nothing_that_runs(services: MessagingServices) -> None:
    """Each has a number and is approved for itself, once, by a person."""
    text = await services.texts.create("Saludo", FOLLOW_UP, "es", build("Hola {nombre}"), "eva")
    with pytest.raises(Conflict, match="named SALUDO already"):
        await services.texts.create("SALUDO", FOLLOW_UP, "es", build("Hola"), "eva")
    await services.texts.approve(text.id, 1, "eva")
    changed = await services.texts.change(text.id, build("Buenas {nombre}"), "leo")
    assert [(each.version, each.approved_by) for each in changed.versions] == [
        *((2, None), (1, "eva")),
    ]
    assert changed.versions[1].body == "Hola {nombre}"
    with pytest.raises(Conflict, match="approved already"):
        await services.texts.approve(text.id, 1, "leo")
    with pytest.raises(NotFound, match="no version 3"):
        await services.texts.approve(text.id, 3, "eva")
    assert ("text_approved",) in await services.query_rows("SELECT action FROM audit")


async def measure_likeness(services: MessagingServices, text: str, template: str) -> float:
    """Return what the gate's rules see of the likeness of a first message that is not sent."""
    later = services.clock.now() + timedelta(hours=1)
    message = await services.get_message(
        await services.enqueue(ANA, text, template=template, not_before=later)
    )
    evaluation = await services.gate.evaluate(message, EvaluationPhase.ENQUEUE)
    await services.clock.settle()
    likeness = evaluation.facts["message.similarity"]
    assert isinstance(likeness, float)
    return likeness


async def test_fixed_words_of_an_approved_text_are_not_alike(services: MessagingServices) -> None:
    """By the gate's own comparison with the version: what a caller claims takes nothing out."""
    body = "Hola {nombre}, abrimos un consultorio nuevo en el centro y damos turnos esta semana."
    text = await services.texts.create("Saludo", FIRST, "es", build(body, FOOTER), "eva")
    reference = format_text_reference(text.id, 1)
    whole = text.versions[0].template.replace("{quien}", "Leo")
    made = whole.replace("{origen_en_palabras}", "la feria").replace("{nombre}", "{}")
    await services.enqueue(build_phone(0), made.format("Ángela"), template=reference)
    await services.clock.settle()
    await services.add_prospect(ANA)
    assert await measure_likeness(services, made.format("Ana"), reference) > 0.9
    await services.texts.approve(text.id, 1, "eva")
    assert await measure_likeness(services, made.format("Ana"), reference) < 0.5
    other = made.format("Ana") + " ¡Comprá ya!"
    assert await measure_likeness(services, other, reference) > 0.8
    assert await measure_likeness(services, made.format("Ana"), "txt_1@1") > 0.9
    await services.clock.advance(7200)
    assert await measure_likeness(services, made.format("Ana"), reference) > 0.9, "no first contact"


HOLD_WHAT_IS_TYPED = """\
format: leadmaster/gate@1
score: {base: 100, min: 0, max: 100}
thresholds:
  - {verdict: allow, from: 1}
  - {verdict: block, from: 0}
vetoes:
  - id: typed_first_contact
    reason: "A typed first contact"
    when: {message.typed: true, message.first_contact: true}
    if_missing: skip
    hold: true
tests:
  - name: a typed first contact waits for a person
    given: {message.typed: true}
    expect: {verdict: review, vetoes: [typed_first_contact]}
  - name: one that is made of an approved text goes
    given: {message.typed: false}
    expect: {verdict: allow}
"""


async def test_a_rule_tells_what_is_typed_from_an_approved_text(tmp_path: Path) -> None:
    """By what the gate finds itself: a template that is only named is no approved text."""
    rules = write_gate_rules(tmp_path, HOLD_WHAT_IS_TYPED)
    async with open_messaging_services(tmp_path, rules=rules) as services:
        await services.add_session()
        await services.add_prospect(ANA)
        new = build("Hola {nombre}, abrimos en el centro.", FOOTER)
        text = await services.texts.create("Saludo", FIRST, "es", new, "eva")
        reference = format_text_reference(text.id, 1)
        whole = text.versions[0].template.replace("{quien}", "Leo").replace("{nombre}", "Ana")
        made = whole.replace("{origen_en_palabras}", "la feria")

        async def check(words: str, template: str | None) -> str:
            request = SendRequest(to=ANA, text=words, template=template)
            return (await services.message_check.check(request)).outlook

        assert await check(made, reference) == SendOutlook.APPROVAL, "nobody approved it"
        await services.texts.approve(text.id, 1, "eva")
        assert await check(made, reference) == SendOutlook.NOW
        assert await check(made, None) == SendOutlook.APPROVAL
        assert await check(f"{made} ¡Comprá ya!", reference) == SendOutlook.APPROVAL


async def test_a_text_for_one_person_names_its_version(services: MessagingServices) -> None:
    """Who lacks a value is left out, with the reason."""
    text = await services.texts.create("Saludo", FOLLOW_UP, "es", build("Hola {nombre}"), "eva")
    ids = {
        str(name): str(id_)
        for id_, name in await services.query_rows("SELECT id, name FROM prospects")
    }
    prepared = await services.texts.prepare(text.id, 1, ids["GÓMEZ, Ángela"], "eva")
    assert (prepared.text, prepared.template) == ("Hola Ángela", f"{text.id}@1")
    with pytest.raises(Conflict, match="no nombre"):
        await services.texts.prepare(text.id, 1, ids[""], "eva")
