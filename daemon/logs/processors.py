"""Configures the log: JSON or console lines, without bodies and secrets, with masked numbers."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from daemon.logs.journal import JournalHandler, is_journal
from daemon.logs.rate_limit import RepeatedErrorFilter, shorten_expected_error

_HTTP_ERRORS_MODULE: Final = "aiohttp.http_exceptions"
"""The module of aiohttp's parser errors, by name: importing it would slow every start."""


class UnreadableRequestFilter(logging.Filter):
    """Removes the quoted request from aiohttp's log lines about requests that it can't parse."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record; reduce those of parser errors to the error's name."""
        # Anybody can send such a request, and what is quoted may be a token, a number or a body.
        error = record.exc_info[1] if record.exc_info else None
        if type(error).__module__ == _HTTP_ERRORS_MODULE:
            record.msg, record.args = f"request_unreadable: {type(error).__name__}", ()
            record.exc_info = record.exc_text = None
        return True


SECRET_KEYS: Final = frozenset(
    {
        "body",
        "text",
        "quote",
        "qr",
        "qr_code",
        "code",
        "token",
        "secret",
        "password",
        "authorization",
    }
)
"""Names of values that are never logged, at any depth."""


# With a plus, or as 10 to 15 bare digits that are no part of an id, a version or a decimal.
_PHONE_PATTERN: Final = re.compile(r"\+\d[\d ().-]{6,20}\d|(?<![\w.-])\d{10,15}(?![\w.-])")


_KEPT_PREFIX_DIGITS: Final = 2


_KEPT_SUFFIX_DIGITS: Final = 4


def drop_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove the values of secret keys from a log line."""
    return {
        key: _drop_nested_secrets(value) for key, value in event.items() if key not in SECRET_KEYS
    }


def mask_phone_numbers(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask the phone numbers in a log line, but for their beginning and last four digits."""
    return {key: _mask_value(value) for key, value in event.items()}


def mask_numbers_in_text(text: str) -> str:
    """Return a text with its phone numbers masked, but for their beginning and last four digits."""
    return _PHONE_PATTERN.sub(_shorten_number, text)


def _drop_nested_secrets(value: Any) -> Any:  # noqa: ANN401 - a log call takes anything
    if isinstance(value, Mapping):
        return {
            key: _drop_nested_secrets(each) for key, each in value.items() if key not in SECRET_KEYS
        }
    if isinstance(value, list | tuple):
        return [_drop_nested_secrets(each) for each in value]
    return value


def _mask_value(value: Any) -> Any:  # noqa: ANN401 - a log call takes anything
    if isinstance(value, Mapping):
        return {key: _mask_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_value(each) for each in value]
    return mask_numbers_in_text(value) if isinstance(value, str) else value


def _shorten_number(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found.group())
    sign = "+" if found.group().startswith("+") else ""
    return f"{sign}{digits[:_KEPT_PREFIX_DIGITS]}••••{digits[-_KEPT_SUFFIX_DIGITS:]}"


_NOISY_LIBRARIES: Final = ("apscheduler", "asyncio")
"""Libraries whose messages below a warning are not logged."""


def configure_logging(*, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs, ours and the libraries', to `stream` (standard error where None).

    A terminal gets coloured lines, anything else one JSON object a line; where systemd connected
    the stream with its journal, the line's values are fields of the entry too.
    """
    out = stream or sys.stderr
    own: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    logging.basicConfig(level=level, handlers=[_build_handler(out, own)], force=True)
    for library in _NOISY_LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *own,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _build_handler(out: TextIO, own: list[Processor]) -> logging.Handler:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=own,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            shorten_expected_error,
            structlog.processors.format_exc_info,
            drop_secrets,
            mask_phone_numbers,  # in the traceback too, which is a text by now
            _choose_renderer(out),
        ],
    )
    handler: logging.Handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    if is_journal(out):
        handler = JournalHandler(fallback=handler)
        handler.setFormatter(formatter)
    handler.addFilter(UnreadableRequestFilter())
    handler.addFilter(RepeatedErrorFilter())
    return handler


def _choose_renderer(out: TextIO) -> Processor:
    if out.isatty():
        # The plain form: a pretty traceback shows local variables, and with them bodies.
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
