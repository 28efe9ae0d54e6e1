"""The hooks that a plugin may implement: when each is called, with what, what an error means.

The ``async`` hooks are awaited concurrently, each implementation with its own
time limit and its own error; the others are called at start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pluggy

from daemon.api import PROJECT
from daemon.api.effects import ContactView, Draft, InboundEffect, Prepared, SessionChoice
from daemon.api.events import DomainEvent
from daemon.api.imports import ImportSource
from daemon.api.opinions import Opinion, OpinionRequest
from daemon.api.signals import InboundMessage
from daemon.api.transport import Channel

hookspec = pluggy.HookspecMarker(PROJECT)


class Hooks(Protocol):
    """The hooks that a plugin may implement as functions of its module."""

    @hookspec
    def leadmaster_declare_channels(self) -> Sequence[Channel]:
        """Return the channels that this plugin provides. Called once, at start.

        Two plugins may not declare the same name; an error stops the start with one sentence.
        """
        ...

    @hookspec
    def leadmaster_declare_sources(self) -> Sequence[ImportSource]:
        """Return the import sources that this plugin provides.

        Called once, at start, and once in the child process of each import.
        """
        ...

    @hookspec(firstresult=True)
    async def leadmaster_prepare_message(
        self, draft: Draft, sessions: Sequence[SessionChoice]
    ) -> Prepared | None:
        """Return the text and the route of a draft, or None to leave it to the next plugin.

        Called before a message is enqueued. The gate judges what it returns, as it judges any
        message. An error refuses that one message.
        """

    @hookspec
    async def leadmaster_judge_message(self, request: OpinionRequest) -> Opinion | None:
        """Return a stricter opinion (block, defer or hold) on a message, or None for no objection.

        Called when a message is enqueued, and again before it is sent. An error or a late answer is
        a gate fault: the message is deferred and judged again, never let through.
        """

    @hookspec
    async def leadmaster_interpret_inbound(
        self, inbound: InboundMessage, contact: ContactView
    ) -> Sequence[InboundEffect]:
        """Return effects of a message that a contact wrote to us.

        Called once for each inbound that opens a conversation, before it is stored; the effects are
        committed in the same transaction. Not called for an opt-out, which no plugin may delay, nor
        for replayed history, reactions, edits, deletions, polls and what a program sent. An error
        or a late answer loses this plugin's effects alone.
        """
        ...

    @hookspec
    async def leadmaster_observe_event(self, event: DomainEvent) -> None:
        """Observe an event after its commit. Called for every stored event, in order.

        An error is logged as ``plugin.failed`` and changes nothing. Pairing codes are never passed.
        """
