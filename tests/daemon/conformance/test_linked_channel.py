"""The linked channel keeps every promise of the port, with the real library against a WhatsApp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.conformance import CONFORMANCE_CHECKS, ConformanceOutcome, check_channel
from tests.virtual_whatsapp.linked_channel import LinkedProbe, build_probed_channel
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NOT_APPLICABLE = {"no_acknowledgement"}
"""It is about channels without acknowledgements."""


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
    assert result.why == "" or check in NOT_APPLICABLE
    assert result.outcome is (
        ConformanceOutcome.NOT_TESTED if check in NOT_APPLICABLE else ConformanceOutcome.PASSED
    )
