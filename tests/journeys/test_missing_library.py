"""An installation without the extra `linked`: what a session of that channel says, everywhere."""

from __future__ import annotations

import site
import subprocess
import sys
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.helpers.client.process import DaemonProcess, poll_until

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
"""
INSTALL = "pip install 'leadmaster[linked]' && sudo apt-get install libmagic1"
SENTENCE = f"The library for linked devices is not installed; install it with: {INSTALL}"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment with every package but the library."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for installed in site.getsitepackages():
        for each in Path(installed).iterdir():
            if not each.name.startswith("neonize"):
                (packages / each.name).symlink_to(each)
    return str(folder / "bin" / "python")


@pytest.fixture
def daemon(tmp_path: Path, python: str) -> Iterator[DaemonProcess]:
    """A daemon of that environment, with a session of the channel that was started."""
    started = DaemonProcess(tmp_path, SETTINGS.format(folder=tmp_path), python=python)
    started.start()
    started.run_command("sessions", "add", "ventas", "--channel", "linked", "--start")
    poll_until(lambda: find_failed(started), "it failed")
    yield started
    started.kill()


def find_failed(daemon: DaemonProcess) -> dict[str, Any] | None:
    """Return the session once it failed."""
    found: dict[str, Any] = daemon.client.get("sessions", "ventas")
    return found if found["state"] == "failed" else None


def open_page(daemon: DaemonProcess, path: str, language: str) -> str:
    """Return a page of the console, signed in as Ana."""
    daemon.run_command("users", "add", "ana", "--role", "admin", "--link-only")
    link = next(each for each in daemon.run_command("open", "ana").split() if "/sign-in#" in each)
    base, _, secret = link.partition("/sign-in#")
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    body = f'{{"link": "{secret}"}}'.encode()
    headers = {"Content-Type": "application/json"}
    with browser.open(Request(f"{base}/v1/sign-in/link", body, headers)):  # noqa: S310 - loopback
        pass
    with browser.open(Request(base + path, headers={"Accept-Language": language})) as page:  # noqa: S310
        return str(page.read().decode())


def test_the_sentence_has_the_command_that_installs_it(daemon: DaemonProcess) -> None:
    """One sentence in the answer, on the command line and in the events; nothing is tried again."""
    view = find_failed(daemon)
    assert view is not None
    assert (view["status"], view["reason_code"], view["sentence"], view["deadline"]) == (
        "FAILED", "channel_not_opened", SENTENCE, None
    )  # fmt: skip
    assert SENTENCE in " ".join(daemon.run_command("sessions", "list").split())


def test_the_page_of_the_session_says_it_in_the_readers_language(daemon: DaemonProcess) -> None:
    """The command stays as it is."""
    page = open_page(daemon, "/sessions/ventas", "es")
    assert "La biblioteca para vincular teléfonos no está instalada; se instala con:" in page
    assert "leadmaster[linked]" in page
    assert "libmagic1" in page
