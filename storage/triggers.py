"""SQL triggers against illegal transitions of messages and changes to append-only tables.

They are derived from the state machine, and replaced at every open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from statemachines.delivery import DELIVERY_ROW_TRANSITIONS, DeliveryRowState
from statemachines.message import (
    LEASED_STATES,
    WIRE_ID_STATES,
    MessageState,
    build_transition_guard,
)
from storage.sql_text import format_sql_list
from storage.suppressions import CORRECTABLE_SOURCES, SuppressionSource


def _format_trigger(
    name: str, event: str, when: str, sentence: str, table: str = "messages"
) -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {when} "
        f"BEGIN SELECT RAISE (ABORT, '{sentence}'); END"
    )


_PROOF_MISSING = (
    f"(NEW.state IN {format_sql_list(WIRE_ID_STATES)} AND coalesce(NEW.wire_id, '') = '')"
    f" OR (NEW.state = '{MessageState.SENDING}' AND (NEW.decision IS NULL OR NEW.permit IS NULL"
    " OR NEW.in_flight_key IS NULL))"
    f" OR (NEW.state IN {format_sql_list(LEASED_STATES)}"
    " AND (NEW.taken_by IS NULL OR NEW.lease_until IS NULL OR NEW.in_flight_key IS NULL))"
)
# '' is allowed: retention blanks the text, an erasure the recipient too.
_TEXT_REWRITTEN = (
    "NEW.body_hash <> OLD.body_hash OR NEW.recipient NOT IN (OLD.recipient, '')"
    " OR NEW.text NOT IN (OLD.text, '')"
)

MESSAGE_TRIGGERS: Mapping[str, tuple[str, str, str]] = {
    "messages_begin_queued": (
        "INSERT",
        f"NEW.state <> '{MessageState.QUEUED}'",
        "a message begins as queued",
    ),
    "messages_move_legally": (
        "UPDATE OF state",
        f"NEW.state <> OLD.state AND NOT ({build_transition_guard('OLD', 'NEW')})",
        "that move is not in the declaration of a message",
    ),
    "messages_hold_their_proof": (
        "UPDATE",
        _PROOF_MISSING,
        "that state needs its proof: wire id, decision and permit, or taker and lease",
    ),
    "messages_change_channel_before_the_gate": (
        "UPDATE OF channel",
        f"NEW.channel <> OLD.channel AND NEW.state <> '{MessageState.QUEUED}'",
        "a message changes its channel only to be judged again",
    ),
    "messages_keep_their_session": (
        "UPDATE OF session",
        f"NEW.session <> OLD.session AND NEW.state <> '{MessageState.QUEUED}'",
        "a message changes its session only to be judged again",
    ),
    "messages_are_not_replaced": (
        "INSERT",
        "EXISTS (SELECT 1 FROM messages WHERE id = NEW.id)",
        "a message is entered once",
    ),
    "messages_stay": (
        "DELETE",
        "TRUE",
        "a message is never deleted, only its words are forgotten",
    ),
    "messages_keep_their_wire_id": (
        "UPDATE OF wire_id",
        "OLD.wire_id IS NOT NULL AND NEW.wire_id IS NOT OLD.wire_id",
        "an acknowledged id is never changed",
    ),
    "messages_keep_their_text": (
        "UPDATE OF text, body_hash, recipient",
        _TEXT_REWRITTEN,
        "text and recipient of a message are never changed, only forgotten",
    ),
}
"""Each trigger by name: its event, its condition, and the sentence of its error."""


APPEND_ONLY_TABLES: Mapping[str, str] = {
    "decisions": "UPDATE OF id, message, at, phase, ruleset, verdict, body_hash, document, facts",
    "permits": "UPDATE OF id, message, decision, redeemed_at, expires_at",
    "message_history": "UPDATE",
    "audit": "UPDATE",
    "deliveries": "UPDATE",
    "delivery_row_history": (
        "UPDATE OF id, delivery, row, at, previous, state, who, reason, disputed_on"
    ),
    "linking_answers": "UPDATE",
    "outcomes": (
        "UPDATE OF id, at, outcome, next_action, who, inbound, undoes, changed, message, reason"
    ),
    "prospect_reviews": "UPDATE OF id, outcome, who, reason, at, expires_at",
    "ruleset_history": "UPDATE",
    "text_versions": "UPDATE OF text, version, body, footer, fallbacks, at, who",
}
"""Append-only tables, and which updates of their rows are refused.

Of a decision only the recipient may change (retention blanks it), of a permit only the document (an
erasure blanks it), of a prospect review only the contact (when contacts are merged), of an outcome
the contact too, and the quote (retention blanks it), of a row's history the note (an erasure
blanks it).
"""

ERASABLE_TABLES = frozenset({"outcomes", "prospect_reviews"})
"""Append-only tables whose rows are deleted when a contact is erased."""


_CORRECTABLE = format_sql_list(CORRECTABLE_SOURCES)
SUPPRESSION_TRIGGERS: Mapping[str, tuple[str, str, str]] = {
    "suppressions_stay": ("DELETE", "TRUE", "a suppression is lifted, never deleted"),
    # REPLACE deletes the row without running the trigger above.
    "suppressions_are_not_replaced": (
        "INSERT",
        "EXISTS (SELECT 1 FROM suppressions WHERE alias_hash = NEW.alias_hash)",
        "a suppression is entered once for each alias",
    ),
    "suppressions_keep_their_alias": (
        "UPDATE OF alias_hash",
        "NEW.alias_hash IS NOT OLD.alias_hash",
        "the alias of a suppression is never changed",
    ),
    "suppressions_in_force_stay_as_they_are": (
        "UPDATE OF source, reason, at",
        (
            "OLD.lifted_at IS NULL AND (NEW.source <> OLD.source OR NEW.reason <> OLD.reason"
            f" OR NEW.at <> OLD.at) AND NOT (OLD.source IN {_CORRECTABLE}"
            f" AND NEW.source = '{SuppressionSource.CONTACT}')"
        ),
        "a suppression in force is only replaced by the contact''s own",
    ),
    "suppressions_are_lifted_with_a_reason": (
        "UPDATE OF lifted_at, lifted_reason",
        (
            "NEW.lifted_at IS NOT NULL AND (coalesce(NEW.lifted_reason, '') = ''"
            " OR OLD.lifted_at IS NOT NULL AND (NEW.lifted_at <> OLD.lifted_at"
            " OR NEW.lifted_reason <> OLD.lifted_reason))"
        ),
        "a suppression is lifted once, with a reason",
    ),
}
"""The same for suppressions: a row may be replaced by the contact's own, be lifted, and come into
force again; its contact is linked, and forgotten by an erasure."""

_ROW_MOVES = " OR ".join(
    f"(OLD.state = '{state}' AND NEW.state IN {format_sql_list(targets)})"
    for state, targets in DELIVERY_ROW_TRANSITIONS.items()
    if targets
)
_ROW_ERASED = (
    "OLD.erased = 0 AND NEW.erased = 1 AND NEW.contact IS NULL AND NEW.name = ''"
    " AND NEW.phone = '' AND NEW.cells = '{}' AND NEW.evidence = '[]'"
)
DELIVERY_TRIGGERS: Mapping[str, tuple[str, str, str, str]] = {
    "delivery_rows_begin_delivered": (
        "INSERT",
        f"NEW.state <> '{DeliveryRowState.DELIVERED}' OR NEW.erased <> 0",
        "a row of a delivery begins as delivered",
        "delivery_rows",
    ),
    "delivery_rows_are_not_replaced": (
        "INSERT",
        (
            "EXISTS (SELECT 1 FROM delivery_rows WHERE delivery = NEW.delivery"
            " AND number = NEW.number)"
        ),
        "a row of a delivery is frozen once",
        "delivery_rows",
    ),
    "delivery_rows_stay": (
        "DELETE",
        "TRUE",
        "a frozen row is never deleted",
        "delivery_rows",
    ),
    "delivery_rows_move_legally": (
        "UPDATE OF state",
        f"NEW.state <> OLD.state AND NOT COALESCE({_ROW_MOVES}, 0)",
        "that move is not in the declaration of a row",
        "delivery_rows",
    ),
    "delivery_rows_stay_as_they_are": (
        "UPDATE OF delivery, number, at, ground, dispute_until, exclusive_until, replaces",
        "TRUE",
        "a frozen row is never changed",
        "delivery_rows",
    ),
    "delivery_rows_keep_their_person": (
        "UPDATE OF name, phone, cells, evidence, erased",
        f"NOT ({_ROW_ERASED})",
        "a frozen row is never changed, only a person is erased from it",
        "delivery_rows",
    ),
    "delivery_files_are_not_replaced": (
        "INSERT",
        (
            "EXISTS (SELECT 1 FROM delivery_files WHERE delivery = NEW.delivery"
            " AND part = NEW.part AND format = NEW.format)"
        ),
        "a file is handed over once",
        "delivery_files",
    ),
    "delivery_files_stay": (
        "DELETE",
        "TRUE",
        "a file that was handed over is never deleted",
        "delivery_files",
    ),
    "delivery_files_stay_as_they_are": (
        "UPDATE",
        (
            "NEW.delivery <> OLD.delivery OR NEW.part <> OLD.part OR NEW.format <> OLD.format"
            " OR NEW.hash <> OLD.hash OR NEW.content IS NOT NULL"
            " OR NOT EXISTS (SELECT 1 FROM delivery_rows WHERE delivery = OLD.delivery"
            " AND iif(replaces IS NULL, 0, number) = OLD.part AND erased = 1)"
        ),
        "a file keeps its bytes until a person in it is erased",
        "delivery_files",
    ),
}
"""The same for deliveries: rows and files are frozen; only an erasure takes a person out."""


def build_triggers() -> dict[str, str]:
    """Return the SQL of each trigger, by name."""
    found = {name: _format_trigger(name, *guard) for name, guard in MESSAGE_TRIGGERS.items()}
    found |= {name: _format_trigger(name, *guard) for name, guard in DELIVERY_TRIGGERS.items()}
    for name, guard in SUPPRESSION_TRIGGERS.items():
        found[name] = _format_trigger(name, *guard, "suppressions")
    found["prospects_keep_origin"] = _format_trigger(
        "prospects_keep_origin",
        "UPDATE OF cartera_origen",
        "NEW.cartera_origen <> OLD.cartera_origen",
        "cartera_origen is set at import and never changed",
        "prospects",
    )
    for table, update in APPEND_ONLY_TABLES.items():
        events = {f"{table}_stay": "DELETE", f"{table}_stay_as_they_are": update}
        if table in ERASABLE_TABLES:
            del events[f"{table}_stay"]
        for name, event in events.items():
            found[name] = _format_trigger(
                name, event, "TRUE", "what was decided is kept as it was", table
            )
    return found


def install_triggers(connection: sqlite3.Connection) -> None:
    """Replace all triggers, in the open transaction of ``connection``."""
    # Dropped even where they exist: another version may have declared other transitions.
    for name, statement in build_triggers().items():
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute(statement)
