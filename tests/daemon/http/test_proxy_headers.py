"""Who is at the other end: a proxy's word counts from this machine only."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from daemon.http.proxy_headers import get_client_address, get_own_origin, is_https

FORWARDED = {"X-Forwarded-For": "192.0.2.9, 198.51.100.7", "X-Forwarded-Proto": "https"}


class FakeAddressTransport:
    """The far end of a connection, as the loop describes it."""

    def __init__(self, **known: object) -> None:
        """Know these facts."""
        self.known = known

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Tell one."""
        return self.known.get(name, default)


class FakeSocketFamily:
    """What is known of a socket."""

    def __init__(self, family: int) -> None:
        """Be of this family."""
        self.family = family


NEAR = [
    FakeAddressTransport(peername=("127.0.0.1", 5000)),
    FakeAddressTransport(peername=("::1", 5000, 0, 0)),
    FakeAddressTransport(peername=("::ffff:127.0.0.1", 5000, 0, 0)),
    FakeAddressTransport(peername="", socket=FakeSocketFamily(socket.AF_UNIX)),
]
FAR = [
    FakeAddressTransport(peername=("203.0.113.5", 5000)),
    FakeAddressTransport(peername=("2001:db8::5", 5000, 0, 0)),
    FakeAddressTransport(),
    FakeAddressTransport(peername=("10.0.0.1", 5000)),
]


def asked(transport: FakeAddressTransport, headers: Mapping[str, str]) -> web.Request:
    """Return a request that came over a transport."""
    return make_mocked_request(
        "GET", "/", headers={"Host": "Leads.Example", **headers}, transport=transport
    )


@pytest.mark.parametrize("transport", NEAR)
def test_a_proxy_on_this_machine_is_believed(transport: FakeAddressTransport) -> None:
    """The last address is what the proxy saw; what stands before it came from the client."""
    request = asked(transport, FORWARDED)
    assert get_client_address(request) == "198.51.100.7"
    assert is_https(request)
    assert get_own_origin(request) == "https://leads.example"


@pytest.mark.parametrize("transport", FAR)
def test_nobody_else_is_believed(transport: FakeAddressTransport) -> None:
    """Whoever comes from afar is who they are, and speaks as they do."""
    request = asked(transport, FORWARDED)
    assert get_client_address(request) in {"203.0.113.5", "2001:db8::5", "10.0.0.1", ""}
    assert not is_https(request)
    assert get_own_origin(request) == "http://leads.example"


@pytest.mark.parametrize("told", ["", "unknown", "192.0.2.9, <script>"])
def test_what_is_no_address_is_not_taken(told: str) -> None:
    """An odd header leaves the peer's own address."""
    assert get_client_address(asked(NEAR[0], {"X-Forwarded-For": told})) == "127.0.0.1"
