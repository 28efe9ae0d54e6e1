"""Loads the plugins and calls their hooks, with one typed method for each hook.

No other file uses pluggy. Built-in plugins are loaded by entry points, as third-party ones are.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar, cast

import pluggy
import structlog
from msgspec import Struct

from daemon.api import PROJECT
from daemon.api.effects import ContactView, Draft, InboundEffect, Prepared, SessionChoice
from daemon.api.imports import ImportSource
from daemon.api.opinions import OpinionRequest
from daemon.api.signals import InboundMessage
from daemon.api.transport import Channel
from daemon.errors import StartRefused, Unavailable
from daemon.events import DomainEvent
from daemon.hookspecs import Hooks
from daemon.installed_plugins import list_installed_plugins

T = TypeVar("T")
CallResult: TypeAlias = tuple[object, BaseException | None]
log = structlog.get_logger("plugins")


class PluginAnswer(Struct, frozen=True):
    """One plugin's answer to one call: a value, or the sentence that says why there is none."""

    plugin: str
    value: object = None
    failure: str = ""


class PluginFailure(Struct, frozen=True):
    """A hook of a plugin that raised, ran late or answered with something else, in a sentence."""

    plugin: str
    hook: str
    sentence: str


class PluginFailureQueue:
    """Failures of plugins until they are stored; one that comes while it is full is left out."""

    def __init__(self, maximum: int = 256) -> None:
        self._failures: asyncio.Queue[PluginFailure] = asyncio.Queue(maximum)

    def put(self, failure: PluginFailure) -> None:
        """Add a failure, without waiting."""
        # Every failure is in the log as well; the stored ones may be incomplete.
        with contextlib.suppress(asyncio.QueueFull):
            self._failures.put_nowait(failure)

    async def get(self) -> PluginFailure:
        """Wait for the next failure and return it."""
        return await self._failures.get()


def _leave_to_the_log(_failure: PluginFailure) -> None:
    """Do nothing more about a failure."""


class Plugins:
    """The loaded plugins behind typed calls.

    ``limit`` is how many seconds one implementation may take. ``report_failure`` is called with
    each failure of an implementation; without it, a failure is in the log alone.
    """

    def __init__(
        self,
        *,
        limit: float = 2.0,
        report_failure: Callable[[PluginFailure], None] = _leave_to_the_log,
    ) -> None:
        self._pm = pluggy.PluginManager(PROJECT)
        self._pm.add_hookspecs(Hooks)
        self._limit = limit
        self._late_calls: set[asyncio.Task[CallResult]] = set()
        self.report_failure = report_failure

    def load(
        self, *, blocked: Iterable[str] = (), more: Mapping[str, object] | None = None
    ) -> None:
        """Load every installed plugin but the blocked, and ``more`` by name; refuse unknown hooks.

        Raises :class:`StartRefused` naming the plugin that can't be loaded, or that is to be
        blocked and does not exist.
        """
        installed = list_installed_plugins()
        for name in blocked:
            # A misspelt name would let in the plugin that the operator wants to keep out.
            _require_installed(name, [each.name for each in installed])
            self._pm.set_blocked(name)
        for point in installed:
            if not self._pm.is_blocked(point.name):
                self._register(point.name, point.load)
        for name, plugin in (more or {}).items():
            self._register(name, partial(_return_plugin, plugin))
        self._refuse_unknown_hooks()

    def _refuse_unknown_hooks(self) -> None:
        for hook, relay in vars(self._pm.hook).items():
            if not isinstance(relay, pluggy.HookCaller) or relay.has_spec():
                continue
            # `optionalhook` is pluggy's mark for a hook that another version of the host may not
            # have.
            needing = [impl for impl in relay.get_hookimpls() if not impl.optionalhook]
            if needing:
                plugin = needing[0].plugin_name
                raise StartRefused(
                    f"There is no hook {hook}; the plugin {plugin!r} implements it.",
                    hint="Correct the hook's name, or block the plugin in [plugins] blocked.",
                )

    def _register(self, name: str, load: Callable[[], object]) -> None:
        try:
            self._pm.register(load(), name=name)
        except Exception as error:
            log.exception("plugin_not_loaded", plugin=name)
            raise StartRefused(
                f"The plugin {name!r} can't be loaded; the log says why.",
                hint=f"Fix or uninstall it, or block it: [plugins] blocked = [{name!r}]",
            ) from error

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the loaded plugins, sorted."""
        return tuple(sorted(name for name, plugin in self._pm.list_name_plugin() if plugin))

    def channels(self) -> Mapping[str, Channel]:
        """Return every declared channel by name; two of one name refuse the start."""
        return self._collect_declarations("leadmaster_declare_channels", Channel)

    def sources(self) -> Mapping[str, ImportSource]:
        """Return every declared import source by name; two of one name refuse the start."""
        return self._collect_declarations("leadmaster_declare_sources", ImportSource)

    def _collect_declarations(self, hook: str, kind: type[T]) -> dict[str, T]:
        found: dict[str, T] = {}
        for plugin, call in self._implementations(hook):
            try:
                declared = list(cast("Iterable[T]", call()))
            except Exception as error:
                log.exception("plugin_failed", plugin=plugin, hook=hook)
                raise StartRefused(
                    f"The plugin {plugin!r} failed in {hook}; the log says why.",
                    hint=f"Fix it, or block it: [plugins] blocked = [{plugin!r}]",
                ) from error
            for each in declared:
                name = str(getattr(each, "name", each))
                if not isinstance(each, kind) or name in found:
                    raise StartRefused(
                        f"The plugin {plugin!r} declares {name!r} in {hook}:"
                        " that name is taken, or it is not what the hook asks for."
                    )
                found[name] = each
        return found

    async def prepare(self, draft: Draft, sessions: Sequence[SessionChoice]) -> Prepared | None:
        """Return the first plugin's prepared message; raise :class:`Unavailable` if one fails."""
        hook = "leadmaster_prepare_message"
        for name, call in self._implementations(hook):
            answer = await self._call_plugin(hook, name, call, draft=draft, sessions=sessions)
            if answer.failure:
                raise Unavailable(answer.failure, hint="Mend or block the plugin that is named.")
            if isinstance(answer.value, Prepared):
                return answer.value
        return None

    async def judge(self, request: OpinionRequest) -> list[PluginAnswer]:
        """Return every plugin's opinion; a plugin that fails gives an answer with its failure."""
        return await self.call_all("leadmaster_judge_message", request=request)

    async def interpret(
        self, inbound: InboundMessage, contact: ContactView
    ) -> list[tuple[str, Sequence[InboundEffect]]]:
        """Return each plugin's effects of an inbound; a failing plugin has none."""
        answers = await self.call_all(
            "leadmaster_interpret_inbound", inbound=inbound, contact=contact
        )
        return [
            (answer.plugin, cast("Sequence[InboundEffect]", answer.value))
            for answer in answers
            if answer.value
        ]

    async def observe(self, event: DomainEvent) -> None:
        """Pass a committed event to every plugin; their errors are logged and change nothing."""
        await self.call_all("leadmaster_observe_event", event=event)

    async def call_all(self, hook: str, **arguments: object) -> list[PluginAnswer]:
        """Call every implementation of an async hook concurrently.

        Each has its own time limit and its own error: none can stop, delay or
        hide another. The answers come in the order of the plugins' names.
        """
        found = sorted(self._implementations(hook), key=lambda pair: pair[0])
        calls = [self._call_plugin(hook, name, call, **arguments) for name, call in found]
        # Nothing to wait for is the usual case; each message would pass the loop for it.
        return list(await asyncio.gather(*calls)) if calls else []

    async def _call_plugin(
        self, hook: str, name: str, call: Callable[..., object], **arguments: object
    ) -> PluginAnswer:
        """Call one implementation, within the time limit; return its value or its failure."""
        # wait() and not wait_for(): that would wait on for a plugin that ignores cancellation.
        asked = asyncio.create_task(_capture_result(call, arguments), name=f"plugin-{name}")
        try:
            await asyncio.wait({asked}, timeout=self._limit)
        finally:
            self._cancel_late_call(asked)
        if not asked.done():
            failure = f"The plugin {name!r} did not answer {hook} within {self._limit:g} s."
        elif (error := asked.result()[1]) is not None:
            log.error("plugin_failed", plugin=name, hook=hook, exc_info=error)
            failure = f"The plugin {name!r} failed in {hook}; the log says why."
        else:
            return PluginAnswer(name, asked.result()[0])
        self.report_failure(PluginFailure(name, hook, failure))
        return PluginAnswer(name, failure=failure)

    def _cancel_late_call(self, asked: asyncio.Task[CallResult]) -> None:
        """Cancel a call that is still running."""
        if not asked.done():
            # The event loop holds tasks weakly: without this a late one could be collected while it
            # runs.
            self._late_calls.add(asked)
            asked.add_done_callback(self._late_calls.discard)
            asked.cancel()

    def _implementations(self, hook: str) -> list[tuple[str, Callable[..., object]]]:
        """Return each plugin's name and implementation, in pluggy's calling order."""
        relay = getattr(self._pm.hook, hook)
        # pluggy calls the implementation that was registered last first.
        return [
            (impl.plugin_name, _pass_named_arguments(impl.function, impl.argnames))
            for impl in reversed(relay.get_hookimpls())
        ]


async def _capture_result(
    call: Callable[..., object], arguments: Mapping[str, object]
) -> CallResult:
    """Return what a plugin returned, or what it raised."""
    try:
        value = call(**arguments)
        return (await value if inspect.isawaitable(value) else value), None
    # A plugin that calls sys.exit() or cancels itself must not end the daemon.
    except (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001
        return None, error


def _require_installed(name: str, installed: Sequence[str]) -> None:
    if name not in installed:
        raise StartRefused(
            f"[plugins] blocked: there is no plugin {name!r}.",
            hint=f"Installed are: {', '.join(installed)}.",
        )


def _return_plugin(plugin: object) -> object:
    return plugin


def _pass_named_arguments(
    function: Callable[..., object], names: Sequence[str]
) -> Callable[..., object]:
    """Return a call that passes only the arguments that the function names, as pluggy does."""

    def call(**arguments: object) -> object:
        return function(**{name: arguments[name] for name in names})

    return call
