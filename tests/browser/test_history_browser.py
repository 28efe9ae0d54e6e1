"""The past on the import page: one file from the drop to the list, and a declaration."""

from __future__ import annotations

from playwright.async_api import Browser, FilePayload, expect

from storage import history
from storage.tx import Tx
from tests.helpers.client.browser import list_axe_violations, open_page
from tests.helpers.client.console import ConsoleServer

CHATS = (
    "teléfono;fecha y hora;sentido;mensaje\n"
    "+5491145550001;2025-03-01 10:00;recibido;BAJA\n"
    "+5491145550002;2025-03-01 09:00;OUTBOX;Hola\n"
).encode()


def forget_declaration(tx: Tx) -> None:
    """Let nobody have said that there is no history."""
    tx.execute("DELETE FROM history_declarations")


async def test_a_history_is_previewed_answered_and_imported(
    browser: Browser, console: ConsoleServer
) -> None:
    """From the Today page; the button comes once the unknown word has its meaning."""
    await console.services.database.write(forget_declaration)
    async with open_page(browser, console, "/") as page:
        await page.locator("#todo-history").click()
        await expect(page.locator(".tab[aria-current=page]")).to_have_attribute(
            "href", "/prospects/import/history"
        )
        file: FilePayload = {"name": "chats.csv", "mimeType": "text/csv", "buffer": CHATS}
        await page.locator("#import input[type=file]").set_input_files(file)
        await expect(page.locator("#preview-name")).to_have_text("chats.csv")
        await expect(page.locator("[data-plan]")).to_have_count(0)
        assert await list_axe_violations(page) == []
        await page.locator("#for-unknown-1").select_option("sent")
        await page.locator("[data-plan]").click()
        await expect(page.locator("main .list strong")).to_have_text("chats.csv")
        await expect(page.locator("#preview-name")).to_have_count(0)
    status = await console.services.database.read(history.is_history_settled)
    assert status
    assert await console.services.suppression.check("+5491145550001")


async def test_a_person_declares_that_there_is_nothing(
    browser: Browser, console: ConsoleServer
) -> None:
    """With a reason; the page shows who said it, and asks no more."""
    await console.services.database.write(forget_declaration)
    async with open_page(browser, console, "/prospects/import/history") as page:
        await page.locator("[data-dialog='/pieces/history/none']").click()
        await page.locator("#dialog [name=reason]").fill("a new firm")
        await page.locator("#dialog button.primary").click()
        await expect(page.locator("main")).to_contain_text("a new firm")
        await expect(page.locator("[data-dialog='/pieces/history/none']")).to_have_count(0)
