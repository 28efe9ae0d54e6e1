"""What a log says of requests that are no HTTP: that there was one, and nothing of its words."""

from __future__ import annotations

import logging
from typing import Final

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
