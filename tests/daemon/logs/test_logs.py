"""Logs carry no body, no secret and no whole number, whoever writes them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from daemon import logs
from storage.errors import DiskFull
from tests.helpers.client.http import build_settings, open_http_server


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Log into memory, and give the default back afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    logs.configure_logging(stream=out)
    yield out
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def line(stream: io.StringIO) -> dict[str, Any]:
    """Return the last line as a document."""
    document: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return document


def test_a_line_is_json_with_level_logger_and_utc_time(stream: io.StringIO) -> None:
    """What is no terminal gets one JSON object a line."""
    structlog.get_logger("rooms").info("opened", door=3)
    found = line(stream)
    assert (found["event"], found["level"], found["logger"]) == ("opened", "info", "rooms")
    assert found["door"] == 3
    assert found["timestamp"].endswith("Z")


def test_secrets_are_left_out_at_any_depth(stream: io.StringIO) -> None:
    """A value named as a secret is not logged, in a mapping or a list either."""
    structlog.get_logger().info("x", body="hola", nested={"qr": "2@abc", "list": [{"token": "t"}]})
    assert line(stream)["nested"] == {"list": [{}]}
    assert not {"hola", "2@abc"} & set(stream.getvalue().split('"'))


@pytest.mark.parametrize(
    "number", ["+5491141234567", "+54 9 11 4123-4567", "5491141234567", "+1 (202) 555-0123"]
)
def test_numbers_are_masked_in_words_and_values(stream: io.StringIO, number: str) -> None:
    """Of a number only two digits in front and four at the end stay."""
    structlog.get_logger().info(f"to {number} now", to=[number], deep={"to": number})
    assert number not in stream.getvalue()
    assert line(stream)["event"].endswith(f"••••{number[-4:]} now")


def test_ids_and_times_are_not_mistaken_for_numbers(stream: io.StringIO) -> None:
    """What only looks like digits stays whole."""
    kept = ["msg_01JQ8ZK3V5N2M4P6R8T0WXYZAB", "2026-03-02T14:00:00.123Z", "412"]
    structlog.get_logger().info("x", kept=kept)
    assert line(stream)["kept"] == kept


def test_tracebacks_are_masked_too(stream: io.StringIO) -> None:
    """An exception's message may hold a number; the log does not."""
    try:
        raise ValueError("bad +5491141234567")  # noqa: TRY301 - the log needs a real one
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "+54••••4567" in line(stream)["exception"]
    assert "41234567" not in stream.getvalue()


def test_libraries_log_through_the_same_filter(stream: io.StringIO) -> None:
    """A line of a library gets the same form and the same masks."""
    logging.getLogger("aiohttp").warning("call from %s", "+5491141234567")
    assert line(stream)["event"] == "call from +54••••4567"
    assert line(stream)["logger"] == "aiohttp"


def fail(error: Exception, **about: str) -> None:
    """Log an error as the rooms do."""
    try:
        raise error
    except type(error):
        structlog.get_logger("rooms").exception("job_failed", **about)


def full() -> DiskFull:
    """Return what a write meets on a full disk."""
    return DiskFull("The disk is full.", "Free some space.")


def test_an_expected_fault_is_a_sentence_without_a_traceback(stream: io.StringIO) -> None:
    """A full disk is no defect of ours: code, sentence, what to do."""
    fail(full(), job="sweep")
    found = line(stream)
    assert (found["fault"], found["error"]) == ("disk_full", "The disk is full.")
    assert (found["hint"], found["job"]) == ("Free some space.", "sweep")
    assert "exception" not in found


def test_a_fault_that_goes_on_is_told_once(stream: io.StringIO) -> None:
    """Whatever it was about; another fault, and news, are told beside it."""
    for number in range(50):
        fail(full(), message=f"msg_{number}")
    fail(ValueError("a defect"))
    for _ in range(3):
        structlog.get_logger("rooms").info("opened")
        logging.getLogger("aiohttp").error("can't listen")
    told = [json.loads(each)["event"] for each in stream.getvalue().splitlines()]
    assert told == ["job_failed", "job_failed", "opened", "can't listen", "opened", "opened"]


def test_a_request_that_failed_is_in_the_log_by_its_id(stream: io.StringIO) -> None:
    """Whoever sent it was told to look for that id there."""
    for number in range(3):
        fail(ValueError("a defect"), request_id=f"req_{number}")
    told = [json.loads(each)["request_id"] for each in stream.getvalue().splitlines()]
    assert told == ["req_0", "req_1", "req_2"]


def test_faults_of_different_things_are_all_told(stream: io.StringIO) -> None:
    """Two sessions in trouble are two lines, and a sign-in that fails is one for each user."""
    for name in ("ventas", "soporte", "ventas"):
        structlog.get_logger("rooms").warning("line_failed", session=name, error="DiskFull")
        structlog.get_logger("rooms").warning("sign_in_failed", user=name)
    told = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert [each["session"] for each in told if "session" in each] == ["ventas", "soporte"]
    assert [each["user"] for each in told if "user" in each] == ["ventas", "soporte"]


def test_after_a_while_it_says_how_often_it_came() -> None:
    """Each interval has its line; what was held back in between is counted in it."""
    now = [0.0]
    repeats = logs.RepeatedErrorFilter(lambda: now[0])
    passed = []
    for moment in (0, 1, 59, 60, 61, 125):
        now[0] = float(moment)
        said = {"event": "job_failed", "exc_info": full()}
        record = logging.makeLogRecord({"levelno": logging.ERROR, "msg": said})
        if repeats.filter(record):
            passed.append((moment, said_in(record).get("repeated")))
    assert passed == [(0, None), (60, 2), (125, 1)]


def said_in(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record of ours says."""
    said: Any = record.msg
    return dict(said)


def test_libraries_keep_their_everyday_news(stream: io.StringIO) -> None:
    """That a job was added is nobody's business; what goes wrong is."""
    logging.getLogger("apscheduler.scheduler").info("Added job")
    assert not stream.getvalue()
    logging.getLogger("apscheduler.scheduler").error("Lost")
    assert line(stream)["event"] == "Lost"


async def test_what_is_not_http_is_told_without_its_words(
    short_folder: Path, stream: io.StringIO
) -> None:
    """A broken request may carry a token or a body; the library that reads it would quote them."""
    broken = (
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hushhush\x01\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nhushhush\r\n",
        b"GET /?hushhush\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    async with open_http_server(build_settings(short_folder)) as opened:
        port = URL(opened.public.base).port
        for request in broken:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            assert b" 400 " in await reader.readline()
            writer.close()
    assert "request_unreadable" in stream.getvalue()
    assert "hushhush" not in stream.getvalue()
    assert "Traceback" not in stream.getvalue()


class TtyStream(io.StringIO):
    """A stream at which somebody looks."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_gets_lines_for_people_without_local_variables() -> None:
    """Where somebody looks, no JSON is written; a traceback shows no values either."""
    handlers, out = logging.root.handlers[:], TtyStream()
    logs.configure_logging(stream=out)
    secret = "hola" + "mundo"
    try:
        raise ValueError(len(secret))  # noqa: TRY301 - the log needs a real one
    except ValueError:
        structlog.get_logger().exception("hello")
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()
    assert "hello" in out.getvalue()
    assert "ValueError" in out.getvalue()
    assert not out.getvalue().startswith("{")
    assert secret not in out.getvalue()


@given(st.from_regex(r"\+[1-9][0-9]{9,14}", fullmatch=True), st.text(max_size=10))
def test_no_international_number_survives(number: str, around: str) -> None:
    """Whatever stands around it, an E.164 number never comes through whole."""
    masked = logs.mask_phone_numbers(None, "info", {"event": f"{around} {number} {around}"})
    assert number not in masked["event"]
