"""The errors of authentication and authorisation; none contains a secret."""

from __future__ import annotations

from daemon.errors import LeadMasterError, NotAllowed


class Unauthorized(LeadMasterError):
    """The request has no credentials."""

    code = "unauthorized"
    status = 401
    hint = "Sign in, or send a token: Authorization: Bearer …"


class SignInFailed(LeadMasterError):
    """The user name or the password is wrong."""

    code = "sign_in_failed"
    status = 401
    hint = "Check both; an administrator can set a new password or create a sign-in link."


class SignInEnded(LeadMasterError):
    """The browser's sign-in has ended."""

    code = "sign_in_over"
    status = 401
    hint = "Sign in again."


class SignInLinkSpent(LeadMasterError):
    """The sign-in link was used before, has expired, or was never made."""

    code = "link_spent"
    status = 401
    hint = "Make a new one with: leadmaster open"


class SignInThrottled(LeadMasterError):
    """Too many attempts to sign in failed."""

    code = "sign_in_throttled"
    status = 429
    hint = "Wait that long; attempts before then are refused."

    def __init__(self, seconds: int) -> None:
        """Build the error; `seconds` is how long the next attempt must wait."""
        super().__init__(f"Too many failed attempts. The next one is possible in {seconds} s.")
        self.seconds = seconds


class TokenUnreadable(LeadMasterError):
    """The text is no token of LeadMaster."""

    code = "token_unreadable"
    status = 401
    hint = "Send the whole token, as it was shown when it was created."


class TokenAlgorithmRefused(LeadMasterError):
    """The token is not signed with the accepted algorithm."""

    code = "token_algorithm_refused"
    status = 401
    hint = "Only EdDSA is accepted; use a token of this installation."


class TokenKeyUnknown(LeadMasterError):
    """The token was not signed by this installation, or by a key that no longer counts."""

    code = "token_key_unknown"
    status = 401
    hint = "Create a new token here."


class TokenAudienceMismatch(LeadMasterError):
    """The token was made for another installation or another service."""

    code = "token_for_elsewhere"
    status = 401
    hint = "Use a token of this installation."


class TokenExpired(LeadMasterError):
    """The token has expired."""

    code = "token_expired"
    status = 401
    hint = "Create a new token."


class TokenRevoked(LeadMasterError):
    """The token was revoked, or its user was disabled."""

    code = "token_revoked"
    status = 401
    hint = "Ask an administrator for a new one."


class ScopeMissing(NotAllowed):
    """The caller is authenticated, and lacks the scope for this."""

    code = "scope_missing"
    hint = "Ask an administrator for a role or a token that has the scope."


class CsrfRefused(NotAllowed):
    """A change came with a cookie, but without the token of our own page."""

    code = "csrf_refused"
    hint = "Reload the page and try again."


class OriginRefused(NotAllowed):
    """The request comes from another site's page."""

    code = "origin_refused"
    hint = "Open LeadMaster at its own address; behind a proxy, pass Host and X-Forwarded-Proto on."


class PasswordRefused(LeadMasterError):
    """The new password is too weak."""

    code = "password_refused"
    status = 422
    hint = "Use 12 characters or more: several words are easy to remember."
