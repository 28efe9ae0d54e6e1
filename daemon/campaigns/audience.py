"""The audience of a campaign: the people that its filter finds now, counted by permission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from daemon.contacts.prospect_filters import find_prospects, parse_filter
from daemon.errors import BadRequest
from daemon.gate.consent import Permission
from storage.prospect_search import ProspectDirectoryEntry
from storage.prospects import TEST_MESSAGE_ORIGIN
from storage.tx import Reader

MAX_AUDIENCE: Final = 10_000
"""How many people a campaign may be for."""
_CLOSED: Final = frozenset({Permission.NONE.value, Permission.REFUSED.value})


def list_audience(
    reader: Reader, audience: Mapping[str, str], now: datetime, region: str
) -> list[ProspectDirectoryEntry]:
    """Return everybody that a filter finds, the oldest first. Raises BadRequest for too many.

    Except for users on whose own numbers texts were tried.
    """
    found = find_prospects(reader, parse_filter(audience), now, region, limit=MAX_AUDIENCE + 1)
    if len(found) > MAX_AUDIENCE:
        raise BadRequest(
            f"These are more than {MAX_AUDIENCE} people.", hint="Narrow the filter first."
        )
    return [each for each in found[::-1] if each.prospect.cartera_origen != TEST_MESSAGE_ORIGIN]


def count_audience(
    found: Sequence[ProspectDirectoryEntry],
    *,
    left_out: Collection[str],
    members: Collection[str],
) -> dict[str, Any]:
    """Return the counts of an audience; each person counts once."""
    others = [each for each in found if each.prospect.id not in left_out]
    open_ = [each for each in others if not each.suppressed]
    permissions = Counter(str(each.prospect.permission) for each in open_)
    return {
        "total": len(found),
        "left_out": len(found) - len(others),
        "suppressed": len(others) - len(open_),
        "permissions": {each.value: permissions[each.value] for each in Permission},
        "reachable": sum(n for name, n in permissions.items() if name not in _CLOSED),
        "new": sum(each.prospect.id not in members for each in others),
    }
