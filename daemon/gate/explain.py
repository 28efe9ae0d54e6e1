"""Explains a verdict as lines of text, and computes what it would be with other facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

import rules
from daemon.errors import BadRequest, NotFound
from daemon.gate import facts, hard_limits
from daemon.rulesets import history
from daemon.rulesets.active import ActiveRulesets
from rules.explain import explain_decision, explain_score
from rules.facts import FACTS, Fact, FactType, find_nearest_fact
from rules.known_values import known_values
from storage import decisions, evidence, messages, prospects, suppressions
from storage.decisions import DecisionRecord
from storage.tx import Reader

_SCORE = "prospect.score_contactabilidad"


class VerdictExplanation(Struct, frozen=True):
    """The explanation of a verdict: lines for people, and the values that they are made from.

    `decision` is None for a prospect without decisions. `changed` are the facts of a what-if.
    """

    subject: str
    decision: str | None
    verdict: str | None
    score: int | None
    ruleset: str
    lines: tuple[str, ...]
    changed: Mapping[str, object]


def build_explanation(
    reader: Reader,
    active: ActiveRulesets,
    subject: str,
    what_if: Mapping[str, object],
    at: datetime,
) -> VerdictExplanation:
    """Explain the last decision on a message or a prospect, or one decision by its id.

    A decision is explained by the rules that made it. With `what_if` the live rules evaluate its
    facts again, with these replaced. Raises :class:`NotFound`.
    """
    record = _find_decision(reader, subject)
    if record is None:
        return _explain_prospect(reader, active, subject, what_if, at)
    if "fault" in record.document:
        return _explain_fault(subject, record)
    gate = active.gate.ruleset if what_if else _find_ruleset(reader, active, record.ruleset)
    known = _build_facts(reader, active, record, what_if)
    opinions = parse_opinions(record.document)
    decision = hard_limits.apply_hard_limits(
        rules.RuleEvaluator(gate, "reference").decide(known, opinions), known
    )
    # Without what-if it is the stored decision that is explained, which named its own engine.
    if not what_if:
        decision = _keep_stored_words(decision, record.document)
    return VerdictExplanation(
        subject=subject,
        decision=record.id,
        verdict=decision.verdict.value,
        score=decision.score,
        ruleset=decision.ruleset,
        lines=tuple(explain_decision(decision, gate)),
        changed=dict(what_if),
    )


def _keep_stored_words(decision: rules.Decision, document: Mapping[str, Any]) -> rules.Decision:
    """Return the decision with the engine and the sentence that are stored."""
    # Another reason code: the hard limits have changed since, and the old sentence does not fit.
    same = document.get("reason_code") == decision.reason_code
    return replace(
        decision,
        engine=str(document.get("engine", decision.engine)),
        sentence=str(document.get("sentence", decision.sentence)) if same else decision.sentence,
    )


def parse_what_if(words: Mapping[str, str]) -> dict[str, object]:
    """Return the facts and values of a what-if as people write them: `yes`, `3`, `none`.

    An empty word makes a fact missing. Raises :class:`BadRequest` with the nearest fact, or with
    the values that the fact may have.
    """
    return {name: _parse_fact_value(name, word) for name, word in words.items()}


def _parse_fact_value(name: str, word: str) -> object:
    fact = FACTS.get(name)
    if fact is None:
        near = find_nearest_fact(name)
        raise BadRequest(
            f"There is no fact {name}.", hint=f"Did you mean {near}?" if near else "See the facts."
        )
    if not word:
        return None
    value = _convert_fact_value(fact, word)
    if not known_values([fact], {name: value}):
        values = ", ".join(fact.values) or f"{fact.low:g} to {fact.high:g}"
        raise BadRequest(f"{word} is not a value of {name}.", hint=f"It knows: {values}")
    return value


def _convert_fact_value(fact: Fact, word: str) -> object:
    match fact.type:
        case FactType.BOOL:
            return {"true": True, "yes": True, "false": False, "no": False}.get(word, word)
        case FactType.NUMBER:
            try:
                return float(word)
            except ValueError:
                return word
        case FactType.NAMES:
            return [] if word == "none" else word.split(",")
        case _:
            return word


def _find_decision(reader: Reader, subject: str) -> DecisionRecord | None:
    """Return the decision that a subject refers to; None for a prospect without decisions."""
    if subject.startswith("dec_"):
        found = decisions.get_decision(reader, subject)
    elif subject.startswith("msg_"):
        found = next(iter(decisions.list_message_decisions(reader, subject)[::-1]), None)
    else:
        prospect = prospects.get_prospect(reader, subject)
        if prospect is None:
            raise NotFound(
                f"There is no message, decision or prospect {subject}.",
                hint="Give an id; that of a number's prospect: leadmaster prospects show NUMBER",
            )
        return decisions.get_latest_contact_decision(reader, prospect.contact)
    if found is None:
        raise NotFound(f"There is no decision on {subject}.")
    return found


def _find_ruleset(reader: Reader, active: ActiveRulesets, hash_: str) -> rules.Ruleset:
    """Return the gate ruleset that made a decision; the live one if it is not readable any more."""
    live = active.gate.ruleset
    return live if live.hash == hash_ else history.load_stored_gate(reader, hash_) or live


def _build_facts(
    reader: Reader, active: ActiveRulesets, record: DecisionRecord, what_if: Mapping[str, object]
) -> dict[str, object]:
    """Return the facts of a decision, with the message's text and those of the what-if."""
    message = messages.get_message(reader, record.message)
    known = {**record.facts, "message.text": message.text if message else None, **what_if}
    # The score is computed from the other facts of the prospect.
    if _SCORE not in what_if and any(name.startswith("prospect.") for name in what_if):
        known[_SCORE] = active.score.score(known).score
    return known


def _explain_prospect(
    reader: Reader,
    active: ActiveRulesets,
    subject: str,
    what_if: Mapping[str, object],
    at: datetime,
) -> VerdictExplanation:
    prospect = prospects.require_prospect(reader, subject)
    known = facts.build_prospect_facts(
        prospect,
        evidence.list_contact_evidence(reader, prospect.contact),
        suppressed=suppressions.is_contact_suppressed(reader, prospect.contact),
        at=at,
    )
    result = active.score.score({**known, **what_if})
    return VerdictExplanation(
        subject=subject,
        decision=None,
        verdict=None,
        score=result.score,
        ruleset=result.ruleset,
        lines=tuple(explain_score(result, active.score.ruleset)),
        changed=dict(what_if),
    )


def _explain_fault(subject: str, record: DecisionRecord) -> VerdictExplanation:
    sentence = f"The rules could not be applied, so nothing was sent: {record.document['sentence']}"
    lines = (sentence, f"rules {record.ruleset[:12]}")
    return VerdictExplanation(subject, record.id, record.verdict, None, record.ruleset, lines, {})


def parse_opinions(document: Mapping[str, Any]) -> tuple[rules.Opinion, ...]:
    """Return the plugins' opinions of a stored decision, which can't be asked for again."""
    return tuple(
        rules.Opinion(
            each["source"],
            rules.VetoEffect(each["effect"]),
            each["reason"],
            _parse_defer(each["defer"]),
        )
        for each in document.get("opinions", ())
    )


def _parse_defer(plain: Mapping[str, Any] | None) -> rules.Defer | None:
    if plain is None:
        return None
    return rules.Defer(
        rules.DeferKind(plain["kind"]),
        plain["window"],
        plain["seconds"],
        plain["fact"],
        plain["days"],
    )
