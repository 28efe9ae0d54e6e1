"""Fixtures of a root with the service in it, one for each release, which a module's tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.systemd.booted.booted_root import BootedRoot, mount_root
from tests.systemd.booted.booted_service import BootedService, run_booted_service
from tests.systemd.booted.installation import install_packages, plant_faults
from tests.systemd.booted.network_namespace import create_network_namespace
from tests.systemd.booted.releases import BOOTED_RELEASES, BootedRelease, provide_layers
from tests.systemd.built_packages import provide_packages

MEMORY_BYTES = 1 << 30
"""For all that runs in a root: what takes more meets the kernel's out-of-memory killer."""
RELEASES_VARIABLE = "BOOTED_RELEASES"
"""Versions of systemd, such as `254`: without it those that CI boots."""


def list_releases() -> list[BootedRelease]:
    """Return the releases to boot."""
    asked = os.environ.get(RELEASES_VARIABLE, "252 257").split()
    return [release for release in BOOTED_RELEASES if str(release.systemd) in asked]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what CI looks at on one release, its last, unless releases were asked for."""
    if RELEASES_VARIABLE in os.environ:
        return
    *others, _ = list_releases()
    left_out = [
        item
        for item in items
        if item.get_closest_marker("last_release")
        and isinstance(item, pytest.Function)
        and item.callspec.params["release"] in others
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module", params=list_releases(), ids=lambda release: str(release.systemd))
def release(request: pytest.FixtureRequest) -> BootedRelease:
    """Return the release whose root is booted."""
    found: BootedRelease = request.param
    return found


@pytest.fixture(scope="module")
def root(release: BootedRelease) -> Iterator[BootedRoot]:
    """Return a booted root in which the packages were installed; this thread is in its network."""
    layers, packages = provide_layers(release), provide_packages(release.debian)
    with (
        tempfile.TemporaryDirectory(prefix="lm-") as folder,
        create_network_namespace() as network,
        mount_root(layers, Path(folder), network) as root,
    ):
        root.boot(MEMORY_BYTES)
        install_packages(root, packages)
        plant_faults(root)
        with network.entered():
            yield root


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(root: BootedRoot) -> AsyncIterator[BootedService]:
    """Return the running service, with a linked phone."""
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        async with run_booted_service(root, Path(folder)) as service:
            yield service
