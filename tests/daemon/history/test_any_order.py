"""The order of lines and files changes nothing, and the strictest of what was said holds."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gate.consent import Permission
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.services.history import KnownPerson, open_history_services
from tests.helpers.services.messaging import ANA, ANA_OLD_FORM

pytestmark = pytest.mark.slow

OPT_OUTS = ("BAJA", "no me escriban más")
OTHER_WORDS = (
    *("no me interesa", "me interesa", "¿cuánto sale?", "ALTA", "gracias", "no me manden audios"),
    *("ok el jueves paso", "los voy a denunciar por spam", "soy menor, tengo 15 años", ""),
)
KINDS = ("enviado", "recibido", "rechazado", "baja")

row = st.tuples(
    st.sampled_from((ANA, ANA_OLD_FORM)),
    st.integers(1, 6).map(lambda day: f"2025-03-0{day} 10:00"),
    st.sampled_from(KINDS),
    st.sampled_from(OPT_OUTS + OTHER_WORDS),
)


async def import_files(*files: Sequence[tuple[str, ...]]) -> KnownPerson:
    """Return what is known of Ana after these files, imported one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_history_services(Path(folder)) as past:
            for number, rows in enumerate(files):
                if rows:
                    await past.import_rows(*rows, name=f"{number}.csv")
            return await past.get_person()


@examples(12)
@given(rows=st.lists(row, min_size=1, max_size=6), data=st.data())
def test_the_order_of_lines_and_files_changes_nothing(
    rows: list[tuple[str, ...]], data: st.DataObject
) -> None:
    """One file, or the same lines in another order in two files that overlap."""
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    once = asyncio.run(import_files(rows))
    otherwise = asyncio.run(import_files(shuffled[cut:], shuffled[: cut + 1]))
    assert otherwise == once
    asked = any(
        kind == "baja" or (kind in {"recibido", "rechazado"} and words in OPT_OUTS)
        for _, _, kind, words in rows
    )
    assert once.suppressed >= asked
    if asked:
        assert once.permission in {
            Permission.REFUSED,
            Permission.NONE,
            Permission.OPTED_IN,
            Permission.RELATIONSHIP,
        }
    last_no = max((at for _, at, kind, _ in rows if kind == "rechazado"), default="")
    later = [each for each in rows if each[1] > last_no and each[2] == "recibido"]
    if last_no and not later:
        assert once.permission in {Permission.REFUSED, Permission.NONE}
