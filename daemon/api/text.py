"""Folds and hashes message texts, so that copies of one text can be recognised."""

from __future__ import annotations

import hashlib
import unicodedata


def fold_text(text: str) -> str:
    """Return the text without case, formatting marks and differences of white space."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    # Some clients lose formatting marks (joiners, directions, variation selectors).
    shown = "".join(each for each in normal if unicodedata.category(each) not in {"Cf", "Mn"})
    return " ".join(shown.split())


def hash_folded_text(text: str) -> str:
    """Return the SHA-256 of the folded text as hex."""
    # errors="replace": half a surrogate pair can't be encoded, and must not raise here.
    return hashlib.sha256(fold_text(text).encode(errors="replace")).hexdigest()
