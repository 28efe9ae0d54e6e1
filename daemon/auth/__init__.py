"""Users, tokens and scopes: who may come in, by which way, and what they may do."""

from __future__ import annotations

from daemon.auth.auth import AuthService
from daemon.auth.identity import Identity, SignInMethod
from daemon.auth.scopes import ALL_SCOPES, ROLE_SCOPES, Role, Scope

__all__ = ["ALL_SCOPES", "ROLE_SCOPES", "AuthService", "Identity", "Role", "Scope", "SignInMethod"]
