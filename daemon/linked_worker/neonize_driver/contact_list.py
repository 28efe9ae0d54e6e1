"""Reads the library's list of contacts: one entry for each person, under all their identities."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from daemon.api.identity import Identity, NotAContact, parse_identity
from daemon.api.transport import KnownContact
from daemon.linked_worker.neonize_driver.events import format_jid


def read_contact_list(
    entries: Iterable[Any], find_other: Callable[[Identity], Identity | None]
) -> list[KnownContact]:
    """Return the people of the list.

    ``find_other`` returns the hidden id of a number, or the number of a hidden id, where the
    library knows it: it keeps one person under both, and their name under either.
    """
    names: dict[frozenset[Identity], str] = {}
    for identity, name in _iterate_people(entries):
        other = find_other(identity)
        identities = frozenset((identity, other) if other else (identity,))
        names[identities] = names.get(identities) or name
    return [
        KnownContact(tuple(sorted(identities, key=lambda each: each.value)), name)
        for identities, name in names.items()
    ]


def _iterate_people(entries: Iterable[Any]) -> Iterator[tuple[Identity, str]]:
    """Yield who is a person, with the name that they chose, and not the owner's name for them."""
    for each in entries:
        with contextlib.suppress(NotAContact):
            name = each.Info.PushName or each.Info.BusinessName
            yield parse_identity(format_jid(each.JID)), name
