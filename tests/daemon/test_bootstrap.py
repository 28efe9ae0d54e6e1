"""The composition root: what it refuses to build, and that what it builds hangs together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.api import hookimpl
from daemon.api.imports import ImportSource, OpenedSource, SourceOptions, SourceUnreadable
from daemon.api.transport import CannotOpen, Channel, OpenContext, Transport
from daemon.bootstrap import open_services
from daemon.errors import BadRequest, RulesRejected, StartRefused
from daemon.outbox import SendRequest
from daemon.settings import ClockSettings, RulesSettings, Settings
from storage.errors import DatabaseInUse
from tests.helpers.client.http import build_settings
from tests.helpers.clock import FakeClock


async def _open(_context: OpenContext) -> Transport:
    msg = "nobody opens this channel here"
    raise CannotOpen(msg)


def _read(_path: Path, _options: SourceOptions) -> OpenedSource:
    msg = "nobody reads this source here"
    raise SourceUnreadable(msg)


class RealChannel:
    """A stranger's plugin with a channel to the outside world."""

    @hookimpl
    def leadmaster_declare_channels(self) -> Sequence[Channel]:
        """Declare it."""
        return [Channel("pigeon", "a line to the outside", _open)]


class SecondCsv:
    """A plugin that declares a source under a name that is taken."""

    @hookimpl
    def leadmaster_declare_sources(self) -> Sequence[ImportSource]:
        """Declare it."""
        return [ImportSource("csv", "another CSV", (".csv",), _read)]


@pytest.mark.parametrize("channel", ["pigeon", "manual"])
async def test_an_injected_clock_is_refused_beside_a_real_session(
    tmp_path: Path, channel: str
) -> None:
    """Only where every session is simulated may time be made up; by hand, people are reached."""
    settings = build_settings(tmp_path)
    by_the_wall = Settings(daemon=settings.daemon, clock=ClockSettings())
    plugins = {"pigeons": RealChannel()}
    async with open_services(by_the_wall, more_plugins=plugins) as services:
        await services.sessions.create("dove", channel, "America/Bogota")
    with pytest.raises(StartRefused, match="clock is injected"):
        async with open_services(settings, more_plugins=plugins):
            pytest.fail("it opened")


async def test_an_injected_clock_offers_no_real_channel(tmp_path: Path) -> None:
    """A real session can't be added later either."""
    plugins = {"pigeons": RealChannel()}
    async with open_services(build_settings(tmp_path), more_plugins=plugins) as services:
        assert set(services.channels) == {"simulated"}
        for real in ("pigeon", "manual"):
            with pytest.raises(BadRequest, match=f"{real!r} can't be used.*clock is inj") as told:
                await services.sessions.create("dove", real, "America/Bogota")
            assert "one of: simulated" in told.value.hint
        with pytest.raises(BadRequest, match="There is no channel 'dodo'"):
            await services.sessions.create("dove", "dodo", "America/Bogota")


async def test_two_sources_of_one_name_are_refused_at_the_start(tmp_path: Path) -> None:
    """Not at the first import, when nobody looks."""
    with pytest.raises(StartRefused, match="csv"):
        async with open_services(build_settings(tmp_path), more_plugins={"more": SecondCsv()}):
            pytest.fail("it opened")


async def test_bad_rules_are_refused_with_their_place(tmp_path: Path) -> None:
    """The sentence names file, line and column, and no database is made."""
    bad = tmp_path / "gate.yaml"
    bad.write_text("format: leadmaster/gate@1\nvetoes:\n  - {id: x, when: {prospect.scor: 1}}\n")
    settings = build_settings(tmp_path / "state")
    broken = Settings(daemon=settings.daemon, rules=RulesSettings(gate=(str(bad),)))
    with pytest.raises(RulesRejected, match=r"gate\.yaml:3:\d+"):
        async with open_services(broken):
            pytest.fail("it opened")
    assert not (tmp_path / "state" / "leadmaster.db").exists()


async def test_one_folder_has_one_house(tmp_path: Path) -> None:
    """A second daemon on the same folder is refused while the first lives, and not after."""
    settings = build_settings(tmp_path)
    async with open_services(settings):
        with pytest.raises(DatabaseInUse):
            async with open_services(settings):
                pytest.fail("it opened")
    async with open_services(settings):
        assert (tmp_path / "leadmaster.db").exists()


async def test_a_house_that_was_closed_goes_on_where_it_was(tmp_path: Path) -> None:
    """Sessions, messages and a halt are there again, as they were."""
    settings = build_settings(tmp_path)
    async with open_services(settings, clock=FakeClock()) as services:
        await services.sessions.create("ventas", "simulated", "America/Bogota")
        await services.halt.halt("ana", "the day is over")
        request = SendRequest(to="+5491141234567", text="Hola", session="ventas")
        message = await services.outbox.enqueue(request, "ana")
    async with open_services(settings, clock=FakeClock()) as again:
        assert [view.name for view in again.sessions.views()] == ["ventas"]
        halted = await again.halt.get_current()
        assert halted is not None
        assert halted.reason == "the day is over"
        count = await again.database.read(
            lambda reader: reader.value("SELECT count(*) FROM messages WHERE id = ?", (message.id,))
        )
        assert count == 1
