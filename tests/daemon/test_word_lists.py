"""Words that stand twice, where an import would cost too much, are those of the one list."""

from __future__ import annotations

from typing import get_args, get_type_hints

import click

from daemon.cli.messages import settle_message
from daemon.cli.pairing import PAIRING_STATES
from daemon.cli.sessions import delete_session
from daemon.http.v1.messages import SettlementBody
from daemon.sessions.queue_disposal import QueueChoice
from statemachines.message import LEFT_STATES, SETTLEMENT_STATES, MessageState
from statemachines.session import TRANSIENT_STATES, ConnectionState
from storage.sql_text import format_sql_list


def test_a_message_in_doubt_is_settled_as_the_same_states_everywhere() -> None:
    """By the interface and by the command line."""
    [argument] = [each for each in settle_message.params if each.name == "state"]
    assert isinstance(argument.type, click.Choice)
    assert set(argument.type.choices) == SETTLEMENT_STATES
    assert set(get_args(get_type_hints(SettlementBody)["state"])) == SETTLEMENT_STATES


def test_the_command_line_watches_every_state_that_leads_to_a_linked_phone() -> None:
    """It goes on while something is on its way, and ends with what waits for a person."""
    assert (
        TRANSIENT_STATES
        - {
            ConnectionState.DEGRADED,
            ConnectionState.BACKOFF,
        }
        == PAIRING_STATES
    )


def test_the_messages_of_a_deleted_session_have_the_same_choices_everywhere() -> None:
    """By the interface and by the command line."""
    [option] = [each for each in delete_session.params if each.name == "queue"]
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(QueueChoice)


def test_a_list_of_words_is_sorted_and_quoted() -> None:
    """Two lists of the same words are the same text, as a partial index needs."""
    expected = "('confirmed_by_hand', 'delivered', 'read', 'sent')"
    assert format_sql_list(LEFT_STATES) == expected
    assert format_sql_list([MessageState.SENT, MessageState.READ]) == "('read', 'sent')"
