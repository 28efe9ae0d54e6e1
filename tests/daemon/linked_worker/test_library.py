"""Where the library can't be loaded, a worker says in one sentence what to install."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.linked_worker.__main__ import parse_arguments
from daemon.linked_worker.driver import list_drivers
from daemon.linked_worker.neonize_driver.library import LIBRARY, REQUIRED_VERSION

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PROGRAM = """
from daemon.linked_worker.driver import DriverUnavailable
from daemon.linked_worker.neonize_driver.library import load_library
try:
    load_library()
except DriverUnavailable as reason:
    print(reason)
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return a folder with every installed package, as links."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for installed in site.getsitepackages():
        for each in Path(installed).iterdir():
            (folder / each.name).symlink_to(each)
    return folder


def load(packages: Path) -> str:
    """Return what a process with these packages alone says of the library."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": f"{packages}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout.strip()


def remove_library(packages: Path) -> None:
    """Remove the library, as where the extra was not installed."""
    for link in packages.glob(f"{LIBRARY}*"):
        link.unlink()


def copy_library(packages: Path, without: str) -> None:
    """Replace the library's folder with one that lacks what a pattern names."""
    link = packages / LIBRARY
    original = link.resolve()
    link.unlink()
    link.mkdir()
    for each in original.iterdir():
        if not each.match(without):
            (link / each.name).symlink_to(each)


def test_a_library_that_is_there_is_loaded(packages: Path) -> None:
    """The tests below would pass in any broken environment otherwise."""
    assert load(packages) == ""


def test_without_the_extra_the_command_that_installs_it_is_named(packages: Path) -> None:
    """And the package of the system that it needs."""
    remove_library(packages)
    said = load(packages)
    assert "is not installed" in said
    assert "pip install 'leadmaster[linked]'" in said
    assert "libmagic1" in said


def test_another_version_of_the_library_is_not_used(packages: Path) -> None:
    """The driver knows the ways of one."""
    metadata = packages / f"{LIBRARY}-{REQUIRED_VERSION}.dist-info"
    metadata.unlink()
    other = packages / f"{LIBRARY}-0.3.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Name: neonize\nVersion: 0.3.9\n", encoding="utf-8")
    assert "0.3.9" in load(packages)
    assert REQUIRED_VERSION in load(packages)


def test_a_package_without_its_shared_library_is_not_imported(packages: Path) -> None:
    """It would download one."""
    copy_library(packages, "*.so")
    said = load(packages)
    assert "lacks neonize-linux-" in said
    assert "glibc" in said


def test_without_libmagic_the_package_of_the_system_is_named(packages: Path) -> None:
    """The library's own words say neither that nor where to get it."""
    (packages / "magic").unlink()
    (packages / "magic.py").write_text(
        "raise ImportError('failed to find libmagic.  Check your installation')", encoding="utf-8"
    )
    assert load(packages).endswith("sudo apt-get install libmagic1")


def test_a_driver_that_is_not_there_is_refused_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is loaded."""
    with pytest.raises(SystemExit):
        parse_arguments(
            ["--driver", "other", "--session", "a", "--folder", "b", "--permit-key", "c"]
        )
    assert all(name in capsys.readouterr().err for name in list_drivers())
