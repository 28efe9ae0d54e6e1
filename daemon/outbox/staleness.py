"""Checks whether the facts of an evaluation are still true, in the transaction that acts on it."""

from __future__ import annotations

from collections.abc import Iterator

import rules
from daemon.gate.gate import Evaluation
from storage import contacts, evaluation_context, messages, rulesets
from storage.evaluation_context import SessionContext
from storage.tx import Tx


class EvaluationStale(Exception):
    """The evaluation does not fit the rows any more; nothing was changed."""

    def __init__(self, reason_code: str) -> None:
        super().__init__(reason_code)
        self.reason_code = reason_code


def require_fresh(tx: Tx, evaluation: Evaluation) -> None:
    """Raise :class:`EvaluationStale` where message, session, contact or rules have changed."""
    if reason_code := next(_list_changes(tx, evaluation), ""):
        raise EvaluationStale(reason_code)


def _list_changes(tx: Tx, evaluation: Evaluation) -> Iterator[str]:
    seen, now = evaluation.message, messages.require_message(tx, evaluation.message.id)
    if (now.state, now.channel, now.contact) != (seen.state, seen.channel, seen.contact):
        yield "message_moved"
    session = evaluation_context.read_session_context(tx, seen.session, evaluation.at)
    if _get_standing(session) != _get_standing(evaluation.context.session):
        yield "session_changed"
    if contacts.get_contact_revision(tx, seen.contact) != evaluation.context.revision:
        yield "contact_changed"
    for format_, hash_ in (
        (rules.RuleFormat.GATE, evaluation.ruleset),
        (rules.RuleFormat.SCORE, evaluation.score_ruleset),
    ):
        if rulesets.get_live_hash(tx, str(format_)) not in {None, hash_}:
            yield "rules_changed"


def _get_standing(session: SessionContext) -> tuple[object, ...]:
    """Return the values of a session that decide whether it may send."""
    # Not its counts, which change with every message that is sent.
    return session.connection, session.sending, session.phone, session.banned, session.block
