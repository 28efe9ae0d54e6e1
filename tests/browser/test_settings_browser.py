"""Settings in Chromium: tokens are shown once, an administrator stays, raises need reasons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser, expect

from daemon.auth import Role
from daemon.backup.status import BackupStatus, SealedCopy, write_status
from daemon.contacts.number_lists import NumberListOptions
from daemon.settings import PacingSettings
from tests.helpers.client.browser import (
    SIZES,
    choose_look,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings, build_wall_clock_settings
from tests.helpers.receivers import open_receivers

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


@pytest.mark.parametrize("size", SIZES)
async def test_4_a_late_backup_is_amber_and_says_how_to_restore(
    browser: Browser, short_folder: Path, size: str
) -> None:
    """Age, place and the last tested restore; over 26 hours it asks to be looked at."""
    look, settings = choose_look(size, 4), build_wall_clock_settings(short_folder)
    old = datetime.now(UTC) - timedelta(hours=50)
    copy = SealedCopy("monday.age", old, 3_000_000, old, {}, 0)
    known = BackupStatus(
        recipient="age1x",
        key_made_at=old,
        key_confirmed_at=old,
        places=("/srv/copies",),
        burns_with_server=False,
        copies=(copy,),
        last_tested_restore=old,
    )
    write_status(settings, known)
    async with (
        open_console(settings) as console,
        open_page(browser, console, "/backups", **look.options) as page,
    ):
        await wait_until_live(page)
        state = page.locator("#backup-state")
        await expect(state.locator("[data-state=late]")).to_be_visible()
        await expect(state).to_contain_text("/srv/copies")
        await expect(state).to_contain_text("2.9 MB")
        await expect(page.locator("main")).to_contain_text("leadmaster restore monday.age")
        link = page.locator("a[download='monday.age']")
        await expect(link).to_have_attribute("href", "/v1/backups/monday.age")
        assert await list_axe_violations(page) == []
        fresh = msgspec.structs.replace(copy, made_at=datetime.now(UTC))
        write_status(settings, msgspec.structs.replace(known, copies=(fresh,)))
        await page.reload()
        await expect(state.locator("[data-state=fine]")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", SIZES)
async def test_5_a_test_alert_reaches_its_target_and_the_page_says_so(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Each target by its place and kind, never by its address."""
    look = choose_look(size, 5)
    with open_receivers() as receivers:
        path = console.services.settings.state_dir / "alerts.toml"
        [ntfy, *_] = receivers.list_targets()
        path.write_text(receivers.write_targets_file([ntfy]), encoding="utf-8")
        path.chmod(0o600)
        async with open_page(browser, console, "/alerts", **look.options) as page:
            await wait_until_live(page)
            await look.press(page.locator("[data-dialog='/pieces/alerts/test']"))
            await look.press(page.locator("#dialog button.primary").first)
            answer = page.locator("#dialog [data-once-list] li")
            await expect(answer).to_contain_text(look.say("took it", "lo recib"), timeout=60_000)
            assert "a-secret-topic" not in await page.content()
            assert (await asyncio.to_thread(receivers.take)).by == "ntfy"
            assert await list_axe_violations(page) == []
            await look.press(page.locator("#dialog a.primary"))
            await expect(page.locator("#dialog")).to_be_hidden()
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", SIZES)
async def test_6_personal_data_says_how_long_it_is_kept_and_how_old_the_register_is(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """The retention that is set, and an amber mark where the register is older than 30 days."""
    look, services = choose_look(size, 6), console.services
    async with open_page(browser, console, "/personal-data", **look.options) as page:
        await wait_until_live(page)
        registers = page.locator("#registers")
        await expect(registers.locator("[data-state=none]")).to_be_visible()
        await expect(page.locator("main")).to_contain_text(look.say("180 days", "180 días"))
        path = services.settings.state_dir / "register.csv"
        path.write_text("phone\n+5491141234567\n", encoding="utf-8")
        for days, state in ((40, "old"), (3, "in_force")):
            dated = services.clock.now().date() - timedelta(days=days)
            await services.do_not_call.import_register(
                path, NumberListOptions(), country="AR", dated=dated, who="ana"
            )
            await page.reload()
            await expect(registers.locator(f"[data-state={state}]")).to_be_visible()
        await expect(registers.locator("[data-register=AR]").first).to_contain_text("ana")
        assert await list_axe_violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
