"""One result of `leadmaster doctor`."""

from __future__ import annotations

from msgspec import Struct


class DoctorFinding(Struct, frozen=True):
    """One result: whether it is ok, what was found, and what to do if it is not.

    `command` heals it, or shows what a person has to know to heal it; words in capitals are theirs
    to fill in. With ``warns``, it is ok, and a person should look all the same.
    """

    check: str
    ok: bool
    sentence: str
    hint: str = ""
    warns: bool = False
    command: str = ""

    @property
    def grade(self) -> str:
        """Return `ok`, `warn` or `fail`."""
        if not self.ok:
            return "fail"
        return "warn" if self.warns else "ok"
