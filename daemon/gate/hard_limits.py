"""Limits that no rule file can lift, applied after the rules.

The release transaction checks the same promises once more, by the rows of its own moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from daemon.gate.consent import REFUSED_SENTENCE, Permission
from rules import Decision, Defer, Verdict
from rules.decide import FACT_MISSING
from rules.facts import NO_BLOCK
from rules.verdict import DeferKind
from statemachines.vocabulary import BlockedBy, BuiltinChannel, MessageKind
from storage.contacts import HoldScope
from storage.halts import ANSWER_KINDS

WAITS_FOR_PERSON: Final = "waits_for_a_person"
"""The reason of a message that is held by what the contact wrote."""

_OTHER_WAITS = frozenset(
    {DeferKind.UNTIL_CHECKED, DeferKind.UNTIL_SESSION_CAN_SEND, DeferKind.UNTIL_REGISTER}
)


def apply_hard_limits(decision: Decision, facts: Mapping[str, object]) -> Decision:
    """Return the decision, made stricter where a hard limit applies; it is never loosened."""
    # The shipped rules have the same limits, with reasons and examples, so the checks below matter
    # where an operator's file has removed them.
    # Of several reasons a missing fact is the weakest: an opt-out is the cause where there is one.
    if decision.verdict is Verdict.BLOCK and decision.reason_code != FACT_MISSING:
        return decision
    if blocked := _find_block_reason(facts):
        return _replace_verdict(decision, Verdict.BLOCK, *blocked)
    if decision.verdict is Verdict.BLOCK:
        return decision
    if _needs_manual_sending(facts) and (decision.verdict, decision.route) != (
        Verdict.ROUTE,
        BuiltinChannel.MANUAL,
    ):
        sentence = "Public listing, no consent: a person sends it by hand"
        routed = _replace_verdict(decision, Verdict.ROUTE, "hard_limit_public_source", sentence)
        return replace(routed, route=BuiltinChannel.MANUAL.value)
    undecided = facts.get("prospect.validado_tecnicamente") is None
    # Deferred, not blocked: a check is likely to decide it.
    if undecided and decision.verdict in {Verdict.ALLOW, Verdict.REVIEW}:
        sentence = "The number has not been validated yet"
        waiting = _replace_verdict(decision, Verdict.DEFER, "hard_limit_not_validated", sentence)
        return replace(waiting, defers=(Defer(DeferKind.UNTIL_CHECKED),))
    return _defer_to_session(decision, facts)


def _defer_to_session(decision: Decision, facts: Mapping[str, object]) -> Decision:
    """Return the decision, deferred until the session can send where it is blocked.

    A message that waits for a check or for a person is left to wait for that first.
    """
    block = facts.get("session.blocked_by", NO_BLOCK)
    replies_go = block == BlockedBy.SESSION_REPLY_ONLY
    if block in {NO_BLOCK, None} or (replies_go and not facts["message.first_contact"]):
        return decision
    kinds = {defer.kind for defer in decision.defers}
    if decision.verdict not in {Verdict.ALLOW, Verdict.DEFER} or kinds & _OTHER_WAITS:
        return decision
    # Restricted sending may end before the time that the message waits for anyway.
    if replies_go and decision.verdict is Verdict.DEFER:
        return decision
    sentence = "The session cannot send now"
    waiting = _replace_verdict(decision, Verdict.DEFER, str(block), sentence)
    return replace(waiting, defers=(*decision.defers, Defer(DeferKind.UNTIL_SESSION_CAN_SEND)))


def hold_for_person(
    decision: Decision,
    facts: Mapping[str, object],
    *,
    reason: str | None,
    scope: HoldScope | None,
) -> Decision:
    """Return a decision that waits for a person, where what the contact wrote asks for one.

    An approval of this very message ends the wait for it, and nothing else. What other rules would
    block waits too, because the person's reading may change what they say; it is judged again.
    """
    if reason is None or facts.get("message.approved") is True or not _is_held(facts, scope):
        return decision
    if decision.verdict is Verdict.DEFER or decision.reason_code == FACT_MISSING:
        return decision
    held = _replace_verdict(decision, Verdict.REVIEW, WAITS_FOR_PERSON, reason)
    return replace(held, needs_review=True)


def _is_held(facts: Mapping[str, object], scope: HoldScope | None) -> bool:
    """Return whether the message waits: not one that is closed to them for another reason."""
    closed = (
        facts["prospect.suppressed"] is not False
        or facts.get("prospect.validado_tecnicamente") is False
        or facts["prospect.permission"] == Permission.NONE
    )
    kind = facts["message.kind"]
    if closed or kind == MessageKind.OPT_OUT_CONFIRMATION:
        return False
    if scope is HoldScope.ALL:
        return True
    refused = facts["prospect.permission"] == Permission.REFUSED
    return kind == MessageKind.COMMERCIAL and not refused


def _find_block_reason(facts: Mapping[str, object]) -> tuple[str, str] | None:
    confirms_opt_out = facts["message.kind"] == MessageKind.OPT_OUT_CONFIRMATION
    # `is not False`: anything but a certain no counts as suppressed.
    if facts["prospect.suppressed"] is not False and not confirms_opt_out:
        return "hard_limit_suppressed", "They are on the opt-out list"
    if facts.get("prospect.validado_tecnicamente") is False:
        return "hard_limit_not_reachable", "The number does not work on WhatsApp"
    return None if _is_answer(facts) else _find_refusal(facts)


def _find_refusal(facts: Mapping[str, object]) -> tuple[str, str] | None:
    """Return why nothing is sent to them that is no answer, or None."""
    if facts["prospect.permission"] == Permission.REFUSED:
        return "hard_limit_refused", REFUSED_SENTENCE
    if facts["prospect.permission"] == Permission.NONE:
        return "hard_limit_no_permission", "No permission on record"
    listed = facts["register.listed"] is not False
    if listed and facts["message.kind"] == MessageKind.COMMERCIAL:
        return "hard_limit_do_not_call", "They are on the do-not-call register"
    return None


def _is_answer(facts: Mapping[str, object]) -> bool:
    return facts["message.kind"] in ANSWER_KINDS


def _needs_manual_sending(facts: Mapping[str, object]) -> bool:
    by_machine = facts["session.channel"] != BuiltinChannel.MANUAL
    found = facts["prospect.permission"] == Permission.PUBLIC_SOURCE
    return by_machine and found and not _is_answer(facts)


def _replace_verdict(decision: Decision, verdict: Verdict, code: str, sentence: str) -> Decision:
    return replace(
        decision, verdict=verdict, reason_code=code, sentence=sentence, route=None, defers=()
    )
