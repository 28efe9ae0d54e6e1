"""Users, tokens, sign-ins and scopes: who may sign in, by which method, and what they may do."""

from __future__ import annotations

from daemon.auth.identity import ALL_SCOPES, ROLE_SCOPES, Principal, Role, Scope, SignInMethod
from daemon.auth.service import AuthService

__all__ = ["ALL_SCOPES", "ROLE_SCOPES", "AuthService", "Principal", "Role", "Scope", "SignInMethod"]
