"""Random secrets that people or browsers hold, of which we keep the hash only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_BYTES: Final = 32


def new_secret() -> str:
    """Return 256 random bits that fit in a URL or a cookie."""
    return secrets.token_urlsafe(_BYTES)


def hashed(secret: str) -> str:
    """Return what is stored of a secret. It is random and long, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_token(secret: str) -> str:
    """Return what a page must send along with a cookie: bound to it, and no way back to it."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())
