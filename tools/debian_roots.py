"""Clean Debian roots: made once by mmdebstrap, kept, and entered without being changed.

    python -m tools.debian_roots --debian 12 --for boot     prints the root's folder

A root is a folder with a minimal Debian. `RootSession` runs commands in one over a layer of its
own, which takes what they change. Both need root. apt is asked as this machine asks it: the
sources of `/etc/apt`, with the release's name in place of this machine's.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APT: Final = Path("/etc/apt")
DEFAULT_CACHE: Final = "/var/cache/leadmaster-roots"
"""Outside the tree, so that a fresh clone finds what the last one made."""
PASSED_ON: Final = re.compile(r"(PIP|UV)_|.*(_CERT_FILE|_CA_BUNDLE|_proxy|_PROXY)$|SSL_CERT_DIR$")
"""Variables that say how this machine reaches its package registries."""


class RootNotMade(Exception):
    """A root can't be made or entered here; the text says why, and what to do."""


class RootCommandFailed(Exception):
    """A command in a root ended with an error; the text has all that it printed."""


@dataclass(frozen=True, slots=True)
class DebianRelease:
    """A release of Debian, and the Python that it has."""

    number: str
    codename: str
    python: str


RELEASES: Final[Mapping[str, DebianRelease]] = {
    "12": DebianRelease("12", "bookworm", "3.11"),
    "13": DebianRelease("13", "trixie", "3.13"),
}
ROOT_PACKAGES: Final[Mapping[str, Sequence[str]]] = {
    "build": (
        *("python3-venv", "python3-dev", "gcc", "libc6-dev", "binutils", "ca-certificates"),
        *("systemd", "procps"),  # a server that compiles LeadMaster itself has them besides
    ),
    "server": ("systemd", "systemd-sysv"),
    "boot": (
        *("python3", "systemd", "procps", "libmagic1", "libstdc++6"),
        *("systemd-sysv", "libnss-systemd"),  # what boots, and the names of dynamic users
        "libbpf1",  # without it systemd 257 leaves IPAddressDeny= out
    ),
}
"""What is added to a minimal Debian: to build the packages, what a blank server has, and to install
them without a network and boot. Few, since a clean machine makes each of them first."""


def ensure_root(release: DebianRelease, purpose: str) -> Path:
    """Return the folder of a root, and make it where it is not there yet (about a minute).

    Raises :class:`RootNotMade`.
    """
    require_root_rights()
    packages = ROOT_PACKAGES[purpose]
    sources = "".join(f"{name}\n{text}" for name, text in _read_apt_sources(release))
    key = hashlib.sha256("\n".join((*packages, sources)).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("LEADMASTER_ROOTS", DEFAULT_CACHE))
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{release.codename}-{purpose}-{key}"
    with (cache / f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            print(f"making {root}", file=sys.stderr)
            _make_root(root, release, packages)
    return root


def require_root_rights() -> None:
    """Raise :class:`RootNotMade` for a user who may neither mount nor change the root folder."""
    if os.geteuid() != 0:
        raise RootNotMade("A clean Debian root needs root's rights: run it again with sudo.")
    for command in ("mmdebstrap", "unshare", "ip", "dpkg-deb"):
        if shutil.which(command) is None:
            raise RootNotMade(
                f"{command} is not here: apt-get install mmdebstrap util-linux iproute2 dpkg"
            )


def _make_root(root: Path, release: DebianRelease, packages: Sequence[str]) -> None:
    draft = root.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    sources = [text for _, text in _read_apt_sources(release)]
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
    # By standard input: mmdebstrap takes lines and deb822 paragraphs alike, without a file name.
    done = subprocess.run(
        [*command, release.codename, os.fspath(draft), "-"],
        input="\n".join(sources),
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise RootNotMade(f"mmdebstrap could not make {release.codename}:\n{done.stderr[-2000:]}")
    draft.rename(root)


def _read_apt_sources(release: DebianRelease) -> list[tuple[str, str]]:
    """Return each file of apt's sources for a release: its name, and its text."""
    here = platform.freedesktop_os_release()
    if here.get("ID") != "debian":
        raise RootNotMade("Roots are made from the apt sources of a Debian; this is none.")
    paths = [APT / "sources.list"]
    for ending in ("*.list", "*.sources"):
        paths += sorted((APT / "sources.list.d").glob(ending))
    name = re.compile(rf"\b{re.escape(here['VERSION_CODENAME'])}\b")
    return [
        (path.name, name.sub(release.codename, text))
        for path in paths
        if path.exists() and name.search(text := path.read_text(encoding="utf-8"))
    ]


_ENTER: Final = """set -eu
merged=$1; options=$2; shift 2
mount -t overlay overlay -o "$options" "$merged"
mount -t proc proc "$merged/proc"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$merged/dev/pts"
while [ "$1" != -- ]; do
    mkdir -p "$(dirname "$merged$2")"
    if [ -d "$1" ]; then mkdir -p "$merged$2"; else : >>"$merged$2"; fi
    mount --bind "$1" "$merged$2"
    shift 2
done
shift
exec chroot "$merged" "$@"
"""


@dataclass(frozen=True, slots=True)
class RootSession:
    """A root over which `layer` takes each change; the root itself stays as it is."""

    root: Path
    layer: Path

    @property
    def changes(self) -> Path:
        """The folder of all files that commands made or changed."""
        return self.layer / "changes"

    def build_command(
        self,
        command: Sequence[str],
        *,
        binds: Mapping[Path, str] | None = None,
        network: bool = False,
    ) -> list[str]:
        """Return the command line that runs `command` inside, with folders and files of outside.

        It runs in mounts and processes of its own, which end with it; without `network` it has a
        loopback of its own alone.
        """
        for name in ("changes", "work", "merged"):
            (self.layer / name).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={self.root},upperdir={self.changes},workdir={self.layer / 'work'}"
        pairs = [text for path, inside in (binds or {}).items() for text in (str(path), inside)]
        shell = ["sh", "-c", _ENTER, "enter", str(self.layer / "merged"), options]
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        if not network:
            namespaces += ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "isolated"]
        return [*namespaces, *shell, *pairs, "--", *command]

    def run(
        self,
        command: Sequence[str],
        *,
        binds: Mapping[Path, str] | None = None,
        environment: Mapping[str, str] | None = None,
        network: bool = False,
        timeout: float = 600,
    ) -> str:
        """Run a command inside and return what it printed, errors too.

        Raises :class:`RootCommandFailed`.
        """
        done = subprocess.run(
            self.build_command(command, binds=binds, network=network),
            env=build_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise RootCommandFailed(f"exit status {done.returncode} in {self.root}:\n{done.stdout}")
        return done.stdout


def build_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command in a root: nothing of this machine's but its way out."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        **(more or {}),
    }


def list_network_settings() -> tuple[dict[Path, str], dict[str, str]]:
    """Return the files and variables by which this machine's package installers reach the world."""
    home = Path.home()
    candidates = {
        Path("/etc/resolv.conf"): "/etc/resolv.conf",
        Path("/etc/ssl/certs/ca-certificates.crt"): "/etc/ssl/certs/ca-certificates.crt",
        Path("/etc/uv"): "/etc/uv",
        home / ".config" / "uv": "/root/.config/uv",
    }
    variables = {name: text for name, text in os.environ.items() if PASSED_ON.match(name)}
    return {path: inside for path, inside in candidates.items() if path.exists()}, variables


@contextmanager
def open_session(root: Path, layer: Path) -> Iterator[RootSession]:
    """Open a session whose changes are deleted at its end."""
    try:
        yield RootSession(root, layer)
    finally:
        shutil.rmtree(layer, ignore_errors=True)


def main() -> None:
    """Print the folder of one root, made where need be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--debian", choices=RELEASES, required=True)
    parser.add_argument("--for", dest="purpose", choices=ROOT_PACKAGES, required=True)
    wanted = parser.parse_args()
    try:
        print(ensure_root(RELEASES[wanted.debian], wanted.purpose))
    except RootNotMade as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
