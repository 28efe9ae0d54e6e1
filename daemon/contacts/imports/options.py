"""Options of an import: region, column mapping, origin, and how consent was obtained."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from daemon.contacts.list_options import MappedListOptions
from daemon.errors import ImportRejected
from daemon.lists.columns import ColumnPlan
from daemon.lists.consent_cells import ANSWERS, ConsentAnswer, fold_consent
from daemon.lists.dates import DateOrder
from daemon.lists.phone_cells import MobileAnswer
from daemon.lists.vocabulary import USES_BY_KIND, ListKind

IMPORT_COLUMNS: Final = frozenset(
    {use.value for use in USES_BY_KIND[ListKind.PROSPECTS]} | {"phone", "refusal"}
)
"""The columns that a header can be mapped to."""
MAX_FIELDS: Final = 50
"""The most headers whose cells are kept as further data of each prospect."""


class ImportPermission(StrEnum):
    """The permissions that a list can give. `conversation` is not one: only an inbound gives it."""

    OPTED_IN = "opted_in"
    RELATIONSHIP = "relationship"
    PUBLIC_SOURCE = "public_source"
    NONE = "none"
    REFUSED = "refused"


class ImportOptions(MappedListOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of an import. The same file with the same options is the same import."""

    cartera_origen: str | None = None
    """The origin of all records; None: each record's own column, else the file's name."""
    origen_en_palabras: Annotated[str, msgspec.Meta(max_length=300)] = ""
    """The origin as one would tell it to who asks where their number is from."""
    permission: ImportPermission = ImportPermission.PUBLIC_SOURCE
    """The permission of records whose cell on it is empty."""
    statement: str = ""
    """How consent was obtained. Without it, or evidence in the record, «sí» is no opt-in."""

    given_where: str = ""
    """Where the contacts gave these numbers as their WhatsApp, which validates each number."""
    given_how: str = ""
    """How they gave them, such as in which field of a form."""

    mobiles: MobileAnswer = MobileAnswer.ASK
    """Whether Argentine numbers without 9 are mobile lines, where header and cell don't say it."""
    date_order: DateOrder | None = None
    """The order of day and month, where no row of the column shows it."""
    consent_words: dict[str, ConsentAnswer] = msgspec.field(default_factory=dict)
    """What words on consent mean that the table does not know: yes, relationship, no, nothing."""
    record_consents: bool = False
    """Whether a yes with evidence raises the permission of people who are here already; never over
    a refusal or an opt-out."""
    fields: list[str] = msgspec.field(default_factory=list)
    """Headers whose cells are kept as further data of each prospect."""

    @property
    def given_statement(self) -> str:
        """Where and how the numbers were given as WhatsApp; empty without such a statement."""
        where, how = self.given_where.strip(), self.given_how.strip()
        return f"{where}: {how}" if where else ""

    def __post_init__(self) -> None:
        """Raise ImportRejected for an unknown column, or an opt-in without a statement."""
        self.check_mapping(sorted(IMPORT_COLUMNS))
        if self.permission is ImportPermission.OPTED_IN and not self.statement.strip():
            raise ImportRejected(
                "A whole list can't be opted in without saying how they agreed.",
                hint="Say how they agreed, or leave the permission at public_source.",
            )
        if set(self.consent_words.values()) - ANSWERS:
            raise ImportRejected(
                "A word on consent can mean yes, relationship, no or nothing.",
                hint="Choose one of these for each word.",
            )
        if len(self.fields) > MAX_FIELDS:
            raise ImportRejected(
                f"More than {MAX_FIELDS} columns can't be kept as data.",
                hint="Leave out the columns that nobody needs.",
            )
        if bool(self.given_where.strip()) != bool(self.given_how.strip()):
            raise ImportRejected(
                "That the numbers were given as WhatsApp needs both where and how.",
                hint="Say where and how the people gave them, or leave both out.",
            )

    @property
    def folded_consent_words(self) -> dict[str, ConsentAnswer]:
        """The answers by word, folded as cells are looked up."""
        return {fold_consent(word): answer for word, answer in self.consent_words.items()}

    def plan_columns(self, headers: tuple[str, ...]) -> ColumnPlan:
        """Return the use of each column, ``mapping`` and ``fields`` applied over the guess.

        Raises ImportRejected for an unknown header, or where none is the phone number's.
        """
        return self.plan_list_columns(ListKind.PROSPECTS, headers, self.fields)
