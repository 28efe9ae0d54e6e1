"""What a person does and sees: link a phone, watch it drop, stop everything, read why."""

from __future__ import annotations

import re

from playwright.async_api import Browser, expect

from storage import audit, messages
from tests.helpers.client.browser import PHONE_VIEWPORT, open_page, wait_until_live
from tests.helpers.client.console import ANA_CSV, ConsoleServer

TWO_SECONDS = 2_000


async def test_a_phone_is_linked_without_reload(console: ConsoleServer, browser: Browser) -> None:
    """The code appears, its ring counts down, it is scanned, and the card settles to ready."""
    await console.add_session(scan_after=2.5)
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        await page.evaluate("window.sameDocument = true")
        await page.get_by_role("button", name="Start").click()
        await expect(page.locator(".pairing-code svg")).to_be_visible()
        await expect(page.get_by_text("Code 1 of 6")).to_be_visible()
        seconds = page.locator(".countdown-seconds")
        await expect(seconds).to_have_text(re.compile(r"^5\d$"))  # of the first code's sixty
        left = page.locator(".ring-left")
        assert float(await left.get_attribute("stroke-dashoffset") or 0) > 0
        await expect(page.locator('[data-state="ready"]')).to_be_visible(timeout=15_000)
        await expect(page.locator(".pairing-code")).to_have_count(0)
        assert await page.evaluate("window.sameDocument")


async def test_a_scanned_code_fills_its_ring(console: ConsoleServer, browser: Browser) -> None:
    """Between the scan and ready the card says that the phone is being linked."""
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        await console.add_session(scan_after=1.0, step=1.0)
        await page.goto("/sessions/ventas")
        await wait_until_live(page)
        await page.get_by_role("button", name="Start").click()
        await expect(page.locator(".linking .ring.full")).to_be_visible(timeout=10_000)
        await expect(page.locator('.session [data-state="ready"]')).to_be_visible(timeout=10_000)


async def test_a_session_that_drops_is_seen_within_two_seconds(
    console: ConsoleServer, browser: Browser
) -> None:
    """Whoever looks sees it at once, in the server's words, with when it tries again."""
    await console.add_session(line=[{"at": 0.5, "do": "disconnect"}])
    async with open_page(browser, console, "/sessions/ventas") as page:
        await wait_until_live(page)
        await console.api.post("/v1/sessions/ventas/start")
        await console.wait_for_session_state("ventas", {"backoff"})
        pill = page.locator('.session [data-state="backoff"]')
        await expect(pill).to_be_visible(timeout=TWO_SECONDS)
        said = console.services.sessions.view("ventas").sentence
        await expect(page.locator(".session .status-sentence")).to_have_text(said)


async def test_a_broken_stream_is_said_and_mended(console: ConsoleServer, browser: Browser) -> None:
    """Nothing stale looks fresh: since when, and that it tries again; then all is fetched anew."""
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        await page.context.set_offline(True)
        await page.evaluate("dispatchEvent(new Event('offline'))")
        status = page.locator("#live")
        await expect(status).to_have_text(
            re.compile(r"Not live since \d\d:\d\d, trying again"), timeout=TWO_SECONDS
        )
        await expect(page.locator("body.stale")).to_have_count(1)
        await page.context.set_offline(False)
        await expect(status).to_have_text("Live", timeout=20_000)
        await expect(page.locator("body.stale")).to_have_count(0)


async def test_a_daemon_that_stops_is_noticed_within_two_seconds_and_its_return_as_well(
    console: ConsoleServer, browser: Browser
) -> None:
    """The page says since when; once the daemon is back, it shows what happened meanwhile."""
    async with open_page(browser, console, "/") as page:
        await wait_until_live(page)
        await console.stop_serving()
        await expect(page.locator("#live")).to_contain_text("Not live", timeout=TWO_SECONDS)
        await console.services.halt.halt("eva", "while nobody could see it")
        await console.serve_again()
        await expect(page.locator("#live")).to_have_text("Live", timeout=20_000)
        await expect(page.locator("#halt-banner")).to_contain_text("eva stopped all sending")
        await expect(page.locator("body.stale")).to_have_count(0)


async def test_everything_is_stopped_and_goes_on(console: ConsoleServer, browser: Browser) -> None:
    """Shift and h ask; enter stops; every page says so; going on needs a reason."""
    async with open_page(browser, console, "/messages") as page:
        await wait_until_live(page)
        await page.keyboard.press("Shift+H")
        dialog = page.locator("#dialog")
        await expect(dialog).to_be_visible()
        await expect(dialog).to_contain_text("Nothing goes out, not even replies")
        await page.keyboard.press("Enter")
        banner = page.locator("#halt-banner")
        await expect(banner).to_contain_text("ana stopped all sending")
        await banner.get_by_role("button", name="Resume").click()
        resume = dialog.get_by_role("button", name="Resume sending")
        await resume.click()
        await expect(dialog).to_be_visible()  # without a reason nothing happens
        assert await console.services.halt.get_current() is not None
        await dialog.get_by_label("Why can sending resume?").fill("it was a drill")
        await resume.click()
        await expect(banner).to_be_empty()
        assert await console.services.halt.get_current() is None


async def test_a_dialog_never_shows_what_an_earlier_one_left(
    console: ConsoleServer, browser: Browser
) -> None:
    """Without an answer it stays closed, and a toast says why; a slow one is asked for once."""
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        dialog = page.locator("#dialog")
        await page.keyboard.press("Shift+H")
        await expect(dialog).to_contain_text("Nothing goes out, not even replies")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        for end, said in (
            (lambda route: route.abort(), "The service does not answer"),
            (lambda route: route.fulfill(status=503), "refused"),
        ):
            await page.route("**/pieces/sessions/new", end, times=1)
            await page.get_by_role("button", name="Add a phone").first.click()
            await expect(page.locator("#toasts")).to_contain_text(said)
            await expect(dialog).to_be_hidden()
        await page.get_by_role("button", name="Add a phone").first.click()
        await expect(dialog).to_be_visible()
        await expect(dialog).not_to_contain_text("Nothing goes out")


async def test_a_message_is_cancelled_unless_it_is_taken_back(
    console: ConsoleServer, browser: Browser
) -> None:
    """For ten seconds nothing is sent to the server; a page that is left decides at once."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await console.import_list(ANA_CSV, statement="ticked the box")
    order = {"to": "+5491141234567", "text": "Hola", "not_before": "2026-03-05T14:00:00Z"}
    reply = await console.api.call("POST", "/v1/messages?wait=verdict", json=order)
    identity = reply.document["id"]
    async with open_page(browser, console, f"/messages/{identity}") as page:
        await wait_until_live(page)
        for taken_back in (True, False):
            await page.get_by_role("button", name="Cancel message").click()
            await page.locator("#dialog input").fill("changed my mind")
            await page.locator("#dialog .danger").click()
            undo = page.get_by_role("button", name=re.compile("Undo"))
            await expect(undo).to_be_visible()
            found = await console.services.database.read(
                lambda r: messages.require_message(r, identity)
            )
            assert found.state != "cancelled"
            if taken_back:
                await undo.click()
                await expect(undo).to_have_count(0)
        await page.goto("/messages")
        await expect(page.locator('[data-state="cancelled"]')).to_be_visible()


async def test_the_keyboard_goes_everywhere(console: ConsoleServer, browser: Browser) -> None:
    """G and a letter go to a page, / to the search, ? to the help; j and k move, enter opens."""
    for name in ("ventas", "soporte"):
        await console.api.post("/v1/sessions", name=name, channel="simulated")
    async with open_page(browser, console, "/") as page:
        await wait_until_live(page)
        today = page.get_by_role("link", name="Today", exact=True)
        await expect(today).to_have_attribute("aria-keyshortcuts", "g t")
        await page.keyboard.press("g")
        await page.keyboard.press("m")
        await page.wait_for_url("**/messages")
        await page.keyboard.press("/")
        await expect(page.locator("#search")).to_be_focused()
        await page.keyboard.press("g")  # typed, not obeyed
        await page.keyboard.press("t")
        await expect(page.locator("#search")).to_have_value("gt")
        await page.goto("/sessions")
        await wait_until_live(page)
        await page.keyboard.press("?")
        await expect(page.locator("#help")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#help")).to_be_hidden()
        for key, name in (("j", "ventas"), ("j", "soporte"), ("k", "ventas")):
            await page.keyboard.press(key)
            await expect(page.locator(f"#session-{name}")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/sessions/ventas")


async def test_a_busy_page_takes_two_keys_for_as_close_as_they_were(
    console: ConsoleServer, browser: Browser
) -> None:
    """What counts is when they were pressed, not when the page got round to them."""
    async with open_page(browser, console, "/") as page:
        await wait_until_live(page)
        await page.keyboard.press("g")
        busy = "setTimeout(() => { for (const end = Date.now() + 3500; Date.now() < end;); })"
        await page.evaluate(busy)
        await page.keyboard.press("m")
        await page.wait_for_url("**/messages")


async def test_a_key_is_heard_at_once_after_the_help_was_closed(
    console: ConsoleServer, browser: Browser
) -> None:
    """Until the next frame its field has the focus still; nobody types into what is hidden."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    key = "new KeyboardEvent('keydown', { key: 'j', bubbles: true })"
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        await page.evaluate(f"document.getElementById('keys-on').dispatchEvent({key})")
        await expect(page.locator("#session-ventas")).to_be_focused(timeout=5_000)


async def test_a_number_is_masked_until_asked(console: ConsoleServer, browser: Browser) -> None:
    """A press shows it, and the audit says who pressed."""
    await console.add_ready_session()
    phone = console.services.sessions.view("ventas").phone
    assert phone is not None
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        assert phone not in await page.content()
        await page.locator(".reveal").click()
        await expect(page.locator(".reveal")).to_have_text(phone)
    entries = await console.services.database.read(
        lambda r: audit.list_subject_audit_entries(r, "ventas")
    )
    assert entries[-1].action == "number_revealed"


async def test_a_session_is_added_from_a_phone(console: ConsoleServer, browser: Browser) -> None:
    """At the width of a phone everything is reached, and nothing leaves the screen sideways."""
    async with open_page(browser, console, "/", viewport=PHONE_VIEWPORT, has_touch=True) as page:
        await wait_until_live(page)
        await page.get_by_role("link", name="Add a phone").click()
        await page.get_by_role("button", name="Add a phone").click()
        await page.get_by_label("Name").fill("ventas")
        await page.get_by_label("How it connects to WhatsApp").select_option("simulated")
        await page.get_by_role("button", name="Add and link").click()
        await expect(page.locator("#session-ventas")).to_be_visible()
        await expect(page.locator(".pairing-code svg")).to_be_visible()
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE_VIEWPORT["width"]


async def test_a_problem_is_said_where_it_happened(
    console: ConsoleServer, browser: Browser
) -> None:
    """The server's sentence and its hint stand in the form, which keeps what was typed."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        await page.get_by_role("button", name="Add a phone").click()
        await page.get_by_label("Name").fill("ventas")
        await page.get_by_role("button", name="Add and link").click()
        problem = page.locator("#dialog .problem")
        await expect(problem).to_contain_text("The name 'ventas' is taken")
        await expect(problem).to_contain_text("Choose another name.")
        await expect(page.get_by_label("Name")).to_have_value("ventas")


async def test_a_session_that_somebody_else_adds_appears_and_goes(
    console: ConsoleServer, browser: Browser
) -> None:
    """The list is as new as the news, and what is new is told to whoever listens."""
    async with open_page(browser, console, "/sessions") as page:
        await wait_until_live(page)
        await console.api.post("/v1/sessions", name="ventas", channel="simulated")
        await expect(page.locator("#session-ventas")).to_be_visible()
        await expect(page.locator("#announcer")).to_contain_text("ventas: ")
        await console.api.call("DELETE", "/v1/sessions/ventas")
        await expect(page.locator("#session-ventas")).to_have_count(0)
