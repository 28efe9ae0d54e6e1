"""Limits how often the same error is logged, and shortens expected errors to a sentence."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

INTERVAL_SECONDS: Final = 60.0
"""How long the same fault is told once only."""
_MAX_REMEMBERED: Final = 500
_CODES_WITH_TRACEBACK: Final = frozenset({"internal", "storage", "write_failed", "job_aborted"})
"""Codes of errors that nobody foresaw: there the place in the code is what matters."""


class RepeatedErrorFilter(logging.Filter):
    """Lets a fault through once in an interval: a full disk fails everything, many times a second.

    A fault is an error's line, or one that has an error in it. It is the same whatever it was
    about: the same event, the same kind of error, the same words. One request's is its own, for
    its sender was told to look for its id. Without an error it is the same when every value in it
    is. All else passes.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._logged_at: dict[object, float] = {}
        self._held_back: dict[object, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is to be written; note how many like it were not."""
        if not _is_error_record(record):
            return True
        key, now = _build_error_key(record), self._now()
        if now - self._logged_at.get(key, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return False
        if len(self._logged_at) >= _MAX_REMEMBERED:
            self._logged_at.clear()
            self._held_back.clear()
        self._logged_at[key] = now
        if (held := self._held_back.pop(key, 0)) and isinstance(record.msg, dict):
            record.msg = {**record.msg, "repeated": held}
        return True


def shorten_expected_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say an expected error (a full disk) by its code, sentence and hint, without a traceback."""
    error = _get_event_error(event)
    code = getattr(error, "code", None)
    if not isinstance(code, str) or code in _CODES_WITH_TRACEBACK:
        return event
    kept = {key: value for key, value in event.items() if key != "exc_info"}
    return {**kept, "fault": code, "error": str(error), "hint": getattr(error, "hint", "")}


def _is_error_record(record: logging.LogRecord) -> bool:
    said: Any = record.msg
    told = said.keys() if isinstance(said, dict) else ()
    troubled = record.exc_info or "error" in told or "exc_info" in told
    return record.levelno >= (logging.WARNING if troubled else logging.ERROR)


def _build_error_key(record: logging.LogRecord) -> object:
    said: Any = record.msg
    error = _get_event_error(said) if isinstance(said, dict) else _get_error(record.exc_info)
    if error is not None:
        event = said.get("event") if isinstance(said, dict) else said
        request = said.get("request_id") if isinstance(said, dict) else None
        return (record.name, event, type(error), str(error), request)
    if isinstance(said, dict):
        said = {key: value for key, value in said.items() if key != "timestamp"}
    return (record.name, str(said), str(record.args))


def _get_event_error(event: EventDict) -> BaseException | None:
    return _get_error(event.get("exc_info"))


def _get_error(exc_info: object) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exc_info()[1]
        case _:
            return None
