"""The error tree: every error a person can meet has a code, a status, a sentence and a hint."""

from __future__ import annotations

from typing import ClassVar


class LeadMasterError(Exception):
    """An expected problem. ``str(error)`` is the sentence; ``hint`` says what to do.

    Subclasses set ``code`` (stable, lower_snake) and ``status`` (HTTP). They
    register themselves by code, so that a client can turn a code back into its class.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    hint: str = ""
    registry: ClassVar[dict[str, type[LeadMasterError]]] = {}

    def __init__(self, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint or type(self).hint

    def __init_subclass__(cls) -> None:
        """Register the class by its code; raise TypeError where the code is taken."""
        super().__init_subclass__()
        if cls.code in LeadMasterError.registry:
            msg = f"error code {cls.code!r} is used twice"
            raise TypeError(msg)
        LeadMasterError.registry[cls.code] = cls

    def to_problem(self) -> dict[str, object]:
        """Return the fields of a problem document (RFC 9457), without request id."""
        return {
            # RFC 9457: this kind of problem has no page of its own; clients read `code`.
            "type": "about:blank",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "code": self.code,
            "detail": str(self),
            "hint": self.hint,
        }


class BadRequest(LeadMasterError):
    """The request can't be understood, or asks for something impossible."""

    code = "bad_request"
    status = 400
    hint = "Check the value that the sentence names."


def require_reason(reason: str, *, hint: str = "Say why; it is recorded in the audit.") -> str:
    """Return a person's reason without blanks around it; raise :class:`BadRequest` for none."""
    stated = reason.strip()
    if not stated:
        raise BadRequest("A reason is missing.", hint=hint)
    return stated


class NotAllowed(LeadMasterError):
    """The caller may not do this."""

    code = "not_allowed"
    status = 403
    hint = "Use an account with the right to do this."


class NotFound(LeadMasterError):
    """What the request names does not exist."""

    code = "not_found"
    status = 404
    hint = "Check the id against the list."


class Conflict(LeadMasterError):
    """The request does not fit the present state."""

    code = "conflict"
    status = 409
    hint = "Look at the current state and decide again."


class SessionQueueNotEmpty(LeadMasterError):
    """A session to be deleted has unsent messages, and nothing was chosen for them."""

    code = "session_queue_not_empty"
    status = 409
    hint = (
        "Cancel them (queue=cancel), or give them to another session of the same number"
        " (queue=move, to=NAME)."
    )


class IdempotencyConflict(LeadMasterError):
    """The idempotency key was used before, with another body."""

    code = "idempotency_conflict"
    status = 409
    hint = "Use a new key for a new message; the same key repeats the same message."


class BodyTooLarge(LeadMasterError):
    """The request's body is too large."""

    code = "body_too_large"
    status = 413
    hint = "Send it in several parts; upload a file of prospects with POST /v1/uploads."


class RequestUnreadable(LeadMasterError):
    """What was sent is no HTTP request."""

    code = "request_unreadable"
    status = 400
    hint = "Send HTTP/1.1, as RFC 9112 describes it."


class RequestHeadTooLarge(LeadMasterError):
    """The first line or the headers of a request are too long, or the headers too many."""

    code = "request_head_too_large"
    status = 431
    hint = "Send long values in the body; a line has at most 8,190 bytes, a request 128 headers."


class RequestTooSlow(LeadMasterError):
    """The request did not arrive in time."""

    code = "request_too_slow"
    status = 408
    hint = "Send the request again, as a whole."


class EncodingRefused(LeadMasterError):
    """The request's body is compressed."""

    code = "encoding_refused"
    status = 415
    hint = "Send the body as it is, without Content-Encoding."


class NumberRejected(LeadMasterError):
    """A phone number can't be used."""

    code = "number_rejected"
    status = 422
    hint = "Write the number in international form, such as +5491141234567."


class ImportRejected(LeadMasterError):
    """A file as a whole can't be imported."""

    code = "import_rejected"
    status = 422
    hint = "Look at the preview, and name columns with --map where they were not recognised."


class RulesRejected(LeadMasterError):
    """Rule files have problems; the last good set stays."""

    code = "rules_rejected"
    status = 422
    hint = "Correct the lines named, then run: leadmaster rules check"


class PhrasesRejected(LeadMasterError):
    """The phrase lists have problems; all of them are named at once, each with file and line."""

    code = "phrases_rejected"
    status = 422
    hint = "Correct the lines named; the shipped file phrases.txt shows every list."


class SettingsRejected(LeadMasterError):
    """The settings have problems; all of them are named at once."""

    code = "settings_rejected"
    status = 422
    hint = "Correct the keys named, in leadmaster.toml or the environment."


class Unavailable(LeadMasterError):
    """The daemon can't do this now; it may later."""

    code = "unavailable"
    status = 503
    hint = "Try again in a moment; /ready names what is missing."


class StorageFull(LeadMasterError):
    """The disk is full: nothing new is accepted, and nothing is sent."""

    code = "disk_full"
    status = 507
    hint = "Free some disk space; nothing that was accepted is lost."


class NotRunning(LeadMasterError):
    """No daemon answers on the control socket."""

    code = "not_running"
    status = 503
    hint = "Start it with: leadmaster run"


class StartRefused(LeadMasterError):
    """The daemon refuses to start, because running would be unsafe or impossible."""

    code = "start_refused"
    status = 503
    hint = "Run: leadmaster doctor"
