"""What was read in a message: a set of findings, each with the words that show it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from daemon.api.effects import ContactRequest

STRICTEST_FIRST: Final = (
    ContactRequest.MINOR,
    ContactRequest.DECEASED,
    ContactRequest.OPT_OUT,
    ContactRequest.AUTOMATIC,
    ContactRequest.COMPLAINT,
    ContactRequest.WRONG_PERSON,
    ContactRequest.OPT_IN,
    ContactRequest.DECLINED,
    ContactRequest.QUESTION,
    ContactRequest.INTERESTED,
    ContactRequest.COURTESY,
    ContactRequest.UNCLEAR,
)
"""The order in which one class is shown for a message that says several things."""


class Finding(Struct, frozen=True):
    """One thing that a message says, and the words of it that show this, as they were written."""

    request: ContactRequest
    quote: str
    about_us: bool = False
    """A question about who we are and where we found them, which is no interest in the offer."""
    may_ask_to_stop: bool = False
    """It is unclear, and some of its words are those of an opt-out."""
    listed: bool = False
    """The whole message is a word of the operator's list, so nobody read anything into it."""


class Reading(Struct, frozen=True):
    """What a message says; one finding at the least."""

    findings: frozenset[Finding]

    @property
    def first(self) -> Finding:
        """Return the finding that is shown first."""
        return min(self.findings, key=_rank)

    @property
    def requests(self) -> frozenset[ContactRequest]:
        """Return the classes that were found."""
        return frozenset(each.request for each in self.findings)

    def says(self, request: ContactRequest) -> bool:
        """Tell whether a class was found."""
        return request in self.requests


def _rank(finding: Finding) -> tuple[int, bool, str]:
    # of two questions, the one about the offer is shown
    return STRICTEST_FIRST.index(finding.request), finding.about_us, finding.quote
