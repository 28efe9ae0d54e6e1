"""The packages of a tree, built once for all tests and kept between runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.build_package import build_packages, read_epoch
from tools.debian_roots import DEFAULT_CACHE, RELEASES

ROOT: Final = Path(__file__).parents[2]
COMPRESSION: Final = 1
"""In a hurry: what is inside is the same."""
_KEPT_SECONDS: Final = 6 * 3600


def get_cache() -> Path:
    """Return the folder of what is kept between runs, outside of the tree."""
    return Path(os.environ.get("LEADMASTER_ROOTS", DEFAULT_CACHE))


def provide_packages(debian: str, source: Path = ROOT) -> Sequence[Path]:
    """Return the packages of a tree for Debian `12` or `13`, the core's first; build them once.

    Who asks for the same tree meanwhile waits for them.
    """
    output = get_cache() / f"packages-{_hash_tree(source)}-{debian}"
    with lock_path(output):
        if not output.exists():
            draft = output.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            build_packages(source, RELEASES[debian], draft, compression=COMPRESSION)
            _remove_old_packages(debian)
            draft.rename(output)
    return sorted(output.glob("*.deb"), key=lambda path: len(path.name))


def repack_packages(packages: Sequence[Path], version: str, folder: Path) -> Sequence[Path]:
    """Return packages that differ from these in their version alone."""
    later = []
    for package in packages:
        tree, built = folder / package.stem, folder / f"later-{package.name}"
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        control = tree / "DEBIAN" / "control"
        text = control.read_text("utf-8")
        [before] = re.findall(r"^Version: (.+)$", text, re.MULTILINE)
        control.write_text(text.replace(before, version), "utf-8")
        subprocess.run(["dpkg-deb", "-Znone", "--build", tree, built], check=True)
        shutil.rmtree(tree)
        later.append(built)
    return later


@contextmanager
def lock_path(path: Path) -> Iterator[None]:
    """Hold a lock of this path: the other processes of the suite want the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hash_tree(source: Path) -> str:
    """Return what the packages are made of, as one word."""
    folders = ("daemon", "rules", "statemachines", "storage", "systemd", "requirements", "tools")
    names = (*folders, "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *names],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = hashlib.sha256(str(read_epoch(source)).encode())
    for name in sorted(listed.splitlines()):
        if (source / name).exists():
            found.update(name.encode() + b"\0" + (source / name).read_bytes())
    return found.hexdigest()[:12]


def _remove_old_packages(debian: str) -> None:
    """Remove what was built of other trees, but for those that a run of today may use."""
    for path in get_cache().glob(f"packages-*-{debian}"):
        if path.stat().st_mtime < time.time() - _KEPT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
