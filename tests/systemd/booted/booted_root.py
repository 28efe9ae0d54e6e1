"""One booted root: commands in it, its files, its journal, power off and reboot."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from daemon.subprocesses import with_parent_death_signal
from tests.systemd.booted.control_group import create_control_groups
from tests.systemd.booted.network_namespace import NetworkNamespace

BOOT_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 240.0  # an installation compiles all bytecode
_REBOOT_STATUS: Final = 133
_JOIN_GROUPS: Final = 'for g in $GROUPS_TO_JOIN; do echo $$ > "$g/cgroup.procs"; done; exec "$@"'
_NSPAWN: Final = (
    "systemd-nspawn",
    "--boot",
    "--quiet",
    "--register=no",
    "--keep-unit",
    "--console=passive",
    "--notify-ready=yes",
    # Without these IPAddressDeny= silently does nothing.
    "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON",
    "--system-call-filter=bpf",
)
_numbers = itertools.count()


class CommandFailed(Exception):
    """A command in the root ended with another status than 0; the text holds what it printed."""


class BootedRoot:
    """A root folder that runs as a machine would: its own systemd, processes, users and network.

    Its files are those of its layers, and what was written over them, which outlives a reboot.
    """

    def __init__(self, folder: Path, network: NetworkNamespace, disks: Mapping[Path, str]) -> None:
        self.path = folder / "root"
        """The root folder, as it is seen from outside."""
        self._folder = folder
        self._name = f"leadmaster-{os.getpid()}-{next(_numbers)}"
        self._network = network
        self._disks = disks
        self._leader = 0
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def boot(self, memory_bytes: int | None = None) -> None:
        """Start, and return once its systemd has started what is enabled; fails after a minute.

        With ``memory_bytes``, the root and all that runs in it may use no more memory together.
        """
        groups = self._stack.enter_context(create_control_groups(memory_bytes))
        with _listen_for_notices(self._folder / "notify") as notices:
            environment = {
                **os.environ,
                "NOTIFY_SOCKET": str(self._folder / "notify"),
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                "GROUPS_TO_JOIN": " ".join(map(str, groups)),
            }
            with (self._folder / "console").open("ab") as console:
                self._nspawn = subprocess.Popen(
                    with_parent_death_signal(
                        ["sh", "-c", _JOIN_GROUPS, "sh", *_NSPAWN, *self._list_places()],
                        signal.SIGTERM,  # it powers the root off, which SIGKILL leaves running
                    ),
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    env=environment,
                    start_new_session=True,
                )
            self._leader = self._wait_until_ready(notices)

    def run(self, *words: str, check: bool = True, text: str = "") -> str:
        """Run a command in the root, as root; return what it printed on both streams.

        Raises :class:`CommandFailed` for another exit status than 0, unless ``check`` is False.
        """
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), *namespaces, "--", *words],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailed(f"{' '.join(words)}: {done.returncode}\n{done.stdout[-3000:]}")
        return done.stdout

    def copy(self, source: Path, target: str) -> None:
        """Copy a file or a folder to a path in the root, with its mode; root owns it."""
        place = self.get_path(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True)
        else:
            shutil.copy(source, place)

    def write(self, target: str, text: str) -> None:
        """Write a text to a path in the root, readable by everybody there."""
        place = self.get_path(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def get_path(self, target: str) -> Path:
        """Return where a path of the root is, seen from outside."""
        return self.path / target.lstrip("/")

    def read_journal(self, *options: str) -> list[dict[str, Any]]:
        """Return the journal's entries, each with all its fields; options are `journalctl`'s."""
        printed = self.run("journalctl", "--quiet", "--all", "--output=json", *options)
        return [json.loads(line) for line in printed.splitlines()]

    def show(self, unit: str) -> Mapping[str, str]:
        """Return the properties of a unit, as `systemctl show` prints them."""
        lines = self.run("systemctl", "show", unit).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def power_off(self) -> None:
        """Stop what runs, in systemd's order, and wait for the end."""
        self.run("systemctl", "--no-block", "poweroff")
        self._wait_for_end(0)

    def reboot(self) -> None:
        """Stop what runs, in systemd's order, and boot again from the same files."""
        self.run("systemctl", "--no-block", "reboot")
        self._wait_for_end(_REBOOT_STATUS)
        self.boot()

    def cut_power(self) -> None:
        """Kill everything that runs in the root at once. Idempotent."""
        if self._nspawn is not None:
            # Its systemd is the first process of its namespace: with it the kernel ends all others,
            # which would outlive the process that waits for it.
            if self._leader and self._nspawn.poll() is None:
                os.kill(self._leader, signal.SIGKILL)
            else:
                self._nspawn.kill()
            self._nspawn.wait(BOOT_SECONDS)
        self._stack.close()

    def _list_places(self) -> list[str]:
        return [
            f"--directory={self.path}",
            f"--machine={self._name}",
            f"--network-namespace-path={self._network.path}",
            *(f"--bind={folder}:{target}" for folder, target in self._disks.items()),
        ]

    def _wait_until_ready(self, notices: socket.socket) -> int:
        """Return the process id of the root's systemd once it has booted."""
        leader = 0
        while True:
            try:
                lines = notices.recv(4096).decode().splitlines()
            except TimeoutError:
                console = (self._folder / "console").read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"the root did not boot:\n{console[-3000:]}") from None
            found = [line for line in lines if line.startswith("X_NSPAWN_LEADER_PID=")]
            leader = int(found[0].partition("=")[2]) if found else leader
            if "READY=1" in lines:
                return leader

    def _wait_for_end(self, status: int) -> None:
        assert self._nspawn is not None
        assert self._nspawn.wait(BOOT_SECONDS) == status
        self._stack.close()


@contextlib.contextmanager
def mount_root(
    layers: Sequence[Path],
    folder: Path,
    network: NetworkNamespace,
    disks: Mapping[Path, str] | None = None,
) -> Iterator[BootedRoot]:
    """Lay a root over folders, the upper one first, not booted yet; at the end it is forgotten.

    All that the root writes is kept in the folder, but for ``disks``: folders of outside, each with
    its place in the root.
    """
    written, work, merged = (folder / name for name in ("written", "work", "root"))
    for each in (written, work, merged):
        each.mkdir()
    options = f"lowerdir={':'.join(map(str, layers))},upperdir={written},workdir={work}"
    subprocess.run(
        ["mount", "-t", "overlay", "-o", options, "leadmaster-tests", str(merged)], check=True
    )
    root = BootedRoot(folder, network, disks or {})
    try:
        yield root
    finally:
        root.cut_power()
        subprocess.run(["umount", "--lazy", str(merged)], check=True)


@contextlib.contextmanager
def _listen_for_notices(path: Path) -> Iterator[socket.socket]:
    """Listen as a service manager does, for what systemd-nspawn reports."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.settimeout(BOOT_SECONDS)
        notices.bind(str(path))
        yield notices
