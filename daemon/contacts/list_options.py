"""What a list of any kind is read with: its region, source, encoding, sheet and columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec

from daemon.errors import ImportRejected
from daemon.lists.columns import ColumnPlan, plan_columns
from daemon.lists.vocabulary import ListKind


class ListOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read a list; what is left out is found out."""

    region: (
        Annotated[
            str, msgspec.Meta(pattern="^[A-Z]{2}$", description="two capital letters, such as AR")
        ]
        | None
    ) = None
    """The region of numbers without +; None: the installation's default region."""
    source: str | None = None
    """The name of the import source; None: the one for the file's suffix."""
    encoding: str | None = None
    """The encoding of a text file, kept to strictly; None: it is found, or the file is refused."""
    sheet: str | None = None
    """The sheet of a workbook; None: the first visible one that has a header with a phone."""


class MappedListOptions(ListOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read a list whose columns are recognised by their headers."""

    mapping: dict[str, str] = {}
    """Our column → the file's header, where the guess is wrong."""

    def check_mapping(self, columns: Collection[str]) -> None:
        """Raise ImportRejected where ``mapping`` names none of our ``columns``."""
        if unknown := sorted(set(self.mapping) - set(columns)):
            raise ImportRejected(
                f"There is no column {unknown[0]!r} to map to.",
                hint=f"The columns are: {', '.join(columns)}.",
            )

    def plan_list_columns(
        self, kind: ListKind, headers: tuple[str, ...], kept: Sequence[str] = ()
    ) -> ColumnPlan:
        """Return the use of each column, ``mapping`` and the ``kept`` ones applied over the guess.

        Raises ImportRejected for an unknown header, or where none is the phone number's.
        """
        named = [*self.mapping.values(), *kept]
        if missing := [header for header in named if header not in headers]:
            raise ImportRejected(
                f"The file has no header {missing[0]!r}; it has: {', '.join(headers)}."
            )
        plan = plan_columns(headers, self.mapping, kind, kept)
        if not plan.phones:
            raise ImportRejected(
                f"No header was recognised as the phone number; there are: {', '.join(headers)}.",
                hint="Name it: --map phone=HEADER",
            )
        return plan
