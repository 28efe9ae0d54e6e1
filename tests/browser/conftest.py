"""A console for each test, and a browser to look at it."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from playwright.async_api import Browser

from daemon.settings import SimulatedSettings
from tests.helpers.client.browser import launch_chromium
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings

HERE: Final = Path(__file__).parent
SIZE_PARAMETERS: Final = {"size", "way", "where", "viewport"}
"""By what a test is told on which screen it looks."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `CONSOLE_SHORT`, look at each promise on one size only, on the sizes by turns."""
    if "CONSOLE_SHORT" not in os.environ:
        return
    sized = [each for each in items if HERE in each.path.parents and has_sizes(each)]
    left_out: set[str] = set()
    groups = itertools.groupby(sized, lambda each: each.nodeid.partition("[")[0])
    for turn, (_, group) in enumerate(groups):
        names = [each.nodeid for each in group]
        left_out |= {*names} - {names[turn % len(names)]}
    config.hook.pytest_deselected(items=[each for each in items if each.nodeid in left_out])
    items[:] = [each for each in items if each.nodeid not in left_out]


def has_sizes(item: pytest.Item) -> bool:
    """Return whether nothing but the size tells an item from its like."""
    call = getattr(item, "callspec", None)
    return call is not None and call.params.keys() <= SIZE_PARAMETERS


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console whose codes stay long enough to be seen before they are scanned."""
    unhurried = msgspec.structs.replace(build_settings(short_folder), simulated=SimulatedSettings())
    async with open_console(unhurried) as made:
        yield made


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Start a Chromium."""
    async with launch_chromium() as started:
        yield started
