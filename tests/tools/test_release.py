"""`make release`: a version follows the last one, and its files are built twice and equal."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tools.release import ReleaseRefused, check_version, prepare_release, require_equal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n- A change.\n\n## [0.3.1] - 2026-01-01\n\n- Old.\n"
BREAK = CHANGELOG.replace("- A change.", "- **Breaks:** `Ban.phone` is gone.")


@pytest.mark.parametrize(
    ("version", "changelog", "sentence"),
    [
        ("0.4", CHANGELOG, "is no version"),
        ("0.3.1", CHANGELOG, "does not follow 0.3.1"),
        ("0.2.9", CHANGELOG, "does not follow 0.3.1"),
        ("0.4.0", CHANGELOG.replace("- A change.\n", ""), "says nothing under"),
        ("0.3.2", BREAK, "announces a break"),
        ("1.0.1", BREAK.replace("0.3.1", "1.0.0"), "announces a break"),
        ("1.1.0", BREAK.replace("0.3.1", "1.0.0"), "announces a break"),
    ],
)
def test_a_version_that_can_not_follow_is_refused(
    version: str, changelog: str, sentence: str
) -> None:
    """With the reason; nothing is written."""
    with pytest.raises(ReleaseRefused, match=sentence):
        check_version(version, changelog)


@pytest.mark.parametrize(
    ("version", "changelog"),
    [
        ("0.3.2", CHANGELOG),
        ("0.4.0", BREAK),
        ("1.0.0", BREAK),
        ("0.1.0", "## [Unreleased]\n\n- 1\n"),
    ],
)
def test_a_version_that_follows_is_taken(version: str, changelog: str, tmp_path: Path) -> None:
    """A break has a higher number before the last one; the tree then has the version."""
    (tmp_path / "CHANGELOG.md").write_text(changelog, "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.0.1"\n', "utf-8")
    prepare_release(tmp_path, version, "2026-11-30")
    assert f"## [{version}] - 2026-11-30" in (tmp_path / "CHANGELOG.md").read_text("utf-8")
    assert f'version = "{version}"' in (tmp_path / "pyproject.toml").read_text("utf-8")


def test_the_heading_takes_what_was_unreleased(tmp_path: Path) -> None:
    """A new empty heading stands above it; the project has the version."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.3.1"\n', "utf-8")
    prepare_release(tmp_path, "0.4.0", "2026-11-30")
    assert (
        (tmp_path / "CHANGELOG.md")
        .read_text("utf-8")
        .startswith("# Changelog\n\n## [Unreleased]\n\n## [0.4.0] - 2026-11-30\n\n- A change.\n")
    )
    assert 'version = "0.4.0"' in (tmp_path / "pyproject.toml").read_text("utf-8")


def test_files_that_differ_are_named(tmp_path: Path) -> None:
    """One byte, or a file that only one build has."""
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.whl").write_bytes(b"same")
        (tmp_path / folder / "b.deb").write_bytes(folder.encode())
    (tmp_path / "first" / "c.deb").write_bytes(b"")
    with pytest.raises(ReleaseRefused, match=r"not equal: b\.deb, c\.deb"):
        require_equal(tmp_path / "first", tmp_path / "second")


@pytest.mark.timeout(900)
def test_a_release_is_a_commit_a_tag_and_files_with_sums(tmp_path: Path) -> None:
    """In a clone: the wheel twice and equal, its sum, the heading, and a tag on the commit."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    for key, value in {"user.name": "test", "user.email": "test@localhost"}.items():
        subprocess.run(["git", "config", key, value], cwd=clone, check=True)
    command = [sys.executable, "-m", "tools.release", "98.0.0", "--without-packages"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    [wheel] = (clone / "dist").glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    sums = (clone / "dist" / "SHA256SUMS").read_text("utf-8")
    assert sums == f"{digest}  leadmaster-98.0.0-py3-none-any.whl\n"
    tags = subprocess.run(
        ["git", "tag", "--points-at", "HEAD"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert tags.stdout == "v98.0.0\n"
    assert "\n## [98.0.0] - " in (clone / "CHANGELOG.md").read_text("utf-8")
    again = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "says nothing under [Unreleased]" in again.stderr
