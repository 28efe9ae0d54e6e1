"""A blank server whose owner follows pages: their commands, what they ask for, and the phone."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.helpers.client.process import DaemonProcess
from tests.helpers.nginx import write_certificate
from tests.systemd.booted.apt_repository import provide_archive, use_archive
from tests.systemd.booted.booted_root import BootedRoot, CommandFailed, mount_root
from tests.systemd.booted.installation import lead_workers
from tests.systemd.booted.network_namespace import NetworkNamespace
from tests.systemd.built_packages import provide_packages
from tests.systemd.page_commands import PageBlock, read_blocks
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp
from tools.debian_roots import RELEASES, ensure_root

DEBIAN: Final = "12"
SESSION: Final = "ventas"
QUESTION: Final = "Hola, ¿cuánto sale el envío?"
DISK: Final = "/mnt/usb"
DOMAIN: Final = "crm.localhost"
"""A name that every browser takes for this machine."""
_FOLDER: Final = "/root/packages"
_SURROUNDINGS: Final = {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}


@dataclass(slots=True)
class PrintedSheet:
    """The sheet with the key of the backups, as its owner keeps it."""

    text: str = ""

    def read_row(self, row: int) -> str:
        """Return what stands in a row."""
        [found] = re.findall(rf"^ +{row}\.  (\w+)$", self.text, re.MULTILINE)
        return str(found)

    def read_key(self) -> str:
        """Return the whole key."""
        [found] = re.findall(r"^AGE-SECRET-KEY-1\w{58}$", self.text, re.MULTILINE)
        return str(found)


@dataclass(frozen=True, slots=True)
class BlankDebian:
    """What a server is made of: a Debian, our packages for it, and what apt fetches with them."""

    layer: Path
    packages: Sequence[Path]
    archive: Path


def provide_blank_debian() -> BlankDebian:
    """Return what a blank server is made of; it is made where it is missing, with a mirror."""
    packages = provide_packages(DEBIAN)
    layer = ensure_root(RELEASES[DEBIAN], "server")
    return BlankDebian(layer, packages, provide_archive(DEBIAN, packages, ["nginx"]))


@dataclass(frozen=True, slots=True)
class ServerOwner:
    """What outlives a server: its phone, the disk that is put into it, and the printed sheet."""

    debian: BlankDebian
    network: NetworkNamespace
    whatsapp: VirtualWhatsApp
    phone: Phone
    other_phone: Contact
    disk: Path
    sheet: PrintedSheet = field(default_factory=PrintedSheet)


@contextlib.asynccontextmanager
async def boot_blank_server(owner: ServerOwner) -> AsyncIterator[BlankServer]:
    """Boot a blank Debian, with what its owner brings; after the block it is gone, as if burnt."""
    disks = {owner.disk: DISK}
    with (
        tempfile.TemporaryDirectory(prefix="lm-") as folder,
        mount_root([owner.debian.layer], Path(folder), owner.network, disks) as root,
    ):
        use_archive(root, owner.debian.archive)
        for package in owner.debian.packages:
            root.copy(package, f"{_FOLDER}/{package.name}")
        certificate = root.get_path("/root/self-signed")
        certificate.mkdir()
        write_certificate(certificate, DOMAIN)
        variables = {**_SURROUNDINGS, **lead_workers(root, owner.whatsapp)}
        await asyncio.to_thread(root.boot)
        yield BlankServer(root, owner, variables)


@dataclass(frozen=True, slots=True)
class BlankServer:
    """A booted root in which nothing of ours is installed yet, and the pages that are followed."""

    root: BootedRoot
    owner: ServerOwner
    variables: Mapping[str, str]
    followed: set[str] = field(default_factory=set)
    """The lines of pages that were run here."""

    @property
    def linked(self) -> LinkedDaemon:
        """Return the daemon that the pages install here."""
        daemon = DaemonProcess(self.root.get_path("/var/lib"), "", state="leadmaster")
        return LinkedDaemon(self.owner.whatsapp, daemon)

    async def hear_from(self, contact: Contact, text: str) -> None:
        """Let somebody write to the phone, and wait until the server knows it."""
        known = len((await self.linked.get("inbound"))["items"])
        await self.owner.whatsapp.write(contact, self.owner.phone, text)
        await self.linked.wait_for_inbound(known + 1)

    async def follow(self, page: str, *sections: str) -> str:
        """Run the commands of a page, or of some sections of it; return what they print.

        Raises :class:`CommandFailed` at the first that fails.
        """
        return await self._run_blocks(read_blocks(page, sections=sections))

    async def follow_rest(self, page: str) -> str:
        """Run those commands of a page that no page before it had, in the same words."""
        rest = (block.leave_out(self.followed) for block in read_blocks(page))
        return await self._run_blocks([block for block in rest if block.text])

    async def _run_blocks(self, blocks: Sequence[PageBlock]) -> str:
        printed = ""
        for block in blocks:
            self.followed.update(block.text.splitlines())
            commands = block.fill_in(self._list_own())
            if "leadmaster send" in commands:
                await self.hear_from(self.owner.other_phone, QUESTION)
            running = asyncio.create_task(self.run(commands, await self._find_typed(commands)))
            if f"sessions pair {SESSION}" in commands:
                await self._scan(running)
            said = await running
            if commands.strip() == "leadmaster backup key":
                self.owner.sheet.text = said
            printed += said
        return printed

    async def run(self, commands: str, typed: str = "") -> str:
        """Run commands in the folder with the packages; stop at the first that fails."""
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        words = ("env", f"--chdir={_FOLDER}", *variables, "sh", "-euc", commands)
        try:
            return await asyncio.to_thread(lambda: self.root.run(*words, text=typed))
        except CommandFailed as failed:
            journal = self.root.run("journalctl", "--no-pager", "--lines=40", check=False)
            raise CommandFailed(f"{failed}\n{journal}") from None

    def _list_own(self) -> Mapping[str, str]:
        """Return what is the owner's own, by the example that stands for it in the pages."""
        own = {
            "crm.example.com": DOMAIN,
            "origin.pem origin.key": "/root/self-signed/origin.pem /root/self-signed/origin.key",
            "+5491155550101": self.owner.other_phone.phone,
        }
        copies = list(self.owner.disk.glob("leadmaster-*.age"))
        if copies:
            own[f"{DISK}/leadmaster-20260303T150000Z.age"] = f"{DISK}/{max(copies).name}"
        return own

    async def _find_typed(self, commands: str) -> str:
        """Return what a person types when these commands ask."""
        if "backup key --confirm" in commands:
            asked = re.search(r'"key_row": ?(\d+)', await self.run("leadmaster backup list --json"))
            assert asked is not None
            return self.owner.sheet.read_row(int(asked[1]))
        if "leadmaster restore" in commands or "leadmaster backup test" in commands:
            return self.owner.sheet.read_key()
        return ""

    async def _scan(self, pairing: asyncio.Task[str]) -> None:
        """Scan the code that is shown, unless the command fails before."""
        code = asyncio.create_task(self.linked.wait_for_code(SESSION))
        await asyncio.wait({pairing, code}, return_when=asyncio.FIRST_COMPLETED)
        if code.done():
            await self.owner.whatsapp.scan(self.owner.phone, code.result()["code"])
        else:
            code.cancel()
