"""Saved filters on the pages of prospects and campaigns: as they are saved, changed, and gone."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from daemon.http.console.saved_filters import SAVED_FILTER_ACTIONS, SHOWN_FILTERS
from storage import imports
from storage.tx import Tx
from tests.helpers.client.console import HTMX_HEADERS, ConsoleServer, get_page

pytestmark = pytest.mark.slow

LIST = "Nombre;Teléfono;Origen\nAna;+5491141234567;feria\nDora;+5491141234569;web\n".encode()


async def save_filter(console: ConsoleServer, **fields: str) -> str:
    """Import two people, keep a filter called Feria, and return its id."""
    await console.import_list(LIST)
    made = await console.api.post("/v1/saved-filters", name="Feria", filter=fields)
    return str(made.document["id"])


async def show(console: ConsoleServer, path: str, **headers: str) -> str:
    """Return a page."""
    page: str = (await get_page(console, path, **headers)).document
    return page


async def test_its_address_shows_it_as_it_is_saved_now(console: ConsoleServer) -> None:
    """And with fields of its own an address is those fields, even where they are empty."""
    saved = await save_filter(console, text="feria")
    page = await show(console, f"/prospects?saved_filter={saved}")
    assert ("Ana" in page, "Dora" in page) == (True, False)
    assert 'value="feria"' in page
    assert "Rename" in page
    await console.api.call("PATCH", f"/v1/saved-filters/{saved}", json={"filter": {"text": "web"}})
    page = await show(console, f"/prospects?saved_filter={saved}")
    assert ("Ana" in page, "Dora" in page) == (False, True)
    cleared = await show(console, f"/prospects?saved_filter={saved}&text=&validation=")
    assert ("Ana" in cleared, "Dora" in cleared) == (True, True)
    assert "“Feria” is saved as: People with “web”" in cleared
    assert "Save the changes" not in cleared  # it would find everybody
    other = await show(console, f"/prospects?saved_filter={saved}&text=ana", **HTMX_HEADERS)
    assert "Save the changes" in other


async def test_a_plain_address_shows_everybody(console: ConsoleServer) -> None:
    """Also where a filter has a name that folds to nothing, from before that was refused."""
    await save_filter(console, text="feria")
    await console.services.database.write(
        lambda tx: tx.execute("UPDATE saved_filters SET folded_name = ''")
    )
    page = await show(console, "/prospects")
    assert ("Ana" in page, "Dora" in page) == (True, True)


async def test_the_row_has_exact_counts_and_the_chosen_one(console: ConsoleServer) -> None:
    """The counts come after the page, which does not wait for them."""
    saved = await save_filter(console, text="feria")
    page = await show(console, f"/prospects?saved_filter={saved}")
    assert re.search(rf'id="shown-{saved}"[^>]*aria-current="true"><bdi>Feria</bdi></a>', page)
    row = await show(console, f"/pieces/saved-filters?saved_filter={saved}", **HTMX_HEADERS)
    assert '<bdi>Feria</bdi> <span class="figure">1</span>' in row


async def test_of_many_a_few_are_shown_and_counted(console: ConsoleServer) -> None:
    """The chosen one first; all of them are behind one word, and are counted once it is opened."""
    saved = await save_filter(console, text="feria")
    for letter in "ABCDEFG":
        await console.api.post("/v1/saved-filters", name=letter, filter={"text": "web"})
    page = await show(console, f"/prospects?saved_filter={saved}")
    row, every = page.split('<details class="all-filters">')
    assert re.findall("<bdi>(.*?)</bdi>", row) == ["Feria", *"ABCDE"]
    assert "<summary>All filters (8)</summary>" in every
    assert re.findall('class="chip".*?<bdi>(.*?)</bdi>', every) == [*"ABCDEF", "Feria", "G"]
    counted = await show(console, f"/pieces/saved-filters?saved_filter={saved}", **HTMX_HEADERS)
    assert counted.count('class="figure"') == counted.count('class="chip"') == SHOWN_FILTERS
    counted = await show(console, "/pieces/saved-filters?all=true", **HTMX_HEADERS)
    assert counted.count('class="figure"') == 8
    searched = await show(console, f"/prospects?saved_filter={saved}&text=f", **HTMX_HEADERS)
    assert "/pieces/saved-filters?" not in searched


async def test_the_note_says_how_many_of_them_opted_out(console: ConsoleServer) -> None:
    """They stand apart, never inside the number that can be reached."""
    saved = await save_filter(console, text="feria")
    path = f"/prospects?saved_filter={saved}"
    assert "· 1 person</p>" in await show(console, path)
    await console.api.post("/v1/suppressions", phone="+5491141234567", reason="They asked.")
    assert "· 1 person, 1 of them opted out</p>" in await show(console, path)


async def test_one_that_somebody_deleted_says_so_on_old_pages(console: ConsoleServer) -> None:
    """Its list, its dialogs and the dialog of a campaign, which must not be for everybody."""
    saved = await save_filter(console, text="feria")
    await console.api.call("DELETE", f"/v1/saved-filters/{saved}")
    for path in (
        f"/prospects?saved_filter={saved}",
        f"/prospects?saved_filter={saved}&text=feria",
        f"/pieces/campaigns/new?saved_filter={saved}",
    ):
        assert "somebody deleted it" in await show(console, path), path
    for action in SAVED_FILTER_ACTIONS:
        gone = await console.api.get(f"/pieces/saved-filters/{saved}/{action}")
        assert gone.status == 404


@pytest.mark.parametrize("action", SAVED_FILTER_ACTIONS)
async def test_a_dialog_acts_on_what_it_showed(console: ConsoleServer, action: str) -> None:
    """Where somebody changed it meanwhile, it says what it is by now."""
    saved = await save_filter(console, text="feria")
    dialog = await show(console, f"/pieces/saved-filters/{saved}/{action}?text=web", **HTMX_HEADERS)
    [read] = re.findall(r'name="changed_at" value="([^"]+)"', dialog)
    one = f"/v1/saved-filters/{saved}"
    await console.api.call("PATCH", one, json={"filter": {"permission": "opted_in"}})
    query, body = "", {"name": "Otro", "changed_at": read}
    if action == "delete":  # which has no body
        query, body = f"?{urlencode({'changed_at': read})}", {}
    late = await console.api.call(
        "DELETE" if action == "delete" else "PATCH", one + query, json=body
    )
    assert late.status == 409
    assert "It is now Feria: People whose permission is: Agreed." in late.document["detail"]
    assert (await console.api.get(one)).document["name"] == "Feria"


async def test_a_draft_shows_which_one_its_audience_is(console: ConsoleServer) -> None:
    """By its fields: another one's change unties it; an import beyond the latest is still there."""
    saved = await save_filter(console, text="feria")
    made = await console.api.post("/v1/campaigns", name="Marzo", saved_filter=saved)
    path = f"/campaigns/{made.document['campaign']['id']}"
    assert f'<option value="{saved}" selected>Feria</option>' in await show(console, path)
    await console.api.call("PATCH", f"/v1/saved-filters/{saved}", json={"filter": {"text": "web"}})
    page = await show(console, path)
    assert f'<option value="{saved}">Feria</option>' in page
    assert "People with “feria”" in page


async def test_an_old_import_stays_in_a_draft(console: ConsoleServer) -> None:
    """A draft is saved as it is typed: a choice that its page lacks would be lost."""

    def begin_imports(tx: Tx) -> list[str]:
        at = console.services.clock.now()
        return [
            imports.begin_import(
                tx,
                content_hash=f"hash {n}",
                file_hash="hash",
                source="api",
                filename=f"lista {n}.csv",
                who="ana",
                options={},
                at=at,
            ).id
            for n in range(21)
        ]

    first, *_ = await console.services.database.write(begin_imports)
    latest = await console.services.database.read(imports.list_imports)
    assert first not in {each.record.id for each in latest}
    audience = {"import_id": first}
    made = await console.api.post("/v1/campaigns", name="Marzo", audience=audience)
    page = await show(console, f"/campaigns/{made.document['campaign']['id']}")
    assert f'<option value="{first}" selected>lista 0.csv</option>' in page
