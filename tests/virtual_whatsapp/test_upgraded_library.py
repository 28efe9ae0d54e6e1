"""After an upgrade of the library that moved its root key, everything fails with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.virtual_whatsapp.library import (
    RootKeyNotFound,
    build_environment,
    check_root_key,
    find_library,
)
from tests.virtual_whatsapp.preload.sitecustomize import NOT_FOUND_STATUS, ROOT_KEY
from tests.virtual_whatsapp.server import VirtualWhatsApp

OTHER_KEY = bytes(reversed(ROOT_KEY))
WHAT_TO_DO = "WACertPubKey"


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """Return a folder with the library as an upgrade might leave it: with another root key."""
    library = find_library()
    package = tmp_path / "site" / library.parent.name
    package.mkdir(parents=True)
    for entry in library.parent.iterdir():
        if entry != library:
            (package / entry.name).symlink_to(entry)
    image = library.read_bytes()
    assert image.count(ROOT_KEY) == 1
    (package / library.name).write_bytes(image.replace(ROOT_KEY, OTHER_KEY))
    return package.parent


def load_library(site: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Load the library of that folder in a process that is to be led to a virtual WhatsApp."""
    places = {**os.environ, **environment}
    places["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{site}"
    return subprocess.run(
        [sys.executable, "-c", "import neonize.client; print('loaded')"],
        cwd=site,
        env=places,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_library_of_today_is_led_to_a_virtual_whatsapp(tmp_path: Path) -> None:
    """The key that it was shipped with is found once, in its file and in its memory."""
    check_root_key(find_library())
    done = load_library(tmp_path, build_environment("http://127.0.0.1:1", tmp_path, bytes(32)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "loaded\n", "")


def test_a_process_of_an_upgraded_library_ends_with_what_to_do(
    upgraded: Path, tmp_path: Path
) -> None:
    """Before anybody calls it: it would go to the real WhatsApp's key, and nowhere with it."""
    done = load_library(upgraded, build_environment("http://127.0.0.1:1", tmp_path, bytes(32)))
    assert (done.returncode, done.stdout) == (NOT_FOUND_STATUS, "")
    assert "root key is 0 times" in done.stderr
    assert WHAT_TO_DO in done.stderr


def test_a_test_of_an_upgraded_library_fails_before_it_begins(upgraded: Path) -> None:
    """And does not wait for a process whose last words nobody reads."""
    [library] = upgraded.glob("*/*.so")
    with pytest.raises(RootKeyNotFound, match=WHAT_TO_DO) as raised:
        VirtualWhatsApp(upgraded, library=library)
    assert library.name in str(raised.value)
