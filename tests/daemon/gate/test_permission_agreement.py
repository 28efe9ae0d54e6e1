"""List, filter, export and gate give one permission, at every second and for any history."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.gate.consent import Permission, derive_permission
from daemon.gate.facts import build_prospect_facts
from storage import contacts, evidence, prospect_search, prospects
from storage.evidence import EvidenceKind
from storage.prospect_search import ProspectSearch
from storage.tx import Reader, Tx
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.services.database import insert_prospect
from tests.helpers.services.imports import IMPORTED_AT, ImportServices, open_import_services
from tests.helpers.services.messaging import build_phone

pytestmark = pytest.mark.slow

K = EvidenceKind
Piece: TypeAlias = tuple[EvidenceKind, str, int]
"""A kind, a value, and the second of its writing, counted from `IMPORTED_AT`."""
DAY: Final = 86_400
PIECES: Final[Sequence[tuple[EvidenceKind, str]]] = (
    *((K.PERMISSION, value) for value in ("opted_in", "relationship", "public_source", "none")),
    *((K.PERMISSION, "refused"), (K.CONSENT, "call"), (K.DECLINED, "refused")),
    *((K.INBOUND, value) for value in ("opt_in", "opt_out", "declined", "complaint")),
    *((K.INBOUND, value) for value in ("interested", "question", "courtesy", "automatic")),
    *((K.INBOUND, value) for value in ("question_about_us", "unclear", "wrong_person", "minor")),
    *((K.COMPLAINT, "block_signal"), (K.OWN_MESSAGE, "sent")),
)
seconds = st.one_of(
    st.sampled_from([0, 1, DAY - 1, DAY, DAY + 1, 2 * DAY]), st.integers(0, 3 * DAY)
)
"""Around the end of a conversation's 24 hours more often than elsewhere."""
histories = st.lists(
    st.tuples(st.sampled_from(PIECES), seconds).map(lambda drawn: (*drawn[0], drawn[1])),
    max_size=6,
)
"""Pieces in the order in which they come in, which need not be that of their writing."""


looks = st.lists(st.tuples(seconds, st.sampled_from([0, 1, 999])), min_size=1, max_size=3)
"""Seconds and microseconds after the newest piece; the database has milliseconds."""


def enter_prospect(tx: Tx, services: ImportServices, phone: str) -> str:
    """Enter somebody of whom only the number is known; return the contact."""
    contact = contacts.resolve_contact(tx, services.aliases.from_phone(phone), IMPORTED_AT)
    insert_prospect(tx, contact, phone, IMPORTED_AT)
    return contact


def add_piece(tx: Tx, services: ImportServices, contact: str, piece: Piece) -> None:
    """Add a piece at the time of its writing, as the services that learn something do."""
    kind, value, second = piece
    at = IMPORTED_AT + timedelta(seconds=second)
    evidence.insert_evidence(tx, contact, kind, value, at=at, source="test")
    services.scoring.refresh_prospect(
        tx, contact, at, reason_code="test", sentence="A test says so."
    )


def read_permissions(reader: Reader, contact: str, phone: str, at: datetime) -> dict[str, object]:
    """Return what each reader of a permission gets; the filters by all that they find."""
    prospect = prospects.find_prospect_by_contact(reader, contact)
    assert prospect is not None
    facts = build_prospect_facts(
        prospect, evidence.list_contact_evidence(reader, contact), suppressed=False, at=at
    )
    (listed,) = prospect_search.search_prospects(reader, ProspectSearch(text=phone), now=at)
    (shown,) = prospect_search.search_prospect_directory(reader, ProspectSearch(text=phone), now=at)
    return {
        "gate": facts["prospect.permission"],
        "list and export": listed.permission,
        "console": shown.prospect.permission,
        "prospect": prospect.as_of(at).permission,
        "filter": [
            permission.value
            for permission in Permission
            if prospect_search.search_prospects(
                reader, ProspectSearch(text=phone, permission=permission), now=at
            )
        ],
        "console's filter": [
            permission.value
            for permission in Permission
            if prospect_search.search_prospect_directory(
                reader, ProspectSearch(text=phone, permission=permission), now=at
            )
        ],
    }


def test_all_readers_of_a_permission_agree_at_every_second(tmp_path: Path) -> None:
    """Random histories, looked at at random times, between which nothing comes in."""
    numbers = itertools.count()
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        room = open_import_services(tmp_path)
        services = runner.run(room.__aenter__())
        stack.callback(lambda: runner.run(room.__aexit__(None, None, None)))

        @examples(60)
        @given(histories, looks)
        @example([(K.INBOUND, "interested", 0)], [(DAY, 0), (DAY, 1), (DAY - 1, 999)])
        def check(history: list[Piece], moments: list[tuple[int, int]]) -> None:
            phone = build_phone(next(numbers))

            def bring(tx: Tx) -> str:
                contact = enter_prospect(tx, services, phone)
                for piece in history:
                    add_piece(tx, services, contact, piece)
                return contact

            contact = runner.run(services.database.write(bring))
            last = max((second for _, _, second in history), default=0)
            for second, microsecond in moments:
                at = IMPORTED_AT + timedelta(seconds=last + second, microseconds=microsecond)
                read = runner.run(
                    services.database.read(
                        lambda r, at=at: read_permissions(r, contact, phone, at)  # type: ignore[misc] # bound now
                    )
                )
                wanted = read.pop("gate")
                assert read == {name: [wanted] if "filter" in name else wanted for name in read}, (
                    history,
                    second,
                    microsecond,
                )

        check()


@given(histories, st.lists(st.tuples(st.sampled_from(PIECES), seconds), max_size=4))
def test_what_was_agreed_before_a_refusal_never_returns_by_itself(
    before: list[Piece], after: list[tuple[tuple[EvidenceKind, str], int]]
) -> None:
    """Nothing of before the newest no counts: the pieces that are later decide alone."""
    no = 4 * DAY
    piece = evidence.Evidence
    old = [
        piece(kind, value, IMPORTED_AT + timedelta(seconds=second), "test", "")
        for kind, value, second in before
        if not (kind is K.INBOUND and value in {"wrong_person", "minor"})
    ]
    refusal = piece(K.DECLINED, "refused", IMPORTED_AT + timedelta(seconds=no), "test", "")
    new = [
        piece(kind, value, IMPORTED_AT + timedelta(seconds=no + 1 + second), "test", "")
        for (kind, value), second in after
    ]
    now = IMPORTED_AT + timedelta(seconds=no + 5 * DAY)
    assert derive_permission([*old, refusal, *new], now) is derive_permission([refusal, *new], now)
