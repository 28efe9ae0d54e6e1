"""The client's end of the control socket, against daemons that answer badly or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.cli.client import ControlClient, UnrecognisedError, error_from_problem
from daemon.cli.main import run_command
from daemon.cli.prospect_import import import_file
from daemon.errors import Conflict, NotAllowed, NotRunning, Unavailable
from tests.helpers.client.raw_bytes import build_http_answer, serve_raw_answers


@pytest.fixture
def path(short_folder: Path) -> Path:
    """Return where the socket is."""
    return short_folder / "control.sock"


def test_an_error_comes_back_as_the_class_that_it_was(path: Path) -> None:
    """The code names the class; sentence and hint travel with it."""
    problem = b'{"code": "conflict", "detail": "Too late.", "hint": "Look.", "status": 409}'
    with (
        serve_raw_answers(path, build_http_answer(409, problem)) as client,
        pytest.raises(Conflict) as caught,
    ):
        client.get("halt")
    assert (str(caught.value), caught.value.hint) == ("Too late.", "Look.")


def test_an_unknown_code_keeps_its_code_and_status() -> None:
    """A newer daemon may refuse with a word that this client has no class for."""
    problem = {"code": "moved_on", "status": 409, "detail": "It moved.", "hint": ""}
    error = error_from_problem(problem)
    assert isinstance(error, UnrecognisedError)
    assert (error.to_problem()["code"], error.to_problem()["status"]) == ("moved_on", 409)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]"])
def test_a_refusal_without_a_problem_is_still_a_sentence(path: Path, body: bytes) -> None:
    """Whatever answers, the user gets one sentence."""
    with (
        serve_raw_answers(path, build_http_answer(502, body)) as client,
        pytest.raises(Unavailable, match="502"),
    ):
        client.get("halt")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"])
def test_a_daemon_that_goes_away_is_named(path: Path, answer: bytes) -> None:
    """A torn answer is not taken for one; the hint says that --key repeats safely."""
    with (
        serve_raw_answers(path, answer) as client,
        pytest.raises(NotRunning, match="stopped before it answered") as caught,
    ):
        client.post("halt", reason="x")
    assert "--key" in caught.value.hint


def test_a_stream_that_breaks_simply_ends(path: Path) -> None:
    """Empty lines are heartbeats; a torn line at the end is the end."""
    chunk = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"a": 1}\n\r\n1\r\n\n\r\n'
    with serve_raw_answers(path, chunk) as client:
        assert list(client.stream("events")) == [{"a": 1}]


def test_a_socket_that_is_not_ours_to_open_is_named(path: Path) -> None:
    """A folder in the place of a socket, or no socket at all, is a sentence."""
    with pytest.raises((NotRunning, NotAllowed)):
        ControlClient(path.parent).get("halt")


def test_an_import_that_is_cut_says_how_to_go_on(path: Path, tmp_path: Path) -> None:
    """When the daemon dies in the middle, the same file goes on where it stopped."""
    (tmp_path / "x.csv").write_bytes(b"phone\n")
    upload = build_http_answer(201, b'{"upload": "up_1"}')
    cut = b'HTTP/1.1 200 OK\r\n\r\n{"type": "progress", "done": 1, "total": 2}\n'
    preview = build_http_answer(200, b'{"plan": "a hash"}')
    with (
        serve_raw_answers(path, upload, preview, cut) as client,
        pytest.raises(NotRunning) as caught,
    ):
        import_file(client, tmp_path / "x.csv", {}, yes=True, json_=True)
    assert "same file" in caught.value.hint


def test_the_daemons_own_fault_is_exit_1(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A 500 is the daemon's; a file that can't be written is the user's."""
    fault = b'{"code": "internal", "detail": "Failed.", "hint": "Report.", "status": 500}'
    with serve_raw_answers(path, build_http_answer(500, fault)):
        assert run_command(["--socket", str(path), "halt", "x"]) == 1
    assert capsys.readouterr().err == "internal: Failed.\nhint: Report.\n"
