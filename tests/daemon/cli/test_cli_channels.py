"""`leadmaster channels`: what plugins bring, and the conformance suite in one line."""

from __future__ import annotations

import pytest

from tests.helpers.client.process import run_cli

pytestmark = pytest.mark.slow

QUICK = ("--only", "declaration", "--only", "permit_forged", "--only", "no_acknowledgement")


def test_the_channels_are_listed_with_what_they_can_do() -> None:
    """Without a daemon."""
    items = {each["name"]: each for each in run_cli("channels", "list", "--json").document["items"]}
    assert items["manual"]["capabilities"] == "sent by hand"
    assert items["simulated"]["capabilities"].startswith("acks, number_check, receipts")
    assert "A WhatsApp in the process" in run_cli("channels", "list").out


def test_a_channel_is_checked_in_one_line() -> None:
    """Each check with its promise; exit 0 where none is broken."""
    ran = run_cli("channels", "check", "simulated", *QUICK)
    assert ran.status == 0
    assert "ok   permit_forged: A permit that the gate did not sign sends nothing.\n" in ran.out
    assert "the channel declares acknowledgements\n" in ran.out
    assert ran.out.endswith("2 passed, 0 failed, 1 not tested\n")


def test_a_broken_promise_is_exit_1_with_what_it_did() -> None:
    """Here the script of the options is none, so that nothing can be opened."""
    probe = "daemon.api.conformance:ChannelProbe"
    options = '{"script": "/nowhere/script.json"}'
    arguments = ("channels", "check", "simulated", "--probe", probe, "--options", options)
    ran = run_cli(*arguments, "--only", "close_unconnected")
    assert ran.status == 1
    assert "FAIL close_unconnected: " in ran.out
    assert "CannotOpen was raised: /nowhere/script.json: the script can't be read" in ran.out
    document = run_cli(*arguments, "--only", "close_unconnected", "--json").document
    assert document["ok"] is False
    assert [each["outcome"] for each in document["results"]] == ["failed"]


def test_what_is_not_there_is_named() -> None:
    """The channel, or the check."""
    assert "There is no channel 'pigeon'" in run_cli("channels", "check", "pigeon").err
    ran = run_cli("channels", "check", "manual", "--only", "everything")
    assert (ran.status, "There is no check 'everything'" in ran.err) == (2, True)
