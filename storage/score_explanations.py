"""The `score_explanations` table: how scores came about, each stored once for all who share it.

Most prospects of a list have the same facts, and with them the same score for the same reasons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from storage.tx import Reader, Tx

_ID_BYTES: Final = 8
_POSITIVE: Final = 2**63 - 1


def compute_explanation_id(document: str) -> int:
    """Return the id under which an explanation is stored: the same for the same text."""
    digest = hashlib.sha256(document.encode()).digest()
    return int.from_bytes(digest[:_ID_BYTES]) & _POSITIVE


def store_score_explanations(tx: Tx, documents: Mapping[int, str]) -> None:
    """Store the explanations of these ids, as far as they are not stored yet."""
    tx.execute_many(
        "INSERT INTO score_explanations (id, document) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
        documents.items(),
    )


def get_score_explanation(reader: Reader, explanation: int | None) -> str | None:
    """Return the JSON of an explanation; None where there is none."""
    found: str | None = reader.value(
        "SELECT document FROM score_explanations WHERE id = ?", (explanation,)
    )
    return found


def delete_unused_explanations(tx: Tx, limit: int) -> int:
    """Delete explanations that no prospect's score has any more; return how many."""
    return tx.execute(
        "DELETE FROM score_explanations WHERE id IN (SELECT id FROM score_explanations WHERE id"
        " NOT IN (SELECT score_explanation FROM prospects WHERE score_explanation IS NOT NULL)"
        " LIMIT ?)",
        (limit,),
    ).rowcount
