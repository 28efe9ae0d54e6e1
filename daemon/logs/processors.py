"""Configures logging: JSON lines or a console, through the filters and processors."""

from __future__ import annotations

import logging
import sys
from typing import Final, TextIO

import structlog
from structlog.typing import Processor

from daemon.logs.rate_limit import RepeatedErrorFilter, shorten_expected_error
from daemon.logs.redact import UnreadableRequestFilter, drop_secrets, mask_phone_numbers

_NOISY_LIBRARIES: Final = ("apscheduler", "asyncio", "watchfiles")
"""Libraries whose everyday news is nobody's."""


def configure_logging(*, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs, ours and the libraries', to `stream` (standard error where None).

    A terminal gets coloured lines, anything else one JSON object a line.
    """
    out = stream or sys.stderr
    own: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(out)
    handler.addFilter(UnreadableRequestFilter())
    handler.addFilter(RepeatedErrorFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=own,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                shorten_expected_error,
                structlog.processors.format_exc_info,
                drop_secrets,
                mask_phone_numbers,
                _choose_renderer(out),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
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


def _choose_renderer(out: TextIO) -> Processor:
    if out.isatty():
        # The plain form: a pretty traceback shows local variables, and with them bodies.
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
