"""Every hook, typed. Each says when it is called, with what, and what an error means.

Hooks whose spec is ``async`` are awaited side by side, each implementation with its own
time limit and its own error; the others are called once, at start.
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
        """Return the channels that this plugin brings. Called once, at start.

        Two plugins may not declare the same name; an error stops the start with one sentence.
        """
        ...

    @hookspec
    def leadmaster_declare_sources(self) -> Sequence[ImportSource]:
        """Return the import sources that this plugin brings.

        Called once, at start, and once in the child process of each import.
        """
        ...

    @hookspec(firstresult=True)
    async def leadmaster_prepare_message(
        self, draft: Draft, sessions: Sequence[SessionChoice]
    ) -> Prepared | None:
        """Return rendered text and route for a draft, or None to leave it to the next plugin.

        Called before a message is enqueued. It prepares and never decides: the gate judges what it
        returns. An error refuses that one message.
        """

    @hookspec
    async def leadmaster_judge_message(self, request: OpinionRequest) -> Opinion | None:
        """Return a stricter opinion (block, defer or hold) on a message, or None for no objection.

        Called at each of the gate's two looks. An error or a late answer is a gate fault: the
        message is deferred and judged again, never let through.
        """

    @hookspec
    async def leadmaster_interpret_inbound(
        self, inbound: InboundMessage, contact: ContactView
    ) -> Sequence[InboundEffect]:
        """Return effects of a message that a contact wrote to us.

        Called once for each inbound that opens a conversation, before it is stored; the effects are
        committed in the same transaction. An opt-out is not shown to plugins: it is the core's own,
        and no plugin can delay it. Nor are replayed history, reactions, edits, deletions, polls and
        what a program sent. An error or a late answer loses this plugin's effects alone.
        """
        ...

    @hookspec
    async def leadmaster_observe_event(self, event: DomainEvent) -> None:
        """Look at an event after its commit. Called for every stored event, in order.

        An error is logged as ``plugin.failed`` and changes nothing. Pairing codes never come here.
        """
