"""Limits how often the same fault is logged, and shortens expected errors to a sentence."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

INTERVAL_SECONDS: Final = 60.0
"""How long the same error is logged only once."""
_MAX_REMEMBERED: Final = 500
_CODES_WITH_TRACEBACK: Final = frozenset({"internal", "storage", "write_failed", "job_aborted"})
"""Codes of unexpected errors, of which the traceback is needed."""


class RepeatedErrorFilter(logging.Filter):
    """Passes the same warning or error once in an interval; every other record passes.

    Two are the same where event, class of error and its text are; without an error, where all
    values are. Errors of requests are never the same.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        # A full disk fails everything, many times a second, and would then fill the log.
        self._logged_at: dict[object, float] = {}
        self._held_back: dict[object, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record; count those that are not logged."""
        if record.levelno < logging.WARNING:
            return True
        key, now = _build_error_key(record), self._now()
        if now - self._logged_at.get(key, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return False
        self._logged_at.pop(key, None)
        if len(self._logged_at) >= _MAX_REMEMBERED:
            oldest = next(iter(self._logged_at))
            del self._logged_at[oldest]
            self._held_back.pop(oldest, None)
        self._logged_at[key] = now
        if (held := self._held_back.pop(key, 0)) and isinstance(record.msg, dict):
            record.msg = {**record.msg, "repeated": held}
        return True


def shorten_expected_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the traceback of an expected error (a full disk) by code, sentence and hint."""
    error = _get_event_error(event)
    code = getattr(error, "code", None)
    if not isinstance(code, str) or code in _CODES_WITH_TRACEBACK:
        return event
    kept = {key: value for key, value in event.items() if key != "exc_info"}
    return {**kept, "fault": code, "error": str(error), "hint": getattr(error, "hint", "")}


def _build_error_key(record: logging.LogRecord) -> object:
    # structlog's records carry a dict, those of libraries a text.
    message: Any = record.msg
    error = _get_event_error(message) if isinstance(message, dict) else _get_error(record.exc_info)
    if error is not None:
        event = message.get("event") if isinstance(message, dict) else message
        # The answer to a failed request names its id, for which somebody will search the log.
        request = message.get("request_id") if isinstance(message, dict) else None
        return (record.name, event, type(error), str(error), request)
    if isinstance(message, dict):
        message = {key: value for key, value in message.items() if key != "timestamp"}
    return (record.name, str(message), str(record.args))


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
