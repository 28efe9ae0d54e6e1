"""Effects of plugins on an inbound: collected before its transaction, committed within it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from daemon.api.effects import (
    AddNote,
    AskReview,
    ContactView,
    InboundEffect,
    Intent,
    QueueReply,
    SetIntent,
)
from daemon.api.signals import InboundMessage
from daemon.errors import BadRequest
from daemon.inbound.context import InboundContext
from daemon.outbox.enqueue import build_message, validate_text
from daemon.plugin_manager import PluginFailure, Plugins
from statemachines.vocabulary import MessageKind
from storage import contacts, evidence, messages, prospects, sessions
from storage.evidence import EvidenceKind
from storage.tx import Tx

log = structlog.get_logger("inbound")

_HOOK = "leadmaster_interpret_inbound"
_EFFECT_TYPES = (SetIntent, AskReview, QueueReply, AddNote)


async def collect_effects(
    plugins: Plugins, inbound: InboundMessage, contact: ContactView
) -> list[tuple[str, InboundEffect]]:
    """Ask every plugin; what is no effect is refused, and costs that plugin's effects only."""
    found: list[tuple[str, InboundEffect]] = []
    for plugin, effects in await plugins.interpret(inbound, contact):
        if fault := _find_fault(effects):
            sentence = f"The plugin {plugin!r} returned {fault}"
            plugins.report_failure(PluginFailure(plugin, _HOOK, sentence))
        else:
            found += [(plugin, effect) for effect in effects]
    return found


def _find_fault(effects: object) -> str:
    """Return what is wrong with a plugin's answer; empty where nothing is."""
    if not isinstance(effects, Sequence) or not all(
        isinstance(each, _EFFECT_TYPES) for each in effects
    ):
        return "what is no effect."
    if not all(map(_is_storable, effects)):
        return "an effect with values that can't be stored."
    try:
        for each in effects:
            if isinstance(each, QueueReply):
                validate_text(each.text)
    except BadRequest as error:
        return f"a reply that can't be sent. {error}"
    return ""


def _is_storable(effect: InboundEffect) -> bool:
    """Tell whether each value of an effect is of its type and fits into a column."""
    values = {name: getattr(effect, name) for name in effect.__struct_fields__}
    return all(
        isinstance(value, Intent if name == "intent" else str) and _is_whole(value)
        for name, value in values.items()
    )


def _is_whole(text: str) -> bool:
    """Tell whether a text has no half character in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def commit_effects(
    tx: Tx,
    context: InboundContext,
    effects: Iterable[tuple[str, InboundEffect]],
    *,
    reply_expires: timedelta,
) -> None:
    """Write every effect, in the order of the plugins' names.

    An intent is written where the message may show one, and dropped where it was not understood.
    """
    for plugin, effect in effects:
        match effect:
            case SetIntent(intent, quote) if context.reading.shows_interest:
                set_intent(tx, context, intent.value, quote, plugin)
            case AskReview(reason):
                contacts.request_contact_review(tx, context.contact, reason, context.now)
            case QueueReply(text):
                queue_reply(
                    tx,
                    context,
                    text,
                    kind=MessageKind.REPLY,
                    who=plugin,
                    not_after=context.record.at + reply_expires,
                )
            case AddNote(text):
                _add_note(tx, context, text)


def queue_reply(
    tx: Tx, context: InboundContext, text: str, *, kind: MessageKind, who: str, not_after: datetime
) -> bool:
    """Queue an answer through the session that they wrote to; the gate judges it like any other.

    Returns False where it can't be addressed: no number is known yet, or the session is gone; and
    where its time is over: an answer belongs to the time of the question.
    """
    if not_after <= context.now:
        log.info("answer_too_late", session=context.record.session, plugin=who)
        return False
    session = sessions.get_session(tx, context.record.session)
    if context.recipient is None or session is None:
        log.warning("answer_without_address", session=context.record.session, plugin=who)
        return False
    answer = build_message(
        at=context.now,
        contact=context.contact,
        recipient=context.recipient,
        session=session.name,
        channel=session.channel,
        text=text,
        kind=kind,
        not_after=not_after,
    )
    messages.insert_message(tx, answer, who=who)
    return True


def set_intent(tx: Tx, context: InboundContext, intent: str, quote: str, source: str) -> None:
    """Store a purchase intent with the words that show it; the latest written one counts."""
    latest = evidence.get_latest_evidence_time(tx, context.contact, EvidenceKind.INTENT)
    evidence.insert_evidence(
        tx,
        context.contact,
        EvidenceKind.INTENT,
        intent,
        at=context.record.at,
        source=source,
        quote=quote,
        inbound=context.record.id,
    )
    if latest and latest > context.record.at:
        return  # messages come in any order: what they wrote later counts
    if prospect := prospects.find_prospect_by_contact(tx, context.contact):
        prospects.update_prospect(tx, prospect.id, at=context.now, intent=intent)


def _add_note(tx: Tx, context: InboundContext, text: str) -> None:
    if prospect := prospects.find_prospect_by_contact(tx, context.contact):
        notes = f"{prospect.notes}\n{text}".strip()
        prospects.update_prospect(tx, prospect.id, at=context.now, notes=notes)
