"""The rules changed by form: who would flip, by name; then written, accepted, and undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser, Page, expect

from daemon.settings import RulesSettings
from statemachines.message import MessageState
from tests.helpers.client.browser import list_axe_violations, open_page, wait_until_live
from tests.helpers.client.console import (
    ConsoleServer,
    open_console,
    wait_for_message_state,
)
from tests.helpers.client.http import build_settings

PHONE = "+5491141234567"
OURS = """\
# Ours.
format: leadmaster/gate@1
vetoes:
  - id: many_links
    reason: "Thirty links are too many"
    when: {message.links|gte: 30}
"""
CHILDREN = 20_000  # milliseconds that a trial and a backtest may take on a busy machine


@pytest.fixture
def own(short_folder: Path) -> Path:
    """Return the operator's folder, with a file that somebody wrote."""
    made = short_folder / "rules.d"
    made.mkdir()
    (made / "gate.yaml").write_text(OURS, encoding="utf-8")
    return made


@pytest.fixture
async def desk(short_folder: Path, own: Path) -> AsyncIterator[ConsoleServer]:
    """Open a house whose rules may be changed, and in which Ana was written to."""
    settings = msgspec.structs.replace(
        build_settings(short_folder), rules=RulesSettings(dir=str(own))
    )
    async with open_console(settings) as console:
        await written_to(console)
        yield console


async def written_to(console: ConsoleServer) -> None:
    """Write to somebody who said that we may; her score allows it."""
    await console.add_ready_session()
    entry = {"phone": PHONE, "name": "Ana", "cartera_origen": "feria", "permission": "opted_in"}
    made = await console.api.post("/v1/prospects", **entry, statement="signed at the fair")
    assert made.status == 201, made.document
    word = {"validated": True, "reason": "I called her"}
    await console.api.post(f"/v1/prospects/{made.document['id']}/validate", **word)
    reply = await console.api.call("POST", "/v1/messages", json={"to": PHONE, "text": "Hola Ana"})
    await wait_for_message_state(
        console, reply.document["id"], {MessageState.SENT, MessageState.DELIVERED}
    )


async def asked(page: Page, name: str, value: int) -> None:
    """Ask who would flip if a number were another."""
    await page.get_by_role("button", name=f"Change {name}", exact=True).first.click()
    await page.locator("#number-value").fill(str(value))
    await page.get_by_role("button", name="See which decisions change").click()


async def answered(page: Page, button: str, reason: str) -> None:
    """Give the reason that a dialog asks for, and press its button."""
    await page.get_by_label("Why?").fill(reason, timeout=CHILDREN)
    await page.locator("#dialog").get_by_role("button", name=button).click()
    await expect(page.locator("#dialog[open]")).to_have_count(0, timeout=CHILDREN)


@pytest.mark.timeout(120)
async def test_a_threshold_is_changed_accepted_and_rolled_back(
    desk: ConsoleServer, browser: Browser, own: Path
) -> None:
    """By somebody who never saw YAML: Ana by name before and after, then the file, then live."""
    before = desk.services.rulesets.gate.ruleset.hash
    async with open_page(browser, desk, "/rules") as page:
        await wait_until_live(page)
        await asked(page, "allow", 99)
        flips = page.locator(".flip-list")
        await expect(flips).to_contain_text("Ana", timeout=CHILDREN)
        await expect(flips.locator('[data-state="allow"]')).to_be_visible()
        await expect(flips.locator('[data-state="review"]')).to_be_visible()
        assert await list_axe_violations(page) == []
        assert "99" not in (own / "gate.yaml").read_text(encoding="utf-8")
        await answered(page, "Change 70 to 99", "look at everybody first")
        state = page.locator(".ruleset-admin")
        await expect(state.locator('[data-state="waiting"]')).to_be_visible()
        text = (own / "gate.yaml").read_text(encoding="utf-8")
        assert text.startswith("# Ours.\n")
        assert "{verdict: allow, from: 99}" in text
        assert desk.services.rulesets.gate.ruleset.hash == before
        await state.get_by_role("button", name="Accept").click()
        await answered(page, "Accept", "agreed with sales")
        await expect(state.locator('[data-state="live"]')).to_be_visible()
        assert desk.services.rulesets.gate.ruleset.hash != before
        await expect(page.locator("#ruleset-gate ~ .thresholds")).to_contain_text("from 99")
        await page.locator("#rules-history summary").click()
        row = page.locator("#rules-history li").first
        await expect(row).to_contain_text("70 → 99")
        await expect(row).to_contain_text("agreed with sales")
        await row.get_by_role("button", name="Take the change out").click()
        await answered(page, "Roll back to this", "too careful")
        await expect(page.locator("#ruleset-gate ~ .thresholds")).to_contain_text("from 70")
        assert desk.services.rulesets.gate.ruleset.hash == before
        await expect(page.locator("#folder-differs")).to_have_count(0)
        assert (own / "gate.yaml").read_text(encoding="utf-8") == OURS


@pytest.mark.timeout(120)
async def test_points_are_live_at_once_and_a_bad_number_says_why(
    desk: ConsoleServer, browser: Browser
) -> None:
    """The hash on the page is the new one; what can't be is refused before it is written."""
    before = desk.services.rulesets.gate.ruleset.hash
    async with open_page(browser, desk, "/rules") as page:
        await wait_until_live(page)
        await asked(page, "allow", 40)
        problem = page.locator("#bounds-value")
        await expect(problem).to_have_text("It goes from 51 to 100.")
        await expect(page.get_by_label("Points (now")).to_be_focused()
        await expect(page.get_by_label("Points (now")).to_have_value("40")
        assert await list_axe_violations(page) == []
        await page.locator("#flips [data-close]").click()
        await asked(page, "unanswered", -20)
        await expect(page.locator("#flips")).to_contain_text(
            "takes effect at once", timeout=CHILDREN
        )
        await answered(page, "Change -15 to -20", "they hardly ever answer")
        await expect(page.locator('.ruleset-admin [data-state="live"]')).to_be_visible()
        hash_ = desk.services.rulesets.gate.ruleset.hash
        assert hash_ != before
        await expect(page.locator(f'section.ruleset code[title="{hash_}"]')).to_be_visible()


@pytest.mark.timeout(120)
async def test_both_ends_of_a_ramp_and_a_cap_are_changed(
    desk: ConsoleServer, browser: Browser, own: Path
) -> None:
    """Value and points of each end; what a person cannot mean is told by its field."""
    async with open_page(browser, desk, "/rules") as page:
        await wait_until_live(page)
        await page.get_by_role("button", name="Change stale", exact=True).click()
        ends = page.get_by_role("group", name="End", exact=True)
        await ends.get_by_label("At the value").fill("20")
        await page.get_by_role("button", name="See which decisions change").click()
        await expect(ends.get_by_role("alert")).to_have_text(
            "A ramp ends at a higher value than it starts."
        )
        await ends.get_by_label("At the value").fill("60")
        await ends.get_by_label("Points there").fill("-40")
        await page.get_by_role("button", name="See which decisions change").click()
        await expect(page.locator("#flips")).to_contain_text(
            "takes effect at once", timeout=CHILDREN
        )
        await expect(page.locator("#rule-fields [role=alert]")).to_have_count(0)
        assert await list_axe_violations(page) == []
        await answered(page, "Change the points", "it ages faster than we thought")
        row = page.locator("tr", has=page.locator("#rule-gate-stale"))
        await expect(row).to_contain_text("0 at 30, -40 at 60")
        await asked(page, "fatigue", 40)
        await answered(page, "Change 25 to 40", "both together are worse")
        await expect(page.locator("#ruleset-gate ~ p", has_text="Together")).to_contain_text("40")
        text = (own / "gate.yaml").read_text(encoding="utf-8")
        assert text.startswith("# Ours.\n")
        assert "from: [30, 0], to: [60, -40]" in text
        assert "fatigue: {cap: 40}" in text


async def test_without_a_folder_the_page_says_what_to_do(
    short_folder: Path, browser: Browser
) -> None:
    """And offers no form that could only fail."""
    settings = msgspec.structs.replace(build_settings(short_folder), rules=RulesSettings(dir=""))
    async with open_console(settings) as console, open_page(browser, console, "/rules") as page:
        await expect(page.locator("#no-folder")).to_contain_text("Set dir under [rules]")
        await expect(page.get_by_role("button", name="Change")).to_have_count(0)
