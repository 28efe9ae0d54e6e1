"""Every rule set that was ever live, with its files: what a stored decision's hash points to."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from storage.times import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.tx import Tx


def add(
    tx: Tx, *, hash_: str, format_: str, files: Mapping[str, str], at: datetime, who: str
) -> bool:
    """Keep a set (file name → text) by its hash; return False where it was known already."""
    return bool(
        tx.execute(
            "INSERT OR IGNORE INTO rulesets (hash, format, files, loaded_at, loaded_by)"
            " VALUES (?, ?, ?, ?, ?)",
            (hash_, format_, json.dumps(dict(files), ensure_ascii=False), stamp(at), who),
        ).rowcount
    )
