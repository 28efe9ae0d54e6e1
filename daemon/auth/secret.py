"""Random secrets that people or browsers hold, of which we keep the hash only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return 256 random bits that fit in a URL or a cookie."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_secret(secret: str) -> str:
    """Return what is stored of a secret. It is random and long, so that no slow hash is needed."""
    return hashlib.sha256(_encode_text(secret)).hexdigest()


def derive_csrf_token(secret: str) -> str:
    """Return what a page must send along with a cookie: bound to it, and no way back to it."""
    return hmac.new(_encode_text(secret), b"csrf", hashlib.sha256).hexdigest()


def is_same_secret(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(_encode_text(given), _encode_text(expected))


def _encode_text(text: str) -> bytes:
    """Return the bytes that a header had, also those that are no text."""
    return text.encode(errors="surrogateescape")
