"""An installation that can't load the library of linked phones: what a session says, everywhere."""

from __future__ import annotations

import html
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final
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


@dataclass(frozen=True)
class Missing:
    """What an environment lacks: ``names`` are patterns; ``files`` are put in its place."""

    names: tuple[str, ...]
    sentence: str
    spanish: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)


MISSING: Final = {
    "the extra": Missing(
        ("neonize*",),
        f"The library for linked devices is not installed; install it with: {INSTALL}",
        (
            "La biblioteca para vincular teléfonos no está instalada; se instala con:",
            "leadmaster[linked]",
            "libmagic1",
        ),
    ),
    "its shared library": Missing(
        ("neonize-linux-*.so",),
        "The installed library for linked devices lacks neonize-linux-",
        ("A la biblioteca instalada para vincular teléfonos le falta neonize-linux-",),
    ),
    "libmagic": Missing(
        ("magic",),
        "The library for linked devices needs libmagic, which is not here; install it with:"
        " sudo apt-get install libmagic1",
        (
            "La biblioteca para vincular teléfonos funciona con libmagic, que acá no está",
            "se instala con:",
            "sudo apt-get install libmagic1",
        ),
        {"magic.py": "raise ImportError('failed to find libmagic.  Check your installation')"},
    ),
}


@dataclass(frozen=True)
class Installation:
    """A running daemon, and what its environment lacks."""

    daemon: DaemonProcess
    missing: Missing


@pytest.fixture(scope="module", params=MISSING)
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A daemon with a session of the channel that was started."""
    missing, folder = MISSING[request.param], tmp_path_factory.mktemp("installation")
    started = DaemonProcess(
        folder,
        SETTINGS.format(folder=folder),
        python=build_environment(folder / "environment", missing),
    )
    started.start()
    started.run_command("sessions", "add", "ventas", "--channel", "linked", "--start")
    poll_until(lambda: find_failed(started), "it failed")
    yield Installation(started, missing)
    started.kill()


def build_environment(folder: Path, missing: Missing) -> str:
    """Make an environment with every installed package but these; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for installed in site.getsitepackages():
        for each in Path(installed).iterdir():
            link_package(each, packages / each.name, missing.names)
    for name, text in missing.files.items():
        (packages / name).write_text(text, encoding="utf-8")
    return str(folder / "bin" / "python")


def link_package(installed: Path, link: Path, missing: tuple[str, ...]) -> None:
    """Link a package, or each of its files where one of them is missing."""
    if any(installed.match(name) for name in missing):
        return
    if installed.is_dir() and any(any(installed.glob(name)) for name in missing):
        link.mkdir()
        for each in installed.iterdir():
            link_package(each, link / each.name, missing)
    else:
        link.symlink_to(installed)


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


def test_the_sentence_says_what_is_missing_and_what_to_do(installation: Installation) -> None:
    """One sentence in the answer, on the command line and in the events; nothing is tried again."""
    view = find_failed(installation.daemon)
    assert view is not None
    assert (view["status"], view["reason_code"], view["user_action"], view["deadline"]) == (
        "FAILED", "channel_not_opened", "acknowledge", None
    )  # fmt: skip
    sentence = installation.missing.sentence
    assert view["sentence"].startswith(sentence)
    assert sentence in " ".join(installation.daemon.run_command("sessions", "list").split())
    assert installation.daemon.get_document("/health")[0] == 200


def test_the_page_of_the_session_says_it_in_the_readers_language(
    installation: Installation,
) -> None:
    """Commands and names of files stay as they are."""
    page = html.unescape(open_page(installation.daemon, "/sessions/ventas", "es"))
    for words in installation.missing.spanish:
        assert words in page
