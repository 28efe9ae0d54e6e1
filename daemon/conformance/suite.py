"""The conformance suite: the list of its checks, one for each promise, and how they are run."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from daemon.api.conformance import ChannelProbe
from daemon.api.transport import Channel
from daemon.conformance import closing, reporting, sending
from daemon.conformance.bench import (
    ConformanceBench,
    ConformanceFailure,
    NotTestable,
    TimeLimits,
)
from daemon.errors import BadRequest

ConformanceCheck: TypeAlias = Callable[[ConformanceBench], Awaitable[None]]

_CHECKS: Final[tuple[ConformanceCheck, ...]] = (
    closing.check_declaration,
    reporting.check_connecting,
    sending.check_permit_forged,
    sending.check_permit_for_another_text,
    sending.check_permit_for_another_recipient,
    sending.check_permit_for_another_message,
    sending.check_permit_for_another_session,
    sending.check_permit_expired,
    sending.check_permit_not_yet_valid,
    sending.check_permit_used_twice,
    sending.check_permit_used_at_once,
    sending.check_acknowledgement,
    sending.check_no_acknowledgement,
    sending.check_text_unchanged,
    sending.check_undeclared_content,
    sending.check_refusal,
    sending.check_unknown,
    sending.check_cancelled_send,
    sending.check_closed_line,
    reporting.check_signals_readable,
    reporting.check_signals_declared,
    reporting.check_identities,
    reporting.check_origins,
    reporting.check_own_messages,
    reporting.check_receipts_out_of_order,
    reporting.check_receipts_late,
    reporting.check_numbers,
    reporting.check_contacts_readable,
    reporting.check_lost_connection,
    reporting.check_death,
    reporting.check_pairing_code,
    reporting.check_logout,
    closing.check_close,
    closing.check_close_unconnected,
    closing.check_stream_end,
    closing.check_leftovers,
)
CONFORMANCE_CHECKS: Final[Mapping[str, ConformanceCheck]] = MappingProxyType(
    {check.__name__.removeprefix("check_"): check for check in _CHECKS}
)
"""Every check by name, in the order in which they run; its docstring is the promise."""


class ConformanceOutcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_TESTED = "not_tested"
    """It does not apply, or the probe can't do or see what it needs."""


class ConformanceResult(Struct, frozen=True):
    """The result of a check: its name, the promise, the outcome, and why it did not pass."""

    check: str
    promise: str
    outcome: ConformanceOutcome
    why: str = ""


async def check_channel(
    channel: Channel,
    probe: ChannelProbe | None = None,
    *,
    only: Collection[str] = (),
    limits: TimeLimits | None = None,
) -> AsyncIterator[ConformanceResult]:
    """Run the checks, or only some; each has its own session and folder. Yield their results."""
    probe = probe or ChannelProbe({})
    for name, check in CONFORMANCE_CHECKS.items():
        if only and name not in only:
            continue
        # A new folder for each check: a login that one leaves would change the next.
        with tempfile.TemporaryDirectory(prefix="leadmaster-") as folder:
            bench = ConformanceBench(
                channel, probe, Path(folder) / "session", limits or TimeLimits()
            )
            outcome, why = await _run_check(check, bench)
        yield ConformanceResult(name, get_promise(check), outcome, why)


async def _run_check(
    check: ConformanceCheck, bench: ConformanceBench
) -> tuple[ConformanceOutcome, str]:
    # Each check would find that out by itself, with a less clear sentence.
    if not bench.channel.connects and check is not closing.check_declaration:
        return ConformanceOutcome.NOT_TESTED, "the channel has no connection: people send by hand"
    # Real messages go only to a number that somebody has named.
    if check.__module__ == sending.__name__ and bench.probe.recipient is None:
        return ConformanceOutcome.NOT_TESTED, "there is no number to send to: give --recipient"
    try:
        await check(bench)
    except NotTestable as reason:
        return ConformanceOutcome.NOT_TESTED, str(reason)
    except ConformanceFailure as failure:
        return ConformanceOutcome.FAILED, str(failure)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is a failure
        return ConformanceOutcome.FAILED, f"{type(error).__name__} was raised: {error}"
    return ConformanceOutcome.PASSED, ""


def get_promise(check: ConformanceCheck) -> str:
    """Return the promise that a check tests."""
    return (check.__doc__ or "").strip()


def load_probe(
    channel: Channel,
    options: Mapping[str, object],
    *,
    path: str = "",
    recipient: str | None = None,
) -> ChannelProbe:
    """Return the probe at ``module:attribute``, or the channel's own, or a plain one.

    Raises :class:`BadRequest` where there is no probe at that path.
    """
    place = path or channel.probe
    probe = _import_probe(place)(options) if place else ChannelProbe(options)
    if recipient is not None:
        probe.recipient = recipient
    return probe


def _import_probe(place: str) -> Callable[[Mapping[str, object]], ChannelProbe]:
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadRequest(
            f"There is no probe at {place!r}: {error}.", hint="Write it as MODULE:ATTRIBUTE."
        ) from error
    if not (isinstance(found, type) and issubclass(found, ChannelProbe)):
        raise BadRequest(f"{place!r} is no ChannelProbe.", hint="Derive it from ChannelProbe.")
    return found
