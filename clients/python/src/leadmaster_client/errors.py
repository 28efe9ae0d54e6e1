"""The one error of the client: the daemon will not serve it, now or later."""

from __future__ import annotations


class Refused(Exception):
    """The daemon refuses this client; to try again would not help.

    `code` is stable, such as `token_revoked`; `hint` says what to do.
    """

    def __init__(self, code: str, sentence: str, hint: str = "") -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.hint = hint
