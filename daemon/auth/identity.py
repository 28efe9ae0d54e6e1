"""Who makes a request and what they may do: what every way in leads to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from daemon.auth.refusals import ScopeMissing
from daemon.auth.scopes import Scope


class SignInMethod(StrEnum):
    """How somebody came in."""

    TOKEN = "token"  # noqa: S105 - a word, no secret
    BROWSER = "browser"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who was let in. `who` is what the audit will say; `key` names the way's own row."""

    who: str
    user: str
    scopes: frozenset[Scope]
    method: SignInMethod
    key: str = ""

    def require(self, scope: Scope) -> None:
        """Raise :class:`ScopeMissing` unless they have this scope."""
        if scope not in self.scopes:
            raise ScopeMissing(f"This needs the scope {scope}, which {self.who} does not have.")
