"""Runs a real nginx on loopback with the shipped configuration; only addresses and files differ."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.helpers.client.process import poll_until

SHIPPED_CONFIG = Path(__file__).parents[2] / "systemd" / "nginx" / "leadmaster.conf"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
TRUSTED_PROXY = "127.0.0.2"
"""Takes Cloudflare's place: the one address whose header about the client is trusted."""
MAIN_CONFIG = """\
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/leadmaster.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class NginxProxy:
    """A running nginx: its ports and its folder."""

    folder: Path
    tls: int
    plain: int

    @property
    def base(self) -> str:
        """Return the address of the TLS port."""
        return f"https://127.0.0.1:{self.tls}"

    def read_log(self) -> str:
        """Return everything that was logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    async def wait_for_log(self, word: str) -> str:
        """Return everything that was logged, once it contains `word`."""

        def read_if_found() -> str | None:
            log = self.read_log()
            return log if word in log else None

        # nginx answers first, and writes its log afterwards.
        return await asyncio.to_thread(poll_until, read_if_found, f"{word} in nginx's log")


@contextlib.contextmanager
def run_nginx(
    upstream: int, folder: Path, changes: Mapping[str, str] = MappingProxyType({})
) -> Iterator[NginxProxy]:
    """Run nginx in front of a port of this machine for the length of the block.

    ``changes`` are lines of the configuration that somebody edited: as shipped, and as they are.
    """
    assert NGINX is not None, "nginx is not installed; on Debian: apt-get install nginx"
    proxy = NginxProxy(folder, free_port(), free_port())
    write_certificate(folder)
    (folder / "leadmaster.conf").write_text(adapt_config(proxy, upstream, changes))
    # Started by root, nginx becomes `nobody`, who may not read the test's folder.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN_CONFIG.format(folder=folder, user=user))
    command = [NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")]
    with subprocess.Popen(command) as process:
        try:
            wait_until_listening(process, proxy)
            yield proxy
        finally:
            process.terminate()
            process.wait(10)


def adapt_config(proxy: NginxProxy, upstream: int, changes: Mapping[str, str]) -> str:
    """Return the shipped configuration with this test's addresses, files and changes."""
    text = SHIPPED_CONFIG.read_text()
    for ours, theirs in (
        ("server 127.0.0.1:3012;", f"server 127.0.0.1:{upstream};"),
        ("listen 80;", f"listen 127.0.0.1:{proxy.plain};"),
        ("listen [::]:80;", ""),
        ("listen 443 ssl http2;", f"listen 0.0.0.0:{proxy.tls} ssl http2;"),
        ("listen [::]:443 ssl http2;", ""),
        ("/etc/ssl/leadmaster/origin", f"{proxy.folder}/origin"),
        ("/var/log/nginx/", f"{proxy.folder}/"),
        ("set_real_ip_from 173.245.48.0/20;", f"set_real_ip_from {TRUSTED_PROXY};"),
        *changes.items(),
    ):
        assert ours in text, ours  # else the shipped file has changed, and nothing is replaced
        text = text.replace(ours, theirs)
    return text


def free_port() -> int:
    """Return a port that nobody listens on."""
    # Free at this moment: another process may take it before nginx does, but hardly ever does.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_listening(process: subprocess.Popen[bytes], proxy: NginxProxy) -> None:
    """Wait until nginx listens."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert process.poll() is None, proxy.read_log()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", proxy.tls), 1):
            return
        time.sleep(0.02)
    raise AssertionError(proxy.read_log())


def write_certificate(folder: Path, domain: str = "leads.example.org") -> None:
    """Write a key and a self-signed certificate for a domain."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "origin.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "origin.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
