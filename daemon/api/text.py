"""Folds and hashes message texts, so that two copies of one text can be recognised."""

from __future__ import annotations

import hashlib
import unicodedata


def fold_text(text: str) -> str:
    """Return the text without what differs between two copies of it: case, marks, white space."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    # Format marks (joiners, directions, variation selectors) are lost by some clients.
    shown = "".join(each for each in normal if unicodedata.category(each) not in {"Cf", "Mn"})
    return " ".join(shown.split())


def hash_folded_text(text: str) -> str:
    """Return the SHA-256 of the folded text as hex, by which the echo of a text is recognised."""
    return hashlib.sha256(fold_text(text).encode(errors="replace")).hexdigest()
