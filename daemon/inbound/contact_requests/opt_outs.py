"""Tells whether a clause asks us not to write again: it is understood whole, or it does not.

A clause is the code of its words' kinds, without courtesy and filler. Each shape
is a regular expression over that code, so one word that is not understood breaks every shape.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from daemon.inbound.contact_requests.clauses import Clause
from daemon.inbound.contact_requests.word_kinds import load_lexicon


class OptOutStrength(Enum):
    """How surely a clause is an opt-out where other clauses are not understood."""

    STRONG = "strong"
    """It holds beside what is not understood."""
    WEAK = "weak"
    """It holds alone, and beside what is understood."""
    NONE = "none"


_MARKS: Final = str.maketrans("", "", "amyz")
"""Kinds that may be anywhere and are looked at by themselves: again, me, my, this."""
_NOT_UNDERSTOOD: Final = frozenset("xSULN")
# No two repeats of one kind follow each other, so that a long clause takes time in proportion.
_NEGATED: Final = re.compile(
    r"""w*n[nw]*s[sodlnI]*          # do not write to me
    |   w*n[nw]*e+[sodlqnI]*        # I do not want to receive
    |   w*n[nw]*o[odln]*            # no advertising, I want no messages
    |   w*n+p+[swoedln]*            # you have no permission
    |   w*n[nw]*A+l+o*              # I do not want to be on your list
    """,
    re.VERBOSE,
)
_NO_MORE: Final = re.compile(r"n+|w*n[nw]*d+|w*n[nw]*A+")
_COMPLETE: Final = re.compile(r"[wg]*[PGO][wgsodlePGO]*|[wtj]*G[odl]*")
_REMOVE_ME: Final = re.compile(r"[wg]*R[rRlodi]*|w*r+[ld]*|w*kd?l*|w*V+l+|w*Q+l+")
_REMOVE_LISTED: Final = re.compile(r"w*g*r+[do]*l+|w*V+l+")
_REMOVE_DATA: Final = re.compile(r"[gw]*(?:r+(?:d+r+)?|k(?:d*r+)?)[dI]+l*|w*kd+l*")
_BAJA: Final = re.compile(r"[wg]*b(?:[blod]*|b*[wg]+[blod]*)|[tbu]+")
_UNSUBSCRIBE: Final = re.compile(r"[wg]*u[lodiu]*|w*c+(?:[il]+(?:[od][odl]*)?|e+o*)")
_STOP: Final = re.compile(r"w*t[tsoedl]*")
_QUIT: Final = re.compile(r"w*[tj]*jw*[seo][seodl]*")
_LEAVE_LIST: Final = re.compile(r"w*v+l+o*")

_STOP_KINDS: Final = frozenset("tjrRQVbuckvPGO")
_NEGATED_STOP_KINDS: Final = frozenset("sSeolp")
_ASKING: Final = re.compile(r"[^ntjsS]*[sS](?:nx|[^ntj])*")
"""No word before the wish negates it, and none behind it that is about an understood word."""


def read_opt_out(clause: Clause) -> OptOutStrength:
    """Return how surely a clause asks us not to write again."""
    code = clause.code
    if "S" in code and _is_portuguese_no(clause):
        code = code.replace("S", "s")
    if not code or not _NOT_UNDERSTOOD.isdisjoint(code):
        return OptOutStrength.NONE
    if "n" in code:
        return _read_negated(code)
    return _read_removal(clause, code) if _is_no_time_limit(code) else OptOutStrength.NONE


def _is_portuguese_no(clause: Clause) -> bool:
    """Tell whether a command to one person may follow its no: `não me manda mais`."""
    words = {token.word for token in clause.tokens}
    return "nao" in words and "mais" in words


def _read_negated(code: str) -> OptOutStrength:
    again, core = "a" in code, code.translate(_MARKS)
    if "q" in core and not again:
        return OptOutStrength.NONE  # not now, not at night: a limit
    core = core.replace("q", "")
    if _COMPLETE.fullmatch(core.replace("n", "")) and "G" in core:
        return OptOutStrength.STRONG
    if _NEGATED.fullmatch(core) or (again and _NO_MORE.fullmatch(core)):
        return OptOutStrength.STRONG if again or "l" in core else OptOutStrength.WEAK
    return OptOutStrength.NONE


def _is_no_time_limit(code: str) -> bool:
    """Tell whether a time beside the wish is no limit: `stop today` has none."""
    return "q" not in code or not set("sje") & set(code)


def _read_removal(clause: Clause, code: str) -> OptOutStrength:
    own, me = bool({"y", "z"} & set(code)), "m" in code or "R" in code
    core = code.translate(_MARKS).replace("q", "")
    if (
        _COMPLETE.fullmatch(core)
        or _UNSUBSCRIBE.fullmatch(core)
        or _REMOVE_LISTED.fullmatch(core)
        or _LEAVE_LIST.fullmatch(core)
        or (_BAJA.fullmatch(core) and _is_whole_baja(set(code)))
    ):
        return OptOutStrength.STRONG
    if "k" in core and not {"off", "out", "from"} & {token.word for token in clause.tokens}:
        return OptOutStrength.NONE
    if (me and _REMOVE_ME.fullmatch(core)) or (own and _REMOVE_DATA.fullmatch(core)):
        return OptOutStrength.STRONG
    if _STOP.fullmatch(core) or _QUIT.fullmatch(core) or _REMOVE_DATA.fullmatch(core):
        return OptOutStrength.STRONG if "a" in code or "l" in core else OptOutStrength.WEAK
    return OptOutStrength.NONE


def _is_whole_baja(kinds: set[str]) -> bool:
    """Tell whether nothing else goes down: a pressure (`está baja`), a price, a line."""
    return not kinds & {"a", "d"} and ("z" not in kinds or bool(kinds & {"w", "g"}))


def may_ask_to_stop(clause: Clause) -> bool:
    """Tell whether a clause has words of an opt-out in it, understood or not."""
    code = clause.code
    if not _STOP_KINDS.isdisjoint(code):
        return True
    return "n" in code and ("a" in code or not _NEGATED_STOP_KINDS.isdisjoint(code))


def asks_for_message(clause: Clause) -> bool:
    """Tell whether a clause asks us to write, call or send, and nothing in it negates that."""
    return _ASKING.fullmatch(clause.code) is not None


def is_negated(clause: Clause, before: int) -> bool:
    """Tell whether a clause negates a wish that begins at one of its tokens.

    A no behind the wish does not, if we do not understand the word after it: it may be about that.
    """
    if "n" not in clause.code:
        return False
    if "n" in clause.code.replace("nx", ""):
        return True
    kinds = (load_lexicon().get_kinds(token.word) for token in clause.tokens[:before])
    return any("n" in each for each in kinds)
