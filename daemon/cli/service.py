"""`leadmaster service`: installs the systemd units, and makes what they need."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from daemon.cli.console import print_hint, print_text
from daemon.cli.context import CommandGroup
from daemon.errors import LeadMasterError

PACKAGE_PREFIX: Final = "/opt/leadmaster"
"""Where the package of Debian has its environment; the shipped units name it."""
SECRET_FILE: Final = Path("/etc/leadmaster/secrets/jwt_secret")
"""What LoadCredential= of the core's unit names."""
TARGETS_FILE: Final = Path("/etc/leadmaster/secrets/alerts.toml")
"""What LoadCredential= of the alerts' unit names."""
_NO_TARGETS: Final = """\
# Who is woken when something is wrong: addresses, each in quotes and with a comma after it.
# After a change: leadmaster alerts test
targets = [
    # "ntfys://ntfy.sh/A-TOPIC-THAT-NOBODY-GUESSES",
    # "tgram://TOKEN-OF-A-BOT/CHAT-ID",
    # "mailtos://USER:PASSWORD@example.org?to=you@example.org",
]
# An address of a service that wakes you when it was not asked for in time, such as healthchecks.io.
ping = ""
"""
UNIT_SUFFIXES: Final = (".service", ".socket", ".timer", ".path")
LINKED_SLOTS: Final = ("1", "2", "3", "4")
"""The instances of the linked phones' units that an installation enables."""
_PACKAGED_UNIT: Final = Path("/usr/lib/systemd/system/leadmaster.service")
_UNITS: Final = Path("/etc/systemd/system")
_SYSUSERS: Final = Path("/etc/sysusers.d/leadmaster.conf")
_TMPFILES: Final = Path("/etc/tmpfiles.d/leadmaster.conf")
_HIDDEN_FROM_UNITS: Final = ("/home", "/root", "/run/user")
"""The folders that ProtectHome= hides from a unit."""
_LIMIT_SECONDS: Final = 60.0
_SECRET_BYTES: Final = 32
_OTHERS_MAY_ENTER: Final = 0o001


class ServiceNotInstalled(LeadMasterError):
    """The systemd service can't be installed, prepared or removed here."""

    code = "service"
    status = 409
    hint = "See docs/how-to/install-on-debian.md"


class UnitFiles(Struct, frozen=True):
    """The units as they are shipped, in one folder."""

    folder: Path

    def list_units(self, *, linked: bool) -> list[Path]:
        """Return the unit files of the core, or those of the linked phones' workers."""
        paths = [path for path in sorted(self.folder.iterdir()) if path.suffix in UNIT_SUFFIXES]
        return [path for path in paths if path.name.startswith("leadmaster-linked@") is linked]

    def list_enabled_units(self, *, linked: bool) -> list[str]:
        """Return the names of the units with an [Install] section; a template by its slots."""
        names = [
            path.name
            for path in self.list_units(linked=linked)
            if "[Install]" in path.read_text("utf-8")
        ]
        return [
            name.replace("@", f"@{slot}")
            for name in names
            for slot in (LINKED_SLOTS if "@" in name else ("",))
        ]

    def list_drop_ins(self, systemd_version: int) -> list[Path]:
        """Return the drop-ins for a systemd: `10-systemd-255.conf` is for 255 and later."""
        return [
            path
            for path in sorted(self.folder.glob("*.d/*-systemd-*.conf"))
            if systemd_version >= int(path.stem.rpartition("-")[2])
        ]


def find_unit_files() -> UnitFiles:
    """Return the units of this installation, or of the checkout that this is."""
    installed = Path(sys.prefix) / "share" / "leadmaster" / "systemd"
    checkout = Path(__file__).parents[2] / "systemd"
    return UnitFiles(installed if installed.exists() else checkout)


@click.group(cls=CommandGroup)
def service() -> None:
    """Install LeadMaster as a systemd service. The package of Debian does so by itself."""


@service.command("install")
def install_service() -> None:
    """Install user, units and secrets for the LeadMaster that this command belongs to."""
    _require_root()
    if _PACKAGED_UNIT.exists():
        raise ServiceNotInstalled(
            "The package of Debian is installed here, and it has the units.",
            hint="Remove it first (apt-get remove leadmaster), or use it alone.",
        )
    _require_visible_prefix(Path(sys.prefix))
    files = find_unit_files()
    enabled = _copy_units(files)
    prepare_installation()
    _call("systemctl", "enable", *enabled)
    if Path("/run/systemd/system").is_dir():
        _call("systemctl", "daemon-reload")
        _call("systemctl", "start", *(name for name in enabled if not name.endswith(".service")))
        _call("systemctl", "restart", "leadmaster.service")
    print_text(f"The units are in {_UNITS}, and start {sys.prefix}/bin/leadmaster.")
    print_hint("Next: leadmaster users add NAME --role admin --link-only")


@service.command("prepare")
def prepare_service() -> None:
    """Make user, folders, secrets and bytecode; what is there already stays as it is."""
    _require_root()
    prepare_installation()


@service.command("remove")
def remove_service() -> None:
    """Remove the units that `service install` made; data, settings and secrets stay."""
    _require_root()
    files = find_unit_files()
    names = [*_list_enabled_here(files)]
    if not (_UNITS / "leadmaster.service").exists():
        raise ServiceNotInstalled(
            f"There is no {_UNITS}/leadmaster.service to remove.",
            hint="The package of Debian is removed by: apt-get remove leadmaster",
        )
    if Path("/run/systemd/system").is_dir():
        _call("systemctl", "stop", *names)
    _call("systemctl", "disable", *names)
    for linked in (False, True):
        for path in files.list_units(linked=linked):
            (_UNITS / path.name).unlink(missing_ok=True)
    shutil.rmtree(_UNITS / "leadmaster.service.d", ignore_errors=True)
    for path in (_SYSUSERS, _TMPFILES):
        path.unlink(missing_ok=True)
    print_text("The units are removed. The data is kept; to delete it for ever:")
    print_hint("rm -rf /var/lib/leadmaster /var/lib/leadmaster-linked /etc/leadmaster")


def prepare_installation() -> None:
    """Make what the units need and can't make themselves. It may be repeated at any time.

    The user and the folders are those of `sysusers.d` and `tmpfiles.d`. Bytecode is compiled here
    since a unit can't write where the code is. Raises :class:`ServiceNotInstalled`.
    """
    _call("systemd-sysusers", "leadmaster.conf")
    _call("systemd-tmpfiles", "--create", "leadmaster.conf")
    _ensure_secret(SECRET_FILE)
    _ensure_targets_file(TARGETS_FILE)
    _compile_bytecode(Path(sys.prefix))


def _ensure_secret(path: Path) -> None:
    """Make the secret that signs tokens; one that is there stays, readable by root alone."""
    import secrets

    from storage.state_folder import create_durably

    if path.exists():
        path.chmod(0o600)
        return
    # As text: a person can copy it to another machine.
    create_durably(path, secrets.token_urlsafe(_SECRET_BYTES).encode("ascii"))


def _ensure_targets_file(path: Path) -> None:
    """Make the file of who is woken, with nobody in it; one that is there stays."""
    from storage.state_folder import create_durably

    if path.exists():
        path.chmod(0o600)
        return
    create_durably(path, _NO_TARGETS.encode())


def _compile_bytecode(prefix: Path) -> None:
    import compileall
    from py_compile import PycInvalidationMode

    for folder in prefix.glob("lib/python3*/site-packages"):
        # Not a fault: some packages have templates with the ending of Python.
        compileall.compile_dir(
            folder, quiet=2, workers=0, invalidation_mode=PycInvalidationMode.TIMESTAMP
        )


def _copy_units(files: UnitFiles) -> list[str]:
    """Copy users, folders and units into /etc; return the names of the units to enable."""
    for source, target in (("sysusers", _SYSUSERS), ("tmpfiles", _TMPFILES)):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files.folder / f"leadmaster.{source}", target)
    linked = _has_linked_library()
    paths = [*files.list_units(linked=False), *files.list_drop_ins(_read_systemd_version())]
    if linked:
        paths += files.list_units(linked=True)
    for path in paths:
        target = _UNITS / path.relative_to(files.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text("utf-8")
        target.write_text(text.replace(f"{PACKAGE_PREFIX}/bin", f"{sys.prefix}/bin"), "utf-8")
    return [*_list_enabled_here(files)]


def _list_enabled_here(files: UnitFiles) -> Iterator[str]:
    yield from files.list_enabled_units(linked=False)
    if _has_linked_library():
        yield from files.list_enabled_units(linked=True)


def _has_linked_library() -> bool:
    from importlib.util import find_spec

    return find_spec("neonize") is not None


def _read_systemd_version() -> int:
    found = re.match(r"systemd (\d+)", _call("systemctl", "--version"))
    return int(found[1]) if found else 0


def _require_root() -> None:
    import os

    if os.geteuid() != 0:
        raise ServiceNotInstalled(
            "Only root may install a service.", hint="Try: sudo leadmaster service …"
        )


def _require_visible_prefix(prefix: Path) -> None:
    """Raise :class:`ServiceNotInstalled` where a unit's user could not read this environment."""
    # The interpreter too: uv may have put one of its own beside its tools.
    for path in (prefix.resolve(), Path(sys.executable).resolve()):
        closed = [each for each in path.parents if not each.stat().st_mode & _OTHERS_MAY_ENTER]
        if closed or str(path).startswith(_HIDDEN_FROM_UNITS):
            raise ServiceNotInstalled(
                f"{path} is hidden from the service, which runs as a user of its own.",
                hint="Install it where all may read: UV_TOOL_DIR=/opt/uv-tools"
                " UV_TOOL_BIN_DIR=/usr/local/bin UV_PYTHON_INSTALL_DIR=/opt/uv-python"
                " uv tool install …",
            )


def _call(*command: str) -> str:
    """Run a command of systemd and return its output; raise :class:`ServiceNotInstalled`."""
    if shutil.which(command[0]) is None:
        raise ServiceNotInstalled(
            f"{command[0]} is not here, so there is no systemd to install a service for.",
            hint="Without systemd, start it yourself: leadmaster run",
        )
    try:
        done = subprocess.run(  # noqa: S603 - a command of systemd, with names of ours
            command, capture_output=True, text=True, timeout=_LIMIT_SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        raise ServiceNotInstalled(
            f"`{' '.join(command)}` did not end within {_LIMIT_SECONDS:.0f} seconds."
        ) from None
    except subprocess.CalledProcessError as error:
        raise ServiceNotInstalled(
            f"`{' '.join(command)}` failed: {str(error.stderr).strip()}"
        ) from None
    return done.stdout
