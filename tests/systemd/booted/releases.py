"""The releases that are booted: a Debian root with each systemd."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.systemd.built_packages import lock_path
from tools.debian_roots import RELEASES, RootSession, ensure_root, list_network_settings

_BACKPORT: Final = """set -eu
# The first source is Debian's archive, in either form of apt's.
site=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -nE 's/^URIs: *([^ ]+).*/\\1/p; s/^deb (\\[[^]]*\\] )?([^ ]+) .*/\\2/p' | head -n 1)
echo "deb $site $1-backports main" >/etc/apt/sources.list.d/backports.list
apt-get update -qq
apt-get install -qq -y -t "$1-backports" systemd systemd-sysv libnss-systemd
apt-get clean
"""


@dataclass(frozen=True, slots=True)
class BootedRelease:
    """A systemd by its version, and the Debian, by its number, that it is booted in."""

    systemd: int
    debian: str
    backported: bool = False


BOOTED_RELEASES: Final = (
    BootedRelease(252, "12"),
    BootedRelease(254, "12", backported=True),
    BootedRelease(257, "13"),
)


def provide_layers(release: BootedRelease) -> Sequence[Path]:
    """Return the folders that make a root of this release, the upper one first.

    They are kept between runs, and made where they are missing: in about a minute, with Debian's
    mirror. Raises :class:`tools.debian_roots.RootNotMade`.
    """
    debian = RELEASES[release.debian]
    root = ensure_root(debian, "boot")
    if not release.backported:
        return [root]
    layer = root.with_name(f"{root.name}-backports")
    with lock_path(layer):
        if not layer.exists():
            session = RootSession(root, layer.with_suffix(".new"))
            shutil.rmtree(session.layer, ignore_errors=True)
            files, variables = list_network_settings()
            command = ["sh", "-c", _BACKPORT, "backport", debian.codename]
            session.run(command, binds=files, environment=variables)
            session.layer.rename(layer)
    return [layer / "changes", root]
