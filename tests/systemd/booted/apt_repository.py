"""What a blank root installs: an archive of apt in a folder, with all that our packages need."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.systemd.booted.booted_root import BootedRoot
from tests.systemd.built_packages import get_cache, lock_path
from tools.debian_roots import RELEASES, RootSession, ensure_root, list_network_settings

_PLACE: Final = "/srv/repository"
_ARCHIVES: Final = Path("var/cache/apt/archives")
_DOWNLOAD: Final = """set -eu
rm -f /etc/apt/apt.conf.d/docker-clean
apt-get update -qq
apt-get install -qq -y --no-install-recommends --download-only "$@"
"""


def provide_archive(debian: str, packages: Sequence[Path], names: Sequence[str]) -> Path:
    """Return a folder with what apt would fetch to install our packages, and others by name.

    It is kept between runs, and made where it is missing, with Debian's mirror.
    """
    root = ensure_root(RELEASES[debian], "server")
    needed = [_read_field(package, "Depends") for package in packages]
    key = hashlib.sha256("\n".join((root.name, *needed, *names)).encode()).hexdigest()[:12]
    archive = get_cache() / f"archive-{RELEASES[debian].codename}-{key}"
    with lock_path(archive):
        if not archive.exists():
            session = RootSession(root, archive.with_suffix(".new"))
            shutil.rmtree(session.layer, ignore_errors=True)
            files, variables = list_network_settings()
            binds = {**files, **{path: f"/packages/{path.name}" for path in packages}}
            ours = [f"/packages/{path.name}" for path in packages]
            command = ["sh", "-c", _DOWNLOAD, "download", *ours, *names]
            session.run(command, binds=binds, environment=variables, network=True)
            fetched = session.changes / _ARCHIVES
            (fetched / "Packages").write_text(_build_index(fetched), "utf-8")
            fetched.rename(archive)
            shutil.rmtree(session.layer)
    return archive


def use_archive(root: BootedRoot, archive: Path) -> None:
    """Let apt of a root that is not booted yet fetch from an archive alone, and ask nothing."""
    shutil.rmtree(root.get_path("/etc/apt/sources.list.d"), ignore_errors=True)
    root.write("/etc/apt/sources.list", f"deb [trusted=yes] file:{_PLACE} ./\n")
    root.write(
        "/etc/apt/apt.conf.d/90-test",
        'APT::Get::Assume-Yes "true";\nAPT::Install-Recommends "false";\n',
    )
    for path in archive.iterdir():
        if path.is_file():
            root.copy(path, f"{_PLACE}/{path.name}")


def _build_index(folder: Path) -> str:
    """Return the list of the packages in a folder, as apt reads it."""
    entries = []
    for path in sorted(folder.glob("*.deb")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        fields = _read_field(path).rstrip("\n")
        where = f"Filename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"
        entries.append(f"{fields}\n{where}")
    return "\n".join(entries)


def _read_field(package: Path, *names: str) -> str:
    """Return one field of a package, or all of them with their names."""
    command = ["dpkg-deb", "--field", str(package), *names]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
