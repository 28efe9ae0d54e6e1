"""Keeps texts: validates and versions them, and approves them; fills them in for real people."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.gate.text_templates import (
    MAX_FILLED_LENGTH,
    find_variable_problems,
    list_variables,
)
from daemon.inbound.phrase_file import PhraseFile
from daemon.outbox.enqueue import validate_text
from daemon.outbox.message_check import MessageCheck
from daemon.texts.personal_values import build_personal_text, list_known_variables
from daemon.texts.preview import (
    PreviewDraft,
    TextPreview,
    check_preview,
    read_preview,
)
from storage import audit, evaluation_context, prospects, texts
from storage.db import Database
from storage.prospect_search import ProspectSearch
from storage.prospects import ProspectRecord
from storage.texts import (
    ApprovedText,
    NewTextVersion,
    TextPurpose,
    TextRecord,
    format_text_reference,
)
from storage.tx import Reader, Tx

MAX_NAME_LENGTH: Final = 120
_FIRST_CONTACT_VARIABLES: Final = ("quien", "origen_en_palabras")
_WORD: Final = re.compile(r"\w+")
_TEXTS_HINT: Final = "List them: leadmaster texts list"


class PreparedText(Struct, frozen=True, kw_only=True):
    """A text for one person, and the reference by which a message names its version."""

    template: str
    text: str


class TextChoice(Struct, frozen=True, kw_only=True):
    """An approved text that fits one person now, as they would get it.

    ``missing``: variables that they lack, because of which it leaves them out.
    """

    name: str
    purpose: TextPurpose
    template: str
    text: str
    missing: tuple[str, ...]


class TextService:
    """Makes texts, their versions and previews; a version is approved once, by a person."""

    def __init__(
        self, database: Database, phrases: PhraseFile, message_check: MessageCheck, clock: Clock
    ) -> None:
        self._database = database
        self._phrases = phrases
        self._message_check = message_check
        self._clock = clock

    async def list_texts(self, *, after: str = "", limit: int = 200) -> list[TextRecord]:
        """Return texts past the id ``after``, in the order in which they were made."""
        return await self._database.read(
            lambda reader: texts.list_texts(reader, after=after, limit=limit)
        )

    async def get_text(self, id_: str) -> TextRecord:
        """Return a text with its versions. Raises NotFound."""
        return await self._database.read(lambda reader: _require_text(reader, id_))

    async def create(
        self, name: str, purpose: TextPurpose, language: str, new: NewTextVersion, who: str
    ) -> TextRecord:
        """Store a text with its first version.

        Raises BadRequest with what is wrong and where, and Conflict where one has this name.
        """
        name, now = " ".join(name.split()), self._clock.now()
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise BadRequest(f"name: it must have 1 to {MAX_NAME_LENGTH} letters, on one line.")

        def job(tx: Tx) -> TextRecord:
            self._require_valid(tx, purpose, new)
            id_ = texts.insert_text(tx, name, purpose, language, at=now, who=who)
            if id_ is None:
                raise Conflict(f"There is a text named {name} already.", hint=_TEXTS_HINT)
            return _append_version(tx, id_, new, who, now)

        return await self._database.write(job, urgent=True)

    async def change(self, id_: str, new: NewTextVersion, who: str) -> TextRecord:
        """Append a version, which nobody has approved; what runs with an earlier one stays.

        Raises NotFound, and BadRequest with what is wrong and where.
        """
        now = self._clock.now()

        def job(tx: Tx) -> TextRecord:
            self._require_valid(tx, _require_text(tx, id_).purpose, new)
            return _append_version(tx, id_, new, who, now)

        return await self._database.write(job, urgent=True)

    async def approve(self, id_: str, version: int, who: str) -> TextRecord:
        """Approve a version for the purpose of its text. Raises NotFound, and Conflict if it is."""
        now = self._clock.now()

        def job(tx: Tx) -> TextRecord:
            found = _require_text(tx, id_)
            if all(each.version != version for each in found.versions):
                raise NotFound(f"There is no version {version} of {found.name}.")
            if not texts.approve_text_version(tx, id_, version, at=now, who=who):
                raise Conflict("It is approved already.")
            detail = {"version": version, "purpose": found.purpose.value}
            audit.insert_audit_entry(
                tx, at=now, who=who, action="text_approved", subject=id_, detail=detail
            )
            return _require_text(tx, id_)

        return await self._database.write(job, urgent=True)

    async def preview(
        self,
        purpose: TextPurpose,
        new: NewTextVersion,
        who: str,
        search: ProspectSearch,
        *,
        page: int = 0,
    ) -> TextPreview:
        """Show a text that need not be stored on three people of a search. Raises BadRequest.

        What would become of each message is as if a person had approved the text already.
        """
        now = self._clock.now()

        def read(reader: Reader) -> PreviewDraft:
            self._require_valid(reader, purpose, new)
            return read_preview(reader, new, who, search, now, page=page)

        draft = await self._database.read(read)
        return await check_preview(self._message_check, ApprovedText(new.template, purpose), draft)

    async def list_choices(self, prospect: str, who: str) -> list[TextChoice]:
        """Return the approved texts that fit a person now, each in its newest approved version.

        A first contact is for people who were never in touch, the others for the rest. Raises
        NotFound.
        """

        def read(reader: Reader) -> list[TextChoice]:
            person = _require_prospect(reader, prospect)
            first = not evaluation_context.was_ever_in_touch(reader, person.contact)
            found = texts.list_newest_approved(reader)
            return [
                _build_choice(reader, record, person, who)
                for record in found
                if (record.purpose is TextPurpose.FIRST_CONTACT) == first
            ]

        return await self._database.read(read)

    async def prepare(self, id_: str, version: int, prospect: str, who: str) -> PreparedText:
        """Return a text for one person. Raises NotFound, and Conflict where they lack a value."""

        def read(reader: Reader) -> PreparedText:
            record = _require_text(reader, id_)
            found = next((each for each in record.versions if each.version == version), None)
            if found is None:
                raise NotFound(f"There is no version {version} of {record.name}.")
            personal = build_personal_text(reader, found, _require_prospect(reader, prospect), who)
            if personal.missing:
                raise Conflict(
                    f"They have no {', '.join(personal.missing)}, so this text leaves them out.",
                    hint="Correct the person, or give the text words for those who lack it.",
                )
            return PreparedText(template=format_text_reference(id_, version), text=personal.text)

        return await self._database.read(read)

    def _require_valid(self, reader: Reader, purpose: TextPurpose, new: NewTextVersion) -> None:
        """Raise BadRequest for the first thing that is wrong, with its place."""
        known = list_known_variables(reader)
        for field, text in (("body", new.body), ("footer", new.footer)):
            if text:
                validate_text(text)
            for problem in find_variable_problems(text, known):
                raise BadRequest(f"{field}: character {problem.place}: {problem.sentence}")
        validate_text(new.body)
        for name, words in new.fallbacks.items():
            if name not in known or len(words) > MAX_FILLED_LENGTH or not words.isprintable():
                raise BadRequest(
                    f"fallbacks: {name} is no variable, or its words are not one line of at most"
                    f" {MAX_FILLED_LENGTH} letters."
                )
        if purpose is TextPurpose.FIRST_CONTACT:
            self._require_footer(new)
        elif new.footer:
            raise BadRequest("footer: only a first contact has one.")

    def _require_footer(self, new: NewTextVersion) -> None:
        """Raise BadRequest unless a first contact says who, whence, and how to stop."""
        if not new.footer.strip():
            raise BadRequest(
                "footer: a first contact says who writes, where from, and how to stop.",
                hint="Such as: Soy {quien}; tu número lo tomamos de {origen_en_palabras}."
                " Respondé BAJA y no te escribimos más.",
            )
        used = list_variables(f"{new.body}\n{new.footer}")
        for name in _FIRST_CONTACT_VARIABLES:
            if name not in used:
                raise BadRequest(f"footer: a first contact needs {{{name}}}.")
        if not self._has_stop_word(new.footer):
            raise BadRequest(
                "footer: it has no word that the opt-out list knows.",
                hint="Name one, such as BAJA: whoever answers it gets nothing more.",
            )

    def _has_stop_word(self, footer: str) -> bool:
        words = _WORD.findall(footer)
        said = [*words, *(" ".join(pair) for pair in pairwise(words))]
        reader = self._phrases.reader
        return any(reader.lists(each, ContactRequest.OPT_OUT) for each in said)


def _append_version(tx: Tx, id_: str, new: NewTextVersion, who: str, now: datetime) -> TextRecord:
    version = texts.insert_text_version(tx, id_, new, at=now, who=who)
    audit.insert_audit_entry(
        tx, at=now, who=who, action="text_written", subject=id_, detail={"version": version}
    )
    return _require_text(tx, id_)


def _build_choice(
    reader: Reader, record: TextRecord, person: ProspectRecord, who: str
) -> TextChoice:
    [version] = record.versions
    personal = build_personal_text(reader, version, person, who)
    return TextChoice(
        name=record.name,
        purpose=record.purpose,
        template=format_text_reference(record.id, version.version),
        text=personal.text,
        missing=personal.missing,
    )


def _require_text(reader: Reader, id_: str) -> TextRecord:
    found = texts.get_text(reader, id_)
    if found is None:
        raise NotFound(f"There is no text {id_}.", hint=_TEXTS_HINT)
    return found


def _require_prospect(reader: Reader, id_: str) -> ProspectRecord:
    found = prospects.get_prospect(reader, id_)
    if found is None:
        raise NotFound(f"There is no prospect {id_}.")
    return found
