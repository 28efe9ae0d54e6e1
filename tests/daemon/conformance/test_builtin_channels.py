"""Our own channels keep every promise of the port that applies to them."""

from __future__ import annotations

import pytest

from daemon.api.conformance import ChannelProbe
from daemon.api.transport import Capabilities, Channel
from daemon.conformance import ConformanceOutcome, check_channel, load_probe
from daemon.errors import BadRequest
from daemon.plugins import transport_manual, transport_simulated
from statemachines.vocabulary import BuiltinChannel

CHANNELS = {
    channel.name: channel
    for plugin in (transport_simulated, transport_manual)
    for channel in plugin.leadmaster_declare_channels()
}


async def list_outcomes(
    channel: Channel, probe: ChannelProbe, *only: str
) -> dict[str, ConformanceOutcome]:
    """Return how each check ended."""
    results = [each async for each in check_channel(channel, probe, only=only)]
    assert [f"{r.check}: {r.why}" for r in results if r.outcome is ConformanceOutcome.FAILED] == []
    return {result.check: result.outcome for result in results}


async def test_the_simulated_channel_passes_every_check() -> None:
    """But for the one that is about channels without acknowledgements."""
    channel = CHANNELS[BuiltinChannel.SIMULATED]
    outcomes = await list_outcomes(channel, load_probe(channel, {"seed": 5}))
    assert outcomes.pop("no_acknowledgement") is ConformanceOutcome.NOT_TESTED
    assert set(outcomes.values()) == {ConformanceOutcome.PASSED}


async def test_of_the_manual_channel_its_declaration_can_be_checked() -> None:
    """A person sends by hand: it connects nothing, and promises nothing."""
    channel = CHANNELS[BuiltinChannel.MANUAL]
    assert (channel.connects, channel.capabilities) == (False, Capabilities())
    outcomes = await list_outcomes(channel, load_probe(channel, {}))
    assert outcomes.pop("declaration") is ConformanceOutcome.PASSED
    assert set(outcomes.values()) == {ConformanceOutcome.NOT_TESTED}


async def test_without_a_probe_and_a_number_nothing_is_sent() -> None:
    """A real channel would write to a stranger; what can be shown without is."""
    channel = CHANNELS[BuiltinChannel.SIMULATED]
    only = ("permit_forged", "acknowledgement", "numbers", "close_unconnected")
    assert [*(await list_outcomes(channel, ChannelProbe({}), *only)).values()] == [
        ConformanceOutcome.NOT_TESTED,
        ConformanceOutcome.NOT_TESTED,
        ConformanceOutcome.NOT_TESTED,
        ConformanceOutcome.PASSED,
    ]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("nowhere:Probe", "no probe at 'nowhere:Probe'"),
        ("daemon.api.conformance:Nobody", "no probe at"),
        ("daemon.api.conformance", "no probe at"),
        ("daemon.api.conformance:SampleMessage", "is no ChannelProbe"),
    ],
)
def test_a_probe_that_is_not_there_is_named(place: str, sentence: str) -> None:
    """With how to write it."""
    with pytest.raises(BadRequest, match=sentence):
        load_probe(CHANNELS[BuiltinChannel.MANUAL], {}, path=place)


def test_a_number_given_by_a_person_is_the_one_that_is_sent_to() -> None:
    """Whatever the probe would take."""
    channel = CHANNELS[BuiltinChannel.SIMULATED]
    assert load_probe(channel, {}, recipient="+5491155550999").recipient == "+5491155550999"
