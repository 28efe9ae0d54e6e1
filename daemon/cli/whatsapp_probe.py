"""Asks WhatsApp for its first page: whether it answers, with which certificate, and at what time.

As a program, it prints what it found as JSON, so that it can be run where a worker runs.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from msgspec import Struct
from msgspec.structs import asdict

from daemon.cli.doctor_finding import DoctorFinding

HOST: Final = "web.whatsapp.com"
MAX_SKEW_SECONDS: Final = 300.0
"""Certificates and keys are refused by a clock that is further from WhatsApp's."""
WARN_SKEW_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10.0


class WayToWhatsApp(Struct, frozen=True):
    """What one request to WhatsApp showed: its certificate, the TLS version, and its clock."""

    certificate: dict[str, Any]
    tls_version: str
    date: datetime | None
    proxy: str


def check_way_to_whatsapp() -> Iterator[DoctorFinding]:
    """Check that WhatsApp can be reached, its certificate, and that the clocks agree."""
    try:
        way = open_way()
    except ssl.SSLCertVerificationError as error:
        yield DoctorFinding(
            "tls",
            ok=False,
            sentence=f"What answers as {HOST} has no certificate for it: {error.verify_message}.",
            hint="A proxy that reads TLS? A wrong clock? No authorities?",
            command="apt-get install ca-certificates",
        )
        return
    except (OSError, HTTPException, ValueError) as error:
        yield DoctorFinding(
            "reach",
            ok=False,
            sentence=f"{HOST} port 443 can't be reached: {_explain_network_error(error)}.",
            hint="Ask the network's administrator whether this server may reach the internet.",
            command=f"curl --head https://{HOST}",
        )
        return
    through = f" through the proxy {way.proxy}" if way.proxy else ""
    yield DoctorFinding("reach", ok=True, sentence=f"{HOST} answers{through}.")
    yield DoctorFinding("tls", ok=True, sentence=_describe_certificate(way))
    yield check_skew(way.date, datetime.now(UTC))


def open_way() -> WayToWhatsApp:
    """Ask WhatsApp for its first page, on the way that the library takes; nothing is logged in."""
    proxy = urlsplit(getproxies().get("https", ""))
    context = ssl.create_default_context()
    if proxy.hostname:
        address = (proxy.hostname, proxy.port or 3128)
        connection = HTTPSConnection(*address, timeout=_CONNECT_SECONDS, context=context)
        connection.set_tunnel(HOST, 443)
    else:
        connection = HTTPSConnection(HOST, timeout=_CONNECT_SECONDS, context=context)
    with contextlib.closing(connection):
        connection.connect()
        line: ssl.SSLSocket = connection.sock
        certificate, tls_version = line.getpeercert() or {}, line.version() or "no TLS"
        connection.request("HEAD", "/")
        date = connection.getresponse().getheader("Date")
    shown = f"{proxy.hostname}:{proxy.port}" if proxy.hostname else ""
    return WayToWhatsApp(
        certificate, tls_version, parsedate_to_datetime(date) if date else None, shown
    )


def _explain_network_error(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known here (DNS)"
    if isinstance(error, TimeoutError):
        return f"nobody answered within {_CONNECT_SECONDS:g} s"
    return str(error) or type(error).__name__


def _describe_certificate(way: WayToWhatsApp) -> str:
    issuer = dict(field for part in way.certificate.get("issuer", ()) for field in part)
    name = issuer.get("organizationName") or issuer.get("commonName") or "an unknown authority"
    until = way.certificate.get("notAfter", "an unknown date")
    return f"{way.tls_version}, certified by {name} until {until}."


def check_skew(theirs: datetime | None, ours: datetime) -> DoctorFinding:
    """Compare the clock with WhatsApp's; ``theirs`` is None where it did not say the time."""
    command = "timedatectl set-ntp true"
    if theirs is None:
        sentence = "WhatsApp did not say what time it is there."
        return DoctorFinding("clock", ok=True, sentence=sentence, warns=True, command=command)
    skew = abs((ours - theirs).total_seconds())
    sentence = f"The clock here and WhatsApp's are {skew:.0f} s apart."
    if skew > WARN_SKEW_SECONDS:
        wrong = skew > MAX_SKEW_SECONDS
        return DoctorFinding("clock", ok=not wrong, sentence=sentence, warns=True, command=command)
    return DoctorFinding("clock", ok=True, sentence=sentence)


if __name__ == "__main__":
    print(json.dumps([asdict(finding) for finding in check_way_to_whatsapp()]))
