"""What a selection of rows of any list has: its hash, and one action on each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from daemon.errors import BadRequest, Conflict, LeadMasterError
from daemon.http.bodies import ResponseBody, json_response
from storage.errors import StorageError

MAX_SELECTED: Final = 1000
"""How many rows one action may be about."""
MAX_NAMED: Final = 5
_MAX_REFUSALS: Final = 100
SelectedText = Annotated[str, msgspec.Meta(max_length=200)]
SelectedIds = Annotated[list[SelectedText], msgspec.Meta(min_length=1, max_length=MAX_SELECTED)]


class SelectionRefusal(ResponseBody, frozen=True):
    """A row that was left out, and why."""

    id: str
    name: str
    sentence: str


class SelectionResult(ResponseBody, frozen=True):
    """For how many it was done, for how many not, and the first hundred of these."""

    done: int
    refused: int
    refusals: Sequence[SelectionRefusal]


class _Row(Protocol):
    @property
    def id(self) -> str: ...


_RowT = TypeVar("_RowT", bound=_Row)


def require_one_choice(ids: object, filter_: object) -> None:
    """Raise BadRequest unless a selection is either by ids or by a filter."""
    if (ids is None) is (filter_ is None):
        raise BadRequest("Give ids or filter: one of the two.")


def require_few(count: int, limit: int = MAX_SELECTED) -> None:
    """Raise BadRequest for a selection that is too large."""
    if count > limit:
        raise BadRequest(f"These are more than {limit}.", hint="Narrow the filter first.")


def hash_selection(ids: Iterable[str]) -> str:
    """Return a hash of what is selected, in whatever order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def require_same_selection(ids: Sequence[str], hash_: str) -> None:
    """Raise Conflict where a selection is about others than when its hash was answered."""
    if hash_selection(ids) != hash_:
        raise Conflict(
            f"The selection has changed: it is {len(ids)} now. Nothing was done.",
            hint="Select them again.",
        )


async def act_on_selection(
    found: Sequence[_RowT],
    hash_: str,
    do: Callable[[_RowT], Awaitable[object]],
    get_name: Callable[[_RowT], str],
) -> web.Response:
    """Do something about every row of a selection; nothing where it is another one by now."""
    require_same_selection([each.id for each in found], hash_)
    refusals: list[SelectionRefusal] = []
    for row in found:
        try:
            await do(row)
        except (LeadMasterError, StorageError) as error:
            refusals.append(SelectionRefusal(row.id, get_name(row), str(error)))
    return json_response(
        SelectionResult(len(found) - len(refusals), len(refusals), refusals[:_MAX_REFUSALS])
    )
