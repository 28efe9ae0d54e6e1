"""How to read the history of a former system: columns, kinds of lines, dates and zone."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from daemon.api.imports import normalise_text
from daemon.contacts.list_options import MappedListOptions
from daemon.errors import ImportRejected
from daemon.lists.columns import ColumnPlan
from daemon.lists.dates import DateOrder
from daemon.lists.vocabulary import USES_BY_KIND, ListKind
from storage.history import HistoryKind

HISTORY_COLUMNS: Final = ("phone", *sorted(USES_BY_KIND[ListKind.HISTORY]))
"""The columns that a header can be mapped to."""


class HistoryOptions(MappedListOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read a history. The same file with the same options is the same import."""

    kind: HistoryKind | None = None
    """What a line is whose cell on it is empty, or missing."""
    words: dict[str, HistoryKind] = msgspec.field(default_factory=dict)
    """What words in the column of the direction mean that the table does not know."""
    date_order: DateOrder | None = None
    """The order of day and month, where no row of the column shows it."""
    time_zone: str | None = None
    """The zone of times without one, such as Europe/Madrid; None: the installation's."""
    leave_out_rejected: bool = False
    """Whether records that can't be read are left out; else they refuse the whole file."""

    def __post_init__(self) -> None:
        """Raise ImportRejected for an unknown column or time zone."""
        self.check_mapping(HISTORY_COLUMNS)
        if self.time_zone is not None:
            load_zone(self.time_zone)

    @property
    def folded_words(self) -> dict[str, HistoryKind]:
        """The answers by word, folded as cells are looked up."""
        return {normalise_text(word): kind for word, kind in self.words.items()}

    def plan_columns(self, headers: tuple[str, ...]) -> ColumnPlan:
        """Return the use of each column, ``mapping`` applied over the guess.

        Raises ImportRejected for an unknown header, or where none is the phone number's.
        """
        return self.plan_list_columns(ListKind.HISTORY, headers)


def load_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name. Raises ImportRejected for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ImportRejected(
            f"There is no time zone {name!r}.",
            hint="Write one such as Europe/Madrid.",
        ) from None
