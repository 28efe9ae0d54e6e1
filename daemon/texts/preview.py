"""Shows a text on real people of a filter, and says what would become of each message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from daemon.errors import LeadMasterError
from daemon.outbox.enqueue import SendRequest
from daemon.outbox.message_check import MessageCheck, MessageCheckResult
from daemon.texts.personal_values import PersonalText, build_personal_text
from storage import prospect_search
from storage.prospect_search import ProspectSearch
from storage.texts import ApprovedText, NewTextVersion, TextVersion
from storage.tx import Reader

_MAX_PEOPLE: Final = 2000
_SHOWN: Final = 3


class PreviewedText(Struct, frozen=True, kw_only=True):
    """A text as one person would get it, and what would become of that message now.

    ``missing``: variables without a value for them and without words in its place; ``text`` is
    empty then, since the person is left out. ``values`` are what was taken for each variable.
    ``check`` is None for who is left out, and where the message can't be made: ``problem`` says so.
    """

    prospect: str
    name: str
    text: str
    values: Mapping[str, str]
    missing: tuple[str, ...]
    check: MessageCheckResult | None
    problem: str

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"PreviewedText({self.prospect!r})"


class TextPreview(Struct, frozen=True, kw_only=True):
    """A text on real people of a filter.

    ``people`` are up to three: one who has everything, one who lacks something, and the one with
    the longest text; on a later ``page``, others, as long as there are ``pages``. ``total`` is how
    many were looked at, and ``missing`` how many of them lack each variable; ``left_out`` get no
    message.
    """

    total: int
    left_out: int
    missing: Mapping[str, int]
    page: int
    pages: int
    people: tuple[PreviewedText, ...]


class PreviewDraft(Struct, frozen=True):
    """A preview whose messages were not checked yet, and the number of each person in it."""

    preview: TextPreview
    phones: Mapping[str, str]


def read_preview(
    reader: Reader,
    new: TextVersion | NewTextVersion,
    who: str,
    search: ProspectSearch,
    now: datetime,
    *,
    page: int = 0,
) -> PreviewDraft:
    """Return a text on three people of a search, who are not suppressed; ``page`` counts from 0."""
    found = prospect_search.search_prospect_directory(reader, search, now=now, limit=_MAX_PEOPLE)
    prospects = [each.prospect for each in found if not each.suppressed]
    people = [build_personal_text(reader, new, each, who) for each in prospects]
    preview = _build_preview(people, page)
    phones = {each.id: each.phone for each in prospects}
    return PreviewDraft(preview, {each.prospect: phones[each.prospect] for each in preview.people})


async def check_preview(
    checker: MessageCheck, approved: ApprovedText, draft: PreviewDraft
) -> TextPreview:
    """Return the preview with what would become of each message, were its text approved."""
    people = [
        await _check_person(checker, approved, each, draft.phones[each.prospect])
        for each in draft.preview.people
    ]
    return replace(draft.preview, people=tuple(people))


async def _check_person(
    checker: MessageCheck, approved: ApprovedText, person: PreviewedText, phone: str
) -> PreviewedText:
    if person.missing:
        return person
    try:
        request = SendRequest(to=phone, text=person.text)
        return replace(person, check=await checker.check(request, as_approved=approved))
    except LeadMasterError as error:  # such as a daemon without a phone, or a text too long
        return replace(person, problem=str(error))


def _build_preview(people: list[PersonalText], page: int) -> TextPreview:
    whole = [each for each in people if not each.missing]
    lacking = [each for each in people if each.missing]
    longest = max(whole, key=lambda each: len(each.text), default=None)
    shorter = [each for each in whole if each is not longest]
    chosen = [*shorter[:1], *lacking[:1], *([longest] if longest else []), *people]
    order = list({each.prospect: each for each in chosen}.values())
    names = sorted({name for each in people for name in each.missing})
    pages = -(-len(order) // _SHOWN)
    page = min(page, max(0, pages - 1))
    return TextPreview(
        total=len(people),
        left_out=len(lacking),
        missing={name: sum(name in each.missing for each in people) for name in names},
        page=page,
        pages=pages,
        people=tuple(
            PreviewedText(
                prospect=each.prospect,
                name=each.name,
                text=each.text,
                values=each.values,
                missing=each.missing,
                check=None,
                problem="",
            )
            for each in order[page * _SHOWN : (page + 1) * _SHOWN]
        ),
    )
