"""Every sentence that a page can show is known in Spanish: reasons, problems, hints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from daemon.http.console.language import load_language

ROOT: Final = Path(__file__).parents[4]
SHOWN: Final = (
    *("daemon/api/imports.py", "daemon/lists", "daemon/backup/status.py"),
    *(
        "daemon/alerts",
        "daemon/auth",
        "daemon/campaigns",
        "daemon/contacts",
        "daemon/deliveries",
        "daemon/errors.py",
        "daemon/gate",
        "daemon/history",
    ),
    *("daemon/chats", "daemon/inbound"),
    *("daemon/http/authentication.py", "daemon/http/browser_session.py", "daemon/http/console"),
    *("daemon/http/health.py", "daemon/http/middleware.py", "daemon/http/problems.py"),
    *("daemon/http/uploads.py", "storage/errors.py"),
    *("daemon/api/numbers.py", "daemon/api/phone_text.py", "daemon/lists", "daemon/texts"),
    *("daemon/backup/copies.py", "daemon/backup/requests.py"),
    *("daemon/http/v1", "daemon/numbers", "daemon/outbox", "daemon/plugins/sync"),
    "daemon/rulesets",
    *("daemon/linked_worker", "daemon/plugins/transport_linked"),
    *("daemon/sessions", "rules/edits.py", "storage/messages.py", "storage/queue.py"),
    *("storage/ballast.py", "storage/receipts.py", "storage/replacement.py"),
    "storage/session_queue.py",
)
"""What a page can show a sentence of."""
FOR_PROGRAMS: Final = {
    "daemon/auth/errors.py",
    *("daemon/auth/signing_keys.py", "daemon/gate/explain.py", "daemon/http/v1/enqueue.py"),
    *("daemon/http/v1/decisions.py", "daemon/http/v1/events.py"),
    *("daemon/contacts/suppression_lists.py", "daemon/sessions/signal_check.py"),
    *("daemon/linked_worker/protocol.py", "daemon/linked_worker/systemd_unit.py"),
}
"""Files whose remaining sentences reach programs, the command line, or who writes a channel."""
NOT_ON_A_PAGE: Final = {
    "7 is not a file.": "paths on the server are named by the command line",
    "Check the path.": "paths on the server are named by the command line",
    "Send the body as it is, without Content-Encoding.": "a page compresses nothing",
    "The body is compressed as 7, which is not accepted.": "a page compresses nothing",
    "Nobody has signed in on this connection.": "the control socket",
    "The header Authorization must say Bearer, then the token.": "a page sends no token",
    "Correct the keys named, in leadmaster.toml or the environment.": "a refused start",
    "Correct the lines named; the shipped file phrases.txt shows every list.": "a refused start",
    "Remove [clock] start: only simulated sessions may run on an injected clock.": "the start",
    "See docs/reference.": "an address that does not exist",
    "The session 7 is 7, and the clock is injected.": "a refused start",
    "The session 7 has 7 not left.": "known with its number: messages, or 1 message",
    "New chats are closed 7; replies still go out.": "known with its moment",
    "WhatsApp refused the connection7.": "known with what follows",
    "7 was changed by another program while the daemon ran: 7.": "known with its reason",
    "7 is 7 already.": "an edit by a program",
    "7 is changed by 7.": "an edit by a program",
    "Hola7, tu número lo tomamos 7, el 7. Si preferís que no te escribamos, respondé BAJA.": (
        "what a contact gets, in their language"
    ),
    "Soy 7; tu número lo tomamos de 7. Si preferís que no te escribamos, respondé BAJA.": (
        "what a contact gets, in their language"
    ),
    "chmod 600 7": "a file on the server",
    "Give the file's name: ?filename=…": "a page names it",
    "Hola, quiero más información.": "what a contact sends, in their language",
    "At most 7 numbers are checked at once.": "the daemon asks for fewer",
}
SENTENCE: Final = re.compile(r"[A-Z7'].*[a-z].* .*[.?]")
_EXAMPLE_FOOTER: Final = "Soy 7; tu número lo tomamos de 7. Respondé BAJA y no te escribimos más."
"""What a contact gets, in their language whatever the page's is."""
_FIELD: Final = re.compile(r"^\w+: ")


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a file that are no docstrings, with 7 in place of what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, kinds)]
    apart = {id(each.value) for body in bodies for each in body if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            apart |= {id(part) for part in node.values}
            parts = (each.value if isinstance(each, ast.Constant) else "7" for each in node.values)
            yield "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart
        ):
            yield re.sub(r"\{\w*\}", "7", node.value)


ON_THE_SERVER: Final = frozenset(
    {"alerts", "backup", "budgets decide", "doctor", "open", "phases", "rules", "users add"}
)
"""Commands for which no page is made: a key that is printed, a file that is mended."""


def list_hints() -> Iterator[tuple[str, str]]:
    """Yield each hint that a page can show, with its file: those without a full stop too."""
    for place in SHOWN:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            name = str(file.relative_to(ROOT))
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree) if name not in FOR_PROGRAMS else ():
                value: ast.expr | None = None
                match node:
                    case ast.keyword(arg="hint", value=value):
                        pass
                    case ast.AnnAssign(target=target) if "HINT" in ast.unparse(target):
                        value = node.value
                if isinstance(value, ast.Constant) and value.value:
                    yield name, str(value.value)
                elif isinstance(value, ast.JoinedStr):
                    parts = (p.value if isinstance(p, ast.Constant) else "7" for p in value.values)
                    yield name, "".join(map(str, parts))


@pytest.mark.parametrize(("file", "hint"), sorted(set(list_hints())))
def test_a_hint_leads_to_a_page_where_there_is_one(file: str, hint: str) -> None:
    """In both languages; a command is named for what only the server can do."""
    said = [load_language("en").translate(hint), load_language("es").translate(hint)]
    assert said[1] != hint or hint in NOT_ON_A_PAGE, file
    for each in said:
        command = re.search(r"leadmaster (\w+(?: \w+)?)", each)
        named = command[1].split() if command else []
        assert not named or {named[0], " ".join(named)} & ON_THE_SERVER, (file, each)


def list_sentences() -> Iterator[tuple[str, str]]:
    """Yield each sentence that a page can show, with its file."""
    for place in SHOWN:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            name = str(file.relative_to(ROOT))
            if name in FOR_PROGRAMS:
                continue
            for text in read_texts(file):
                said = _FIELD.sub("", text)
                if SENTENCE.fullmatch(said) and not re.search(
                    r"\b(SELECT|UPDATE|DELETE|WHERE)\b", said
                ):
                    yield name, said


FOUND: Final = sorted(set(list_sentences()))


def list_evidence_sources() -> Iterator[str]:
    """Yield what is written as the source of a piece of evidence."""
    for file in (*ROOT.glob("daemon/inbound/*.py"), *ROOT.glob("daemon/contacts/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            given = node.value if isinstance(node, ast.keyword) and node.arg == "source" else None
            if isinstance(node, ast.AnnAssign) and "SOURCE" in ast.unparse(node.target):
                given = node.value
            if isinstance(given, ast.JoinedStr):
                yield re.sub(r"\{[^}]*\}", "7", ast.unparse(given)[2:-1])
            elif isinstance(given, ast.Constant) and isinstance(given.value, str):
                yield given.value


EVENT_SOURCES: Final = frozenset({"contact", "correction", "reading"})
"""What ended a suppression: words of an event, which no page shows."""


@pytest.mark.parametrize("source", sorted(set(list_evidence_sources()) - EVENT_SOURCES))
def test_the_source_of_a_piece_of_evidence_is_known_in_spanish(source: str) -> None:
    """It stands under each piece on a person's page and in the review."""
    shown = f"{source} 7" if source.endswith(", from") else source
    assert load_language("es").translate(shown) != shown


def test_sentences_are_found() -> None:
    """The walk over the files finds what it looks for, and what is exempt is still there."""
    said = {sentence for _, sentence in FOUND}
    assert len(said) > 200
    assert "They read it." in said
    said |= {hint for _, hint in list_hints()}
    assert NOT_ON_A_PAGE.keys() - said == set()


@pytest.mark.parametrize(("file", "sentence"), FOUND)
def test_a_sentence_that_a_page_shows_is_known_in_spanish(file: str, sentence: str) -> None:
    """A new reason, problem or hint has its translation; what no page shows is named above."""
    shown = load_language("es").translate(sentence)
    assert shown != sentence or sentence in NOT_ON_A_PAGE, file
    # A shorter sentence that it begins with must not take its place, and leave the rest in English.
    assert shown == sentence or not list_word_runs(sentence) & list_word_runs(shown), file


def list_word_runs(text: str) -> set[tuple[str, ...]]:
    """Return all runs of three words of a text, without names of encodings and commands."""
    names = {"cp", "leadmaster", "mac_roman", "utf"}
    text = text.removesuffix(_EXAMPLE_FOOTER)
    words = [each for each in re.findall(r"[^\W\d]+", text.casefold()) if each not in names]
    return {tuple(words[start : start + 3]) for start in range(len(words) - 2)}
