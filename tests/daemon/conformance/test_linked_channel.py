"""The linked channel keeps every promise of the port, with the real library against a WhatsApp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.conformance import CONFORMANCE_CHECKS, ConformanceOutcome, check_channel
from tests.virtual_whatsapp.linked_channel import LinkedProbe, build_probed_channel
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NOT_APPLICABLE = {"no_acknowledgement": "the channel declares acknowledgements"}
"""Of `acknowledgement` and `no_acknowledgement`, one is for any channel: a channel that declares
acknowledgements has to give them, another one must never claim one. That this one never claims one
that did not come is the promise `unknown`.
"""


@pytest.fixture
async def probe(tmp_path: Path) -> AsyncIterator[LinkedProbe]:
    """Return a probe with a WhatsApp of its own."""
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        yield LinkedProbe(whatsapp)


@pytest.mark.parametrize("check", CONFORMANCE_CHECKS)
async def test_the_linked_channel_keeps_the_promise(probe: LinkedProbe, check: str) -> None:
    """Each check has a worker with the real library, and links it by a code."""
    channel = build_probed_channel(probe)
    [result] = [each async for each in check_channel(channel, probe, only={check})]
    assert result.why == NOT_APPLICABLE.get(check, "")
    assert result.outcome is (
        ConformanceOutcome.NOT_TESTED if check in NOT_APPLICABLE else ConformanceOutcome.PASSED
    )
