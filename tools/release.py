"""Make a release: version, change log, public names, a commit, all files built twice, a tag.

    python -m tools.release VERSION [--without-packages]

Run it on a clean tree whose suite is green. The version goes into `pyproject.toml`, and what is
under `Unreleased` in the change log gets it as heading. Wheel and packages are built twice, the
second time with empty caches; where one is not the same byte for byte there is no tag. Nothing is
pushed.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tools.build_package import CACHE, build_packages, build_wheel, read_epoch
from tools.debian_roots import RELEASES, RootCommandFailed, RootNotMade
from tools.public_names import RELEASED, ROOT, list_announced_breaks

VERSION: Final = re.compile(r"\d+\.\d+\.\d+")
_PROJECT: Final = re.compile(r'^version = "(.+)"$', re.MULTILINE)
_HEADINGS: Final = re.compile(r"^## \[(\d+\.\d+\.\d+)\]", re.MULTILINE)
_UNRELEASED: Final = "## [Unreleased]\n"
SUMS: Final = "SHA256SUMS"


class ReleaseRefused(Exception):
    """No release is made; the text says why, and what to do."""


def prepare_release(root: Path, version: str, today: str) -> None:
    """Write the version and its heading into a tree; raise :class:`ReleaseRefused`."""
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    check_version(version, changelog)
    head, _, rest = changelog.partition(_UNRELEASED)
    (root / "CHANGELOG.md").write_text(f"{head}{_UNRELEASED}\n## [{version}] - {today}\n{rest}")
    project = root / "pyproject.toml"
    text, count = _PROJECT.subn(f'version = "{version}"', project.read_text("utf-8"), count=1)
    if count != 1:
        raise ReleaseRefused("pyproject.toml has no version to replace.")
    project.write_text(text, "utf-8")


def check_version(version: str, changelog: str) -> None:
    """Raise :class:`ReleaseRefused` for a version that can't follow those of a change log."""
    if VERSION.fullmatch(version) is None:
        raise ReleaseRefused(f"{version} is no version: three numbers with dots, such as 0.2.0.")
    unreleased = changelog.partition(_UNRELEASED)[2].partition("\n## [")[0]
    if not re.search(r"^- ", unreleased, re.MULTILINE):
        raise ReleaseRefused("The change log says nothing under [Unreleased].")
    latest = max(map(_read_numbers, _HEADINGS.findall(changelog)), default=(0, 0, 0))
    if _read_numbers(version) <= latest:
        raise ReleaseRefused(f"{version} does not follow {'.'.join(map(str, latest))}.")
    # What may break: the first number, or before 1.0 the second one.
    part = 2 if latest[0] == 0 else 1
    if list_announced_breaks(changelog) and _read_numbers(version)[:part] == latest[:part]:
        raise ReleaseRefused(
            f"The change log announces a break, and {version} is no version that may have one:"
            " raise its first number, or before 1.0 its second."
        )


def _read_numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def build_release(root: Path, output: Path, *, cache: Path, packages: bool) -> None:
    """Build the wheel, and the packages of each Debian, into a folder."""
    build_wheel(root, output, read_epoch(root))
    if packages:
        for release in RELEASES.values():
            build_packages(root, release, output, cache=cache)


def require_equal(first: Path, second: Path) -> None:
    """Raise :class:`ReleaseRefused` where two folders do not hold the same files."""
    sums = [hash_files(first), hash_files(second)]
    names = sorted({name for each in sums for name in each})
    unequal = [name for name in names if sums[0].get(name) != sums[1].get(name)]
    if unequal:
        raise ReleaseRefused(f"Built twice, and not equal: {', '.join(unequal)}.")


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder, by its name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix in {".whl", ".deb"}
    }


def make_release(version: str, *, packages: bool) -> Path:
    """Make a release of this tree; return the folder of its files. Raises ReleaseRefused."""
    if _git("status", "--porcelain"):
        raise ReleaseRefused("The tree has changes that are not committed: git status")
    prepare_release(ROOT, version, f"{datetime.now(UTC):%Y-%m-%d}")
    # In a process of its own: the code that describes itself is the one with the new version.
    subprocess.run([sys.executable, "-m", "tools.public_names", "--write"], cwd=ROOT, check=True)
    _git("add", "pyproject.toml", "CHANGELOG.md", str(RELEASED))
    _git("commit", "--quiet", "-m", f"Release {version}")
    output = ROOT / "dist"
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="leadmaster-release-") as folder:
        second = Path(folder)
        build_release(ROOT, output, cache=CACHE, packages=packages)
        build_release(ROOT, second / "dist", cache=second / "cache", packages=packages)
        try:
            require_equal(output, second / "dist")
        except ReleaseRefused as error:
            hint = "No tag was made; git reset --hard HEAD~1 takes the commit back."
            raise ReleaseRefused(f"{error} {hint}") from None
    lines = [f"{digest}  {name}\n" for name, digest in hash_files(output).items()]
    (output / SUMS).write_text("".join(lines), "utf-8")
    _git("tag", "--annotate", f"v{version}", "-m", f"LeadMaster {version}")
    return output


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseRefused(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout


def main() -> None:
    """Make the release that the command line names, and print its files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("version")
    parser.add_argument(
        "--without-packages", action="store_true", help="The wheel alone, which needs no root."
    )
    wanted = parser.parse_args()
    try:
        output = make_release(wanted.version, packages=not wanted.without_packages)
    except (ReleaseRefused, RootNotMade, RootCommandFailed) as error:
        sys.exit(str(error))
    print((output / SUMS).read_text("utf-8"), end="")
    print(f"Tagged v{wanted.version}. To publish it: git push origin HEAD v{wanted.version}")


if __name__ == "__main__":
    main()
