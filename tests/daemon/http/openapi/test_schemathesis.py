"""Everything that the description allows, and much that it forbids, asked of a running daemon."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from daemon.cli.client import ControlClient
from daemon.http.openapi.docs_page import get_api_document
from tests.helpers.client.process import DaemonProcess, run_daemon
from tests.helpers.hypothesis_profiles import examples

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
drain_seconds = 1
[clock]
start = 2026-03-03T14:00:00Z
"""
ENDLESS = {"/v1/events", "/v1/sessions/{name}/pairing"}
"""What goes on for as long as somebody listens can't be asked in a loop; it has tests elsewhere."""
EXAMPLES = 8
ONE_DAEMON = {
    "phases": [
        Phase.generate
    ],  # it is another one after each question: nothing to shrink, or replay
    "derandomize": True,  # else what HTTP itself forbids, as a line too long, is met by chance
    "database": None,
    "suppress_health_check": list(HealthCheck),  # the strategies are the library's
}
"""What is special about asking one running daemon what a library makes of its description."""
SERVER_ERRORS = 500
ALWAYS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]
schema = schemathesis.openapi.from_dict(get_api_document())
OPERATIONS = [
    (method, path)
    for path, methods in get_api_document()["paths"].items()
    for method in methods
    if path not in ENDLESS
]
NOT_FURNISHED = (
    *("rules", "quarantine", "inbound", "bans", "conversations", "phases"),
    *("clients", "deliveries", "backups"),
)
"""What no request can put there."""
ABOUT_ONE = [
    (method, path)
    for method, path in OPERATIONS
    if "{" in path and not any(word in path for word in NOT_FURNISHED)
]
CAN_BE_WRONG = [
    (method, path)
    for method, path in OPERATIONS
    if {"parameters", "requestBody", "security"}
    & {key for key, value in get_api_document()["paths"][path][method].items() if value}
]


@dataclass
class TokenRenewingClient:
    """A client with every scope, that makes itself a new token when its own is void."""

    daemon: DaemonProcess
    base: str
    known: Mapping[str, str]
    """An id that is there, by the first word of the paths that it belongs to."""
    token: str = field(default="", repr=False)

    def renew(self) -> None:
        """Make a token over the control socket."""
        scopes = ["sessions:read", *self.daemon.client.get("sign-in")["scopes"]]
        made = self.daemon.client.post("tokens", name="robot", user="robot", scopes=scopes)
        self.token = made["token"]

    def ask(self, case: Case[Any], mode: GenerationMode) -> int:
        """Make a request, hold the answer against the description, and return its status."""
        headers = {"Authorization": f"Bearer {self.token}"}
        response = case.call(base_url=self.base, headers=headers)
        if response.status_code == 401 and "sign-in" not in case.path:
            self.renew()
        given = parse_qsl(urlsplit(str(response.request.url)).query, keep_blank_values=True)
        left_empty = "" in dict(given).values()  # counts as left out
        wrong = mode is GenerationMode.NEGATIVE and not left_empty
        refused = [negative_data_rejection] if wrong else []
        case.validate_response(response, checks=[*ALWAYS, *refused], headers=headers)
        return response.status_code


def furnished(client: ControlClient) -> dict[str, str]:
    """Put one of each into an empty house; return their ids."""
    client.post("users", name="eva", role="viewer")
    token = client.post("tokens", name="crm", user="eva", scopes=["sessions:read"])
    client.post("sessions", name="ventas", channel="simulated")
    client.post("sessions", "ventas", "start")
    upload = client.upload(b"phone,name\n+5491141234567,Ana\nx,y\n", "uploads", filename="a.csv")
    plan = client.post("imports", "preview", upload=upload["upload"])["plan"]
    report = [*client.follow("imports", upload=upload["upload"], plan=plan)][-1]["report"]
    message = client.send("+5491141234567", "Hola Ana", wait=True)
    text = client.post("texts", name="Saludo", purpose="answer", body="Hola {nombre}")
    campaign = client.post("campaigns", name="Feria", session="ventas", typed="Hola, Ana")
    saved = client.post("saved-filters", name="Feria", filter={"text": "Ana"})
    return {
        "users": "eva",
        "saved-filters": saved["id"],
        "campaigns": campaign["campaign"]["id"],
        "texts": text["id"],
        "tokens": token["record"]["id"],
        "sessions": "ventas",
        "imports": report["id"],
        "prospects": client.get("prospects")["items"][0]["id"],
        "decisions": client.get("decisions")["items"][0]["id"],
        **dict.fromkeys(("messages", "review", "manual"), message["id"]),
    }


@pytest.fixture(scope="module")
def robot() -> Iterator[TokenRenewingClient]:
    """Start a daemon with a session and a few people in it."""
    with (
        tempfile.TemporaryDirectory(prefix="lm-") as folder,
        run_daemon(Path(folder), SETTINGS.format(folder=folder)) as daemon,
    ):
        daemon.client.post("users", name="robot", role="admin")
        base = daemon.client.get("status")["addresses"]["http"]
        client = TokenRenewingClient(daemon, base, furnished(daemon.client))
        client.renew()
        yield client


def asked(
    robot: TokenRenewingClient,
    method: str,
    path: str,
    mode: GenerationMode,
    there: str | None = None,
) -> set[int]:
    """Ask one operation again and again, `there` being an id to ask about; return the statuses."""
    statuses: set[int] = set()

    @examples(EXAMPLES, **ONE_DAEMON)
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:  # noqa: ANN401 - hypothesis draws it
        if there is not None:
            case.path_parameters = {**case.path_parameters, next(iter(case.path_parameters)): there}
        statuses.add(robot.ask(case, mode))

    ask()
    return statuses


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_is_allowed_is_answered_as_described(
    robot: TokenRenewingClient, method: str, path: str
) -> None:
    """No 500, no status, media type or shape that the description does not have."""
    assert max(asked(robot, method, path, GenerationMode.POSITIVE)) < SERVER_ERRORS


@pytest.mark.parametrize(("method", "path"), ABOUT_ONE)
def test_what_is_there_is_shown_as_described(
    robot: TokenRenewingClient, method: str, path: str
) -> None:
    """The same about things that are there, so that more than 404 is seen."""
    there = robot.known[path.split("/")[2]]
    assert max(asked(robot, method, path, GenerationMode.POSITIVE, there)) < SERVER_ERRORS


@pytest.mark.parametrize(("method", "path"), CAN_BE_WRONG)
def test_what_is_forbidden_is_refused_as_described(
    robot: TokenRenewingClient, method: str, path: str
) -> None:
    """A request that the description rules out is a 4xx with a sentence, never a 500."""
    assert max(asked(robot, method, path, GenerationMode.NEGATIVE)) < SERVER_ERRORS
