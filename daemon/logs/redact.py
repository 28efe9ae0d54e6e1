"""Redacts the log: secrets, phone numbers, and the content of unreadable requests."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

_HTTP_ERRORS_MODULE: Final = "aiohttp.http_exceptions"
"""Where the errors of the library's reader live; loading it for a name would cost a start."""


class UnreadableRequestFilter(logging.Filter):
    """Takes the quotation out of what the library says of a request that it can't read.

    Such a request may come from anybody, and what is quoted may be a token, a number or a body.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through; leave of these the name of what was wrong."""
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
"""Values under these names are never logged, whoever logs them and however deep they lie."""


_PHONE_PATTERN: Final = re.compile(r"\+\d[\d ().-]{6,20}\d|(?<![\w.-])\d{10,15}(?![\w.-])")


_KEPT_PREFIX_DIGITS: Final = 2


_KEPT_SUFFIX_DIGITS: Final = 4


def drop_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out every value whose name says that it is nobody's business."""
    return {
        key: _drop_nested_secrets(value) for key, value in event.items() if key not in SECRET_KEYS
    }


def mask_phone_numbers(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep of each phone number only its beginning and its last four digits."""
    return {key: _mask_value(value) for key, value in event.items()}


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
    return _PHONE_PATTERN.sub(_shorten_number, value) if isinstance(value, str) else value


def _shorten_number(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found.group())
    sign = "+" if found.group().startswith("+") else ""
    return f"{sign}{digits[:_KEPT_PREFIX_DIGITS]}••••{digits[-_KEPT_SUFFIX_DIGITS:]}"
