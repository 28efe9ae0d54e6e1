"""Settings in Chromium: tokens are shown once, an administrator stays, raises need reasons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser, expect

from daemon.auth import Role
from daemon.settings import PacingSettings
from tests.helpers.client.browser import (
    SIZES,
    choose_look,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with an administrator and an operator."""
    shipped = msgspec.structs.replace(build_settings(short_folder), pacing=PacingSettings())
    async with open_console(shipped) as made:
        for name, role in (("ana", Role.ADMIN), ("eva", Role.OPERATOR)):
            await made.services.auth.users.create_user(name, role, "root")
        yield made


@pytest.mark.parametrize("size", SIZES)
async def test_1_a_token_is_shown_once_and_what_it_may_follows_the_role(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Its value is in one answer; a lowered role lowers it; revoked, it is refused at once."""
    look = choose_look(size, 1)
    async with open_page(browser, console, "/tokens", **look.options) as page:
        await wait_until_live(page)
        await look.press(page.locator("[data-dialog='/pieces/tokens/new']"))
        await page.locator("#dialog [name=name]").fill("crm")
        await page.locator("#dialog [name=user]").select_option("eva")
        await page.locator("#dialog [value='messages:read']").check()
        await page.locator("#dialog [value='prospects:write']").check()
        await look.press(page.locator("#dialog button.primary").first)
        value = page.locator("#dialog [data-once-value]")
        await expect(value).to_be_visible()
        token = await value.input_value()
        assert await list_axe_violations(page) == []
        await look.press(page.locator("#dialog a.primary"))
        card = page.locator("main .card")
        await expect(card).to_have_count(1)
        assert token not in await page.content()
        await console.services.auth.users.set_role("eva", Role.VIEWER, "ana")
        await page.reload()
        lost = look.say("No longer, by the user's present role", "Ya no puede, por el rol de hoy")
        await expect(card).to_contain_text(lost)
        identity = await console.services.auth.tokens.verify_token(token)
        assert set(identity.scopes) == {"messages:read"}
        await page.reload()
        await expect(card).to_contain_text(look.say("used once", "usado 1 vez"))
        await look.press(card.locator("[data-dialog]"))
        used = look.say("It was used once today.", "Hoy se usó 1 vez.")
        await expect(page.locator("#dialog")).to_contain_text(used)
        await look.press(page.locator("#dialog .danger"))
        await expect(card.locator("[data-state=revoked]")).to_be_visible()
        assert await list_axe_violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", SIZES)
async def test_2_the_last_administrator_stays_and_others_come_in_by_a_link(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """The page offers no disabling of the last one; a user gets a link that works once."""
    look = choose_look(size, 2)
    async with open_page(browser, console, "/users", **look.options) as page:
        await wait_until_live(page)
        ana, eva = page.locator("#user-ana"), page.locator("#user-eva")
        await expect(ana).to_contain_text(look.say("The only administrator", "único administrador"))
        await expect(ana.locator("[data-dialog$='/disable']")).to_have_count(0)
        await look.press(eva.locator("[data-dialog$='/link']"))
        await look.press(page.locator("#dialog button.primary").first)
        value = page.locator("#dialog [data-once-value]")
        await expect(value).to_be_visible()
        secret = (await value.input_value()).partition("#")[2]
        assert (await console.services.auth.sign_ins.sign_in_with_link(secret, "")).user == "eva"
        await look.press(page.locator("#dialog [data-once-after] [data-close]"))
        await look.press(eva.locator("[data-dialog$='/phone']"))
        await page.locator("#dialog [name=phone]").fill("+54 9 11 4123-4567")
        await look.press(page.locator("#dialog button.primary"))
        await expect(eva).to_contain_text("••••-4567")
        await look.press(eva.locator("[data-dialog$='/disable']"))
        await look.press(page.locator("#dialog .danger"))
        await expect(eva.locator("[data-state=disabled]")).to_be_visible()
        assert await list_axe_violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", SIZES)
async def test_3_a_budget_is_lowered_by_one_press_and_raised_by_a_decision(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Without its reasons a raise is refused where it is asked for; with them it says its end."""
    await console.add_ready_session("ventas")
    look = choose_look(size, 3)
    async with open_page(browser, console, "/budgets", **look.options) as page:
        await wait_until_live(page)
        row = page.locator("[data-budget=new_chats]")
        await expect(row).to_contain_text(look.say("as the settings say", "como dice la config"))
        await look.press(row.locator("form button"))
        await expect(row).to_contain_text(look.say("set by ana", "puesto por ana"))
        [number] = await console.services.number_budgets.list_budgets()
        lowered = number.budgets[0].limit
        assert lowered == number.budgets[0].settings_limit - 1
        await look.press(row.locator("[data-dialog]"))
        dialog = page.locator("#dialog")
        await dialog.locator("[name=value]").fill("9")
        await look.press(dialog.locator("button.primary"))
        needed = "Raising a budget needs a decision"
        await expect(dialog.locator(".problem")).to_contain_text(needed)
        await dialog.locator("[name=reason]").fill("people ask for it")
        await dialog.locator("[name=lower_when]").fill("two opt-outs in twenty")
        await dialog.locator("[name=until]").select_option(index=1)
        assert await list_axe_violations(page) == []
        await look.press(dialog.locator("button.primary"))
        await expect(row).to_contain_text(look.say("until", "hasta el"))
        await look.press(page.locator("main summary"))
        await expect(page.locator("main details")).to_contain_text("two opt-outs in twenty")
        assert await list_axe_violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
