"""Saved filters: their names, their exact counts, and what campaigns keep of them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.campaigns.service import CampaignChange
from daemon.contacts.prospect_filters import ProspectFilter
from daemon.contacts.prospects import ProspectInput
from daemon.contacts.saved_filters import (
    MAX_NAME_LENGTH,
    MAX_SAVED_FILTERS,
    SavedFilterService,
)
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.gate.consent import Permission
from daemon.http.console.language import Language, load_language
from daemon.http.console.saved_filters import FilterView, ProspectsPageQuery
from statemachines.prospect import ValidationState
from storage import audit
from storage.prospect_search import ProspectCount
from storage.prospects import TEST_MESSAGE_ORIGIN
from storage.suppressions import SuppressionSource
from tests.helpers.services.campaigns import WHO, add_people, make_draft, start
from tests.helpers.services.messaging import MessagingServices, open_messaging_services

AGREED = ProspectFilter(permission=Permission.OPTED_IN)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house with three people, of whom two agreed."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        await add_people(opened, 2)
        await add_people(opened, 1, first=3, permission="public_source")
        yield opened


async def test_a_filter_is_kept_with_its_exact_count_and_as_a_sentence(
    services: MessagingServices,
) -> None:
    """The count follows the prospects; blanks around name and text are no part of them."""
    chosen = ProspectFilter(text=" sosa ", permission=Permission.OPTED_IN)
    saved = await services.saved_filters.create("  Feria   marzo ", chosen, WHO)
    assert (saved.name, saved.count, saved.created_by) == ("Feria marzo", 2, WHO)
    assert saved.filter == ProspectFilter(text="sosa", permission=Permission.OPTED_IN)
    assert saved.sentence == (
        "People whose permission is: Agreed, and with “sosa” in name, trade, origin or number"
    )
    await add_people(services, 1, first=4)
    assert [each.count for each in await services.saved_filters.list_filters()] == [3]
    assert await services.saved_filters.get(saved.id) == await services.saved_filters.get(
        "FÉRIA Marzo"
    )
    [entry] = await services.database.read(
        lambda reader: audit.list_subject_audit_entries(reader, saved.id)
    )
    assert (entry.who, entry.action) == (WHO, "saved_filter_created")


async def test_a_name_is_taken_in_any_case_and_with_any_accents(
    services: MessagingServices,
) -> None:
    """Also by a change; a filter may be written anew in its own name."""
    await services.saved_filters.create("Núñez", AGREED, WHO)
    other = await services.saved_filters.create("Otra", AGREED, WHO)
    with pytest.raises(Conflict, match="There is a saved filter named NUNEZ already"):
        await services.saved_filters.create("NUNEZ", AGREED, WHO)
    with pytest.raises(Conflict, match="nuñez"):
        await services.saved_filters.change(other.id, WHO, name="nuñez")
    changed = await services.saved_filters.change(other.id, WHO, name="OTRA")
    assert (changed.name, changed.filter) == ("OTRA", AGREED)


@pytest.mark.parametrize("name", ["", "  ", "x" * (MAX_NAME_LENGTH + 1), "a\x07b"])
async def test_a_name_is_one_short_line(services: MessagingServices, name: str) -> None:
    """Anything else is refused in a sentence."""
    with pytest.raises(BadRequest, match=f"1 to {MAX_NAME_LENGTH} letters"):
        await services.saved_filters.create(name, AGREED, WHO)


async def test_a_filter_has_a_field_and_an_import_that_is_there(
    services: MessagingServices,
) -> None:
    """One without a field would find everybody."""
    with pytest.raises(BadRequest, match="finds everybody"):
        await services.saved_filters.create("Todos", ProspectFilter(text="  "), WHO)
    with pytest.raises(BadRequest, match="no import imp_1"):
        await services.saved_filters.create("Lista", ProspectFilter(import_id="imp_1"), WHO)
    assert await services.saved_filters.list_filters() == []


async def test_there_are_only_so_many(services: MessagingServices) -> None:
    """And a deleted one makes room."""
    for n in range(MAX_SAVED_FILTERS):
        await services.saved_filters.create(f"Filtro {n}", AGREED, WHO)
    with pytest.raises(Conflict, match=f"There are {MAX_SAVED_FILTERS} saved filters"):
        await services.saved_filters.create("Uno más", AGREED, WHO)
    await services.saved_filters.delete("filtro 7", WHO)
    assert (await services.saved_filters.create("Uno más", AGREED, WHO)).name == "Uno más"


async def test_a_deleted_one_is_gone_for_everybody(services: MessagingServices) -> None:
    """Whoever has it on an old page reads why."""
    saved = await services.saved_filters.create("Feria", AGREED, WHO)
    await services.saved_filters.delete(saved.id, WHO)
    for refused in (
        services.saved_filters.get(saved.id),
        services.saved_filters.change(saved.id, WHO, name="Otra"),
        services.saved_filters.delete(saved.id, WHO),
    ):
        with pytest.raises(NotFound, match="somebody may have deleted it"):
            await refused


async def test_a_draft_takes_the_fields_as_they_are_and_keeps_them(
    services: MessagingServices,
) -> None:
    """Neither a change nor a deletion reaches a draft or a campaign that was started."""
    saved = await services.saved_filters.create("Aceptaron", AGREED, WHO)
    campaign = await make_draft(services, saved_filter="aceptaron")
    assert (await services.campaigns.count_audience(campaign)).total == 2
    validated = ProspectFilter(validation=ValidationState.NOT_REACHABLE)
    await services.saved_filters.change(saved.id, WHO, chosen=validated)
    assert (await services.campaigns.count_audience(campaign)).total == 2
    await start(services, campaign)
    await services.saved_filters.delete(saved.id, WHO)
    view = await services.campaigns.get(campaign)
    assert view.campaign.audience == {"permission": "opted_in"}
    assert sum(view.counts.values()) == 2


async def test_a_draft_takes_one_filter_that_is_there(services: MessagingServices) -> None:
    """Not two at once, and none that was deleted."""
    campaign = await make_draft(services)
    for change, error in (
        (CampaignChange(saved_filter="flt_1"), NotFound),
        (CampaignChange(saved_filter="flt_1", audience=AGREED), BadRequest),
    ):
        with pytest.raises(error):
            await services.campaigns.change(campaign, change, WHO)
    assert (await services.campaigns.get(campaign)).campaign.audience == {}


async def test_nobody_is_counted_while_the_one_writer_waits(services: MessagingServices) -> None:
    """The sentence and the count of an answer are read once the change is committed."""
    threads: list[str] = []

    def load_words(code: str) -> Language:
        threads.append(threading.current_thread().name)
        return load_language(code)

    kept = SavedFilterService(services.database, services.clock, "AR", load_words)
    made = await kept.create("Feria", AGREED, WHO)
    changed = await kept.change(made.id, WHO, name="Marzo")
    deleted = await kept.delete(made.id, WHO)
    assert [each.count for each in (made, changed, deleted)] == [2, 2, 2]
    assert len(threads) == 3
    assert not any("writer" in each for each in threads)


@pytest.mark.parametrize("name", ["\N{COMBINING ACUTE ACCENT}", " \N{COMBINING TILDE}\n"])
async def test_a_name_has_more_than_accents(services: MessagingServices, name: str) -> None:
    """Accents do not count in a name, so nobody could ask for it by another one."""
    with pytest.raises(BadRequest, match="accents alone are no name"):
        await services.saved_filters.create(name, AGREED, WHO)


async def test_the_audit_has_the_filter_before_and_after_but_no_text(
    services: MessagingServices,
) -> None:
    """The text may be a person's name: only that it was changed is recorded."""
    made = await services.saved_filters.create(
        "Feria", ProspectFilter(text="Ana Sosa", permission=Permission.OPTED_IN), WHO
    )
    validated = ProspectFilter(text="Eva Paz", validation=ValidationState.VALIDATED)
    await services.saved_filters.change(made.id, WHO, chosen=validated)
    await services.saved_filters.change(made.id, WHO, name="Marzo")
    await services.saved_filters.delete(made.id, WHO)
    created, changed, renamed, deleted = await services.database.read(
        lambda reader: audit.list_subject_audit_entries(reader, made.id)
    )
    assert created.detail == {"name": "Feria", "permission": "opted_in"}
    assert changed.detail == {
        "name": "Feria",
        "permission_before": "opted_in",
        "validation": "validated",
        "text_changed": True,
    }
    assert renamed.detail == {"name": "Marzo", "before": "Feria"}
    assert deleted.detail == {"name": "Marzo", "validation": "validated"}


async def test_who_read_an_older_one_neither_changes_nor_deletes_it(
    services: MessagingServices,
) -> None:
    """Whoever comes second reads what it is by now, also within one moment of the clock."""
    read = await services.saved_filters.create("Feria", AGREED, WHO)
    validated = ProspectFilter(validation=ValidationState.VALIDATED)
    kept = services.saved_filters
    first = await kept.change(read.id, "ana", chosen=validated, as_read=read.changed_at)
    assert first.changed_at > read.changed_at
    now = "changed by ana meanwhile. It is now Feria: People whose number is: Validated"
    with pytest.raises(Conflict, match=now):
        await kept.change(read.id, "eva", name="Marzo", as_read=read.changed_at)
    with pytest.raises(Conflict, match=now):
        await kept.delete(read.id, "eva", as_read=read.changed_at)
    again = await kept.change(read.id, "eva", name="Marzo", as_read=first.changed_at)
    assert (again.name, again.filter) == ("Marzo", validated)
    assert (await kept.change(read.id, "eva", name="Abril")).name == "Abril"


async def test_a_count_says_who_opted_out_and_has_nobody_of_ours(
    services: MessagingServices,
) -> None:
    """As the audience of a campaign counts: a user's own number was for a test message."""
    saved = await services.saved_filters.create("Sosa", ProspectFilter(text="sosa"), WHO)
    assert (saved.count, saved.suppressed) == (3, 0)
    [contact] = await add_people(services, 1, first=4)
    await services.suppression.suppress(
        contact, source=SuppressionSource.OPERATOR, reason="They asked.", who=WHO
    )
    ours = ProspectInput(
        phone="+5491150000009",
        cartera_origen=TEST_MESSAGE_ORIGIN,
        permission=Permission.RELATIONSHIP,
        name="Eva Sosa",
    )
    await services.prospects.create(ours, WHO)
    counted = await services.saved_filters.get(saved.id)
    campaign = await make_draft(services, saved_filter=saved.id)
    audience = await services.campaigns.count_audience(campaign)
    assert (counted.count, counted.suppressed) == (audience.total, audience.suppressed) == (4, 1)


async def test_nothing_prints_who_is_searched_for(services: MessagingServices) -> None:
    """A record in a log or in a traceback says which fields a filter has, not what is in them."""
    chosen = ProspectFilter(text="Ana Sosa", permission=Permission.OPTED_IN)
    saved = await services.saved_filters.create("Ana", chosen, WHO)
    change = CampaignChange(name="Marzo", typed="Hola Ana", audience=chosen)
    view = FilterView(
        fields={"text": "Ana Sosa"},
        sentence="People with “Ana Sosa”",
        count=ProspectCount(1, 0),
        chosen=None,
        stored_sentence="People with “Ana Sosa”",
        gone=False,
    )
    page = ProspectsPageQuery(text="Ana Sosa", after="pro_1")
    assert [repr(each) for each in (chosen, saved, change, view, page)] == [
        "ProspectFilter(text, permission)",
        f"SavedFilter({saved.id!r})",
        "CampaignChange(name, typed, audience)",
        "FilterView(text)",
        "ProspectFilter(text)",
    ]
