"""What was released stays: names of the interfaces, and migrations that databases have run."""

from __future__ import annotations

import pytest
from sqlite_utils import Database

from storage.migrations import SchemaMigrations
from tools.public_names import (
    AREAS,
    NEEDED,
    Names,
    list_announced_breaks,
    list_breaks,
    list_migration_breaks,
    list_migration_names,
    list_unannounced_breaks,
    load_released,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("area", AREAS)
def test_nothing_released_is_broken(area: str) -> None:
    """A change that users would notice is announced in the change log; see compatibility.md."""
    assert list_unannounced_breaks(area) == []


@pytest.mark.parametrize("area", AREAS)
def test_each_name_that_went_would_be_missed(area: str) -> None:
    """The copies are full, and every one of their names is looked for."""
    released = load_released(area)
    assert released
    assert len(list_breaks(released, {})) == len(released)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"Ban.phone": "number"}, "`Ban.phone` is number, was text"),
        ({"Ban.until": f"{NEEDED}date and time"}, "`Ban.until` is new, and needed by what exists"),
        (
            {"GET /v1/bans query page": f"{NEEDED}text"},
            "`GET /v1/bans query page` is new, and needed by what exists",
        ),
        (
            {"leadmaster bans --why": f"{NEEDED}value"},
            "`leadmaster bans --why` is new, and needed by what exists",
        ),
        ({"Ban.note": "text", "Visit.place": f"{NEEDED}text", "POST /v1/visits": "visit"}, ""),
    ],
)
def test_a_break_is_what_users_would_notice(change: Names, sentence: str) -> None:
    """Something else in its place, or something more that they must give; not what is new."""
    released = {"GET /v1/bans": "list", "Ban.phone": "text", "leadmaster bans": "command"}
    assert list_breaks(released, {**released, **change}) == ([sentence] if sentence else [])


def test_a_break_is_announced_by_its_name() -> None:
    """In a line of the next version's heading, which may be folded; older headings do not count."""
    changelog = (
        "# Changelog\n\n## [Unreleased]\n\n- **Breaks:** `Ban.phone` is a number; it was a text,\n"
        "  as `GET /v1/bans` shows.\n- `Ban.note` is new.\n\n"
        "## [0.1.0]\n\n- **Breaks:** `Old.one`\n"
    )
    assert list_announced_breaks(changelog) == {"Ban.phone", "GET /v1/bans"}


def build_steps(*statements: str, first: str = "m001_first") -> SchemaMigrations:
    """Return a set of migrations, each of one statement."""
    steps = SchemaMigrations("planted")
    for name, statement in zip((first, "m002_second"), statements, strict=False):

        def run(database: Database, statement: str = statement) -> None:
            database.conn.execute(statement)

        steps.steps[name] = run
    return steps


def test_a_released_migration_does_what_it_did() -> None:
    """Other SQL is seen, and a step before it; a step after it is how the schema changes."""
    first, second = "CREATE TABLE bans (phone TEXT)", "CREATE TABLE visits (place TEXT)"
    released = list_migration_names(build_steps(first))
    assert list_migration_breaks(released, list_migration_names(build_steps(first, second))) == []
    edited = list_migration_names(build_steps("CREATE TABLE bans (phone INTEGER)"))
    assert list_migration_breaks(released, edited)[0].startswith("`m001_first` is ")
    reordered = {**list_migration_names(build_steps(second, first="m000_new")), **released}
    assert list_migration_breaks(released, reordered) == ["`m001_first` is not in its place"]
