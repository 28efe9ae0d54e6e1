"""The words of the console: Spanish in vos, no English on its pages, no name from inside."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest

from daemon.api.effects import Intent
from daemon.api.transport import OnWhatsApp
from daemon.http.console import navigation
from daemon.http.console.evidence_view import EVIDENCE_SEVERITY
from daemon.http.console.language import Language, load_language
from daemon.http.console.sessions import SESSION_ACTIONS
from daemon.outbox.forecast import WAIT_SENTENCES
from daemon.sessions.signal_check import RejectedSignal
from daemon.sessions.status import REASON_SENTENCES
from rules.verdict import DeferKind, Verdict
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.session import ConnectionState, PhoneState, SendingState
from storage import audit, decisions, evidence, imports, prospects
from storage.decisions import DecisionRecord
from storage.evidence import EvidenceKind
from storage.tx import Tx
from tests.helpers.client.console import (
    ConsoleServer,
    check_page_words,
    move_message_to_state,
    update_session_record,
)
from tests.helpers.client.http import DAYTIME
from tests.helpers.page_language import INSIDE, find_language, read_page
from tests.helpers.services.database import list_prospects

SPANISH, ENGLISH = load_language("es"), load_language("en")

REGULAR: Final = (
    "aceptar acercar actualizar agregar anotar apuntar aprobar:aprueba apretar:aprieta arrastrar "
    "asignar aumentar avisar ayudar borrar buscar cambiar cancelar cerrar:cierra "
    "completar comprobar:comprueba conectar confirmar congelar conservar copiar "
    "corregir:corrige crear "
    "cuidar decidir "
    "dejar descargar detallar dividir editar ejecutar elegir:elige eliminar empezar:empieza "
    "encontrar:encuentra entrar entregar enviar escanear escribir escuchar esperar evitar "
    "explicar fijar guardar importar indicar iniciar instalar intentar leer:lee liberar limpiar "
    "llamar llenar marcar mirar mostrar:muestra mover:mueve necesitar nombrar observar ofrecer "
    "olvidar "
    "pasar pedir:pide pensar:piensa preguntar presionar probar:prueba pulsar quitar recargar "
    "recordar:recuerda registrar reiniciar repetir:repite responder restaurar revisar sacar "
    "seguir:sigue seleccionar soltar:suelta subir teclear tocar tomar usar validar verificar "
    "vincular volver:vuelve devolver:devuelve abrir"
)
"""Verbs by their infinitive, and the imperative of tú where its stem changes."""
IRREGULAR: Final = {
    "decir": ("di", "dices"),
    "detener": ("detén", "detienes"),
    "hacer": ("haz", "haces"),
    "poner": ("pon", "pones"),
    "salir": ("sal", "sales"),
    "tener": ("ten", "tienes"),
    "venir": ("ven", "vienes"),
    "dar": ("da", "das"),
    "ser": ("sé", "eres"),
    "ver": ("ve", "ves"),
}
"""Verbs whose imperative and present of tú follow no rule."""
NOUNS: Final = {
    "fijas",
    "copias",
    "marcas",
    "notas",
    "llamas",
    "pasas",
    "das",
    "entregas",
    "muestras",
}
"""Present forms of tú that are nouns or adjectives, or forms of vos as well."""
STATEMENTS: Final = re.compile(
    r"^(?:Espera (?:el escaneo|aprobación|aceptación|su turno)|Escribe$|Empieza en:|Cambia de canal"
    r"|Pide (?:aprobación|que lo apruebe|la baja)|Pasa a «|Deja de contar"
    r"|Sigue (?:cuando|en espera)|espera$|pide revisión|Entrega \{)"
    r"|sigue donde quedó|\(pregunta antes\)|está vacío: necesita|demasiado; empieza de nuevo"
    r"|vuelve a la cola|archivo y (?:entra|espera)"
)
"""Where a word says what something does, and sounds as the imperative of tú does."""
CLAUSE: Final = r"(?:^|[.:;,(«“¿¡]\s*|\b(?:y|o|u|e|después|luego|entonces|pero)\s+)"
VOS: Final = re.compile(rf"{CLAUSE}([a-zñ]{{2,}}[áéí])(?![\wáéíóú])", re.IGNORECASE)
NOT_VERBS: Final = {
    "acá",
    "así",
    "está",
    "será",
    "ahí",
    "qué",
    "allí",
    "sí",
    "mié",
    "quizá",
    "miré",
    "llamé",
}
PRONOUNS: Final = re.compile(r"\b(?:tú|ti|contigo)\b", re.IGNORECASE)


def conjugate() -> dict[str, tuple[str, str]]:
    """Return the imperative and the present of tú of each verb."""
    forms = dict(IRREGULAR)
    for entry in REGULAR.split():
        infinitive, _, changed = entry.partition(":")
        stem = infinitive[:-2] + ("a" if infinitive.endswith("ar") else "e")
        imperative = changed or stem
        forms[infinitive] = (imperative, f"{imperative}s")
    return forms


FORMS: Final = conjugate()
IMPERATIVES: Final = {imperative for imperative, _ in FORMS.values()}
MODAL: Final = {"puedes", "quieres", "debes", "sabes"}
"""Present forms of verbs of which nobody is commanded."""
PRESENT: Final = {present for _, present in FORMS.values()} - NOUNS | MODAL
COMMAND: Final = re.compile(
    rf"{CLAUSE}({'|'.join(sorted(IMPERATIVES))})(?![\wáéíóúñ])", re.IGNORECASE
)
WITH_PRONOUN: Final = re.compile(r"\b(\w*[áéíóú]\w*[ae])(?:lo|la|los|las|le|les|nos|me)\b")


def strip_accents(text: str) -> str:
    """Return a text without its accents."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(each for each in parts if not unicodedata.combining(each))


def list_texts(words: Language) -> Iterator[str]:
    """Yield every word and every translation of a catalogue."""
    yield from words.words.values()
    yield from (translation for _, translation in words._sentences)  # noqa: SLF001


def find_tu(text: str) -> list[str]:
    """Return what a text says to tú: imperatives, with a pronoun or without, present, pronouns."""
    statement = STATEMENTS.search(text)
    found = [] if statement else [match[1] for match in COMMAND.finditer(text)]
    found += [
        each[0] for each in WITH_PRONOUN.finditer(text) if strip_accents(each[1]) in IMPERATIVES
    ]
    found += [each for each in re.findall(r"[\wáéíóúñ]+", text.lower()) if each in PRESENT]
    return found + PRONOUNS.findall(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Escanea el código.", ["Escanea"]),
        ("Abrí el chat y elige un número.", ["elige"]),
        ("Falló; vincúlalo de nuevo.", ["vincúlalo"]),
        ("Puedes responder.", ["puedes"]),
        ("Di cómo terminó.", ["Di"]),
        ("Es para ti.", ["ti"]),
        ("Podés responder; revisalo y elegí otro.", []),
        ("Se escanea el código con la cámara.", []),
    ],
)
def test_what_is_said_to_tu_is_found(text: str, found: list[str]) -> None:
    """Imperatives at the start of a clause, the present anywhere, pronouns; vos is left alone."""
    assert find_tu(text) == found


@pytest.mark.parametrize("text", sorted(set(list_texts(SPANISH))))
def test_spanish_is_written_in_vos(text: str) -> None:
    """One register: no imperative, present or pronoun of tú anywhere in the catalogue."""
    assert find_tu(text) == []


def test_every_imperative_that_is_used_has_its_verb_here() -> None:
    """The list of verbs follows the catalogue: an imperative of vos brings that of tú."""
    used = {
        match[1].lower() for text in list_texts(SPANISH) for match in VOS.finditer(text)
    } - NOT_VERBS
    assert len(used) > 20
    assert {strip_accents(verb) + "r" for verb in used} - FORMS.keys() == set()


STATE_TABLES: Final = (
    *("connection", "phone", "sending", "desired", "message", "kind", "blocked_by", "verdict"),
    *("effect", "effect_short", "band", "permission", "validation", "on_whatsapp", "intent"),
    *("line_type", "outcome", "channel", "said", "quarantine.what", "quarantine.why"),
)


@pytest.mark.parametrize("words", [SPANISH, ENGLISH], ids=lambda words: words.code)
@pytest.mark.parametrize("table", STATE_TABLES)
def test_two_states_are_never_called_the_same(words: Language, table: str) -> None:
    """Each label of a table is its own, so that a state is known by it."""
    labels = Counter(
        label.lower()
        for key, label in words.words.items()
        if key.startswith(f"{table}.") and key.count(".") == table.count(".") + 1
    )
    assert labels
    assert [label for label, count in labels.items() if count > 1] == []


@pytest.mark.parametrize("text", sorted(set(list_texts(ENGLISH))))
def test_english_names_nothing_from_inside(text: str) -> None:
    """A person reads rules, phone, waiting, opt out: not gate, session, deferred, suppress."""
    assert INSIDE.findall(text) == []


def test_a_page_is_read_as_a_person_reads_it() -> None:
    """Texts and labels count; scripts and code do not."""
    page = "<p title='Show the whole'>Hola <code>is not</code></p><script>var is = 1</script>Held"
    assert read_page(page) == ["Show the whole", "Hola", "Held"]
    assert find_language("en", ["Hola", "It is sent.", "Nothing to do.", "Teléfono"]) == [
        "It is sent.",
        "Nothing to do.",
    ]


WRITTEN_BY_PEOPLE: Final = frozenset({"así lo pidió", "una lista", "así es"})
"""What the tests below store as words of people, past the interface."""


async def assert_plain(console: ConsoleServer, *paths: str, status: int = 200) -> None:
    """Ask for pages in both languages; fail where one says what its readers do not know."""
    await check_page_words(console, *paths, status=status, people_wrote=WRITTEN_BY_PEOPLE)


SOON: Final = DAYTIME + timedelta(hours=1)
PAGES: Final = tuple(
    {tab.path: None for place in navigation.PLACES for tab in place.tabs} | {"/quarantine": None}
)
CSV: Final = (
    "Nombre;Teléfono;Origen;Consentimiento\nAna;+5491141234567;feria;sí\n"
    "Beto;+5491141234568;feria;relación previa\nCarla;+541143219876;guía;no\n"
    "Dora;0800 555 0000;web;\nEma;no tiene;web;\nFede;4123;web;quizás\n"
    "Ana;+5491141234567;feria;sí\nGabi;+5491141234569 / +5491141234570;web;\n"
).encode()


@pytest.mark.slow
async def test_pages_of_phones_are_in_plain_words(console: ConsoleServer) -> None:
    """In every state of connection, device and sending, with every reason, until a moment."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    of_one = (
        *("/", "/sessions", "/sessions/ventas", "/pieces/sessions/new"),
        *(f"/pieces/sessions/ventas/{action}" for action in sorted(SESSION_ACTIONS)),
    )
    for state, due in itertools.product(ConnectionState, (None, SOON)):
        moved = {"connection": state, "reason_code": "", "due_at": due, "banned_until": due}
        await update_session_record(console, "ventas", **moved)
        await assert_plain(console, *of_one)
    for phone, sending in itertools.product(PhoneState, SendingState):
        moved = {"connection": ConnectionState.READY, "phone_state": phone, "sending": sending}
        seen = DAYTIME - timedelta(days=9)
        await update_session_record(console, "ventas", phone_seen_at=seen, **moved)
        await assert_plain(console, *of_one[:3])
    for reason in REASON_SENTENCES:
        columns = {"connection": ConnectionState.BACKOFF, "reason_code": reason, "due_at": SOON}
        await update_session_record(console, "ventas", **columns)
        await assert_plain(console, "/sessions/ventas")
    await assert_plain(console, "/pieces/sessions/ventas/timeline")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["It is broken for a reason.", "Se rompió por un motivo."])
async def test_a_planted_sentence_is_found_on_a_page(console: ConsoleServer, fault: str) -> None:
    """One of a channel, which neither catalogue knows: on the page of the other language."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await assert_plain(console, "/sessions")
    await update_session_record(console, "ventas", connection=ConnectionState.FAILED, fault=fault)
    with pytest.raises(AssertionError, match=r"a reason|un motivo"):
        await assert_plain(console, "/sessions")


async def enqueue(console: ConsoleServer, number: int, state: MessageState) -> str:
    """Enter a message in a state, with one of the sentences about what it waits for."""
    by_hand = state in {"taken", "revealed", "confirmed_by_hand"}
    channel = "manual" if by_hand else "simulated"
    order = {"to": f"+{5491141230000 + number}", "text": "Hola", "channel": channel}
    reply = await console.api.call("POST", "/v1/messages", json=order)
    message = str(reply.document["id"])
    sentence = sorted(WAIT_SENTENCES.values())[number % len(WAIT_SENTENCES)]
    move = partial(move_message_to_state, message, state, channel, sentence=sentence)
    await console.services.database.write(move)
    return message


@pytest.mark.slow
async def test_pages_of_messages_are_in_plain_words(console: ConsoleServer) -> None:
    """In every state, with every verdict of the shipped rules and every wait; during a halt too."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await console.import_list(CSV)
    await console.services.outbox.stop(1)
    gate = console.services.rulesets.gate.ruleset
    found: list[str] = []
    for number, (state, verdict) in enumerate(itertools.product(MessageState, Verdict)):
        message = await enqueue(console, number, state)
        veto = gate.vetoes[number % len(gate.vetoes)]
        shown = {"id": veto.id, "effect": veto.effect, "reason": veto.reason, "at": "gate.yaml:1"}
        document = build_document(gate.hash, verdict, [shown])
        await console.services.database.write(partial(store_document, message, document))
        found.append(message)
    paths = [f"/{place}/{message}" for message in found for place in ("messages", "review")]
    dialogs = [f"/pieces/messages/{found[-1]}/{action}" for action in ("cancel", "settle")]
    dialogs += [f"/pieces/review/cases/{found[-1]}/{action}" for action in ("approve", "reject")]
    await assert_plain(console, *PAGES, *paths, *dialogs, "/pieces/halt")
    await console.api.post("/v1/halt", reason="una prueba")
    await assert_plain(console, *PAGES, "/pieces/halt", paths[0])


def build_document(ruleset: str, verdict: Verdict, vetoes: list[dict[str, str]]) -> dict[str, Any]:
    """Return a decision as it is stored: points of a rule, and what each verdict waits for."""
    return {
        "verdict": verdict,
        "reason_code": vetoes[0]["id"],
        "sentence": vetoes[0]["reason"],
        "route": "manual" if verdict is Verdict.ROUTE else None,
        "defers": [
            {"kind": kind, "window": "business", "seconds": 90, "days": 5} for kind in DeferKind
        ],
        "needs_review": True,
        "score": 60,
        "base": 80,
        "band": "review",
        "vetoes": vetoes,
        "contributions": [],
        "missing": ["prospect.on_whatsapp"],
        "opinions": [],
        "ruleset": ruleset,
    }


def store_document(message: str, document: dict[str, Any], tx: Tx) -> None:
    """Store a decision on a message."""
    decisions.insert_decision(
        tx,
        DecisionRecord(
            id=f"dec_{message}",
            message=message,
            at=DAYTIME,
            phase="enqueue",
            ruleset=document["ruleset"],
            verdict=document["verdict"],
            body_hash="h",
            recipient="+5491141234567",
            document=document,
            facts={},
            microseconds=1,
        ),
    )


@pytest.mark.slow
async def test_pages_of_people_are_in_plain_words(console: ConsoleServer) -> None:
    """Every validation, line, intent and answer, every piece of evidence, and a whole import."""
    await console.import_list(CSV)
    upload = await console.api.call("POST", "/v1/uploads?filename=l.csv", data=CSV)
    database = console.services.database
    (ana, *_) = await database.read(list_prospects)
    piece = f"/pieces/prospects/{ana.id}"
    paths = (
        *(f"/prospects/{ana.id}", f"/review/{ana.id}", f"{piece}/validate", f"{piece}/correct"),
        *(f"/pieces/contacts/{ana.contact}/{action}" for action in ("suppress", "lift")),
        *(f"/pieces/review/cases/{ana.id}/{decision}" for decision in ("approve", "reject")),
        *("/prospects", "/review", "/pieces/prospects/new"),
    )
    changes: list[Mapping[str, object]] = [
        *({"validation": state, "expires_at": SOON} for state in ValidationState),
        *({"on_whatsapp": answer} for answer in OnWhatsApp),
        *({"intent": intent} for intent in Intent),
        *({"line_type": line} for line in ("mobile", "fixed_line", "fixed_line_or_mobile", "voip")),
    ]
    for columns in changes:
        await database.write(partial(update, ana.id, columns))
        await assert_plain(console, *paths)
    for kind, value in (*EVIDENCE_SEVERITY, (EvidenceKind.DECLINED, "refused")):
        await database.write(partial(store_evidence, ana.contact, kind, value))
    await assert_plain(console, *paths)
    order = {"phone": ana.contact, "reason": "lo pidió por teléfono"}
    await console.api.call("POST", "/v1/suppressions", json=order)
    (past, *_) = await database.read(imports.list_imports)
    preview = f"/pieces/imports/preview?upload={upload.document['upload']}"
    await assert_plain(console, *paths, preview, f"/prospects/imports/{past.record.id}")


def update(prospect: str, columns: Mapping[str, object], tx: Tx) -> None:
    """Store other columns of a prospect."""
    prospects.update_prospect(tx, prospect, at=DAYTIME, **columns)


def store_evidence(contact: str, kind: EvidenceKind, value: str, tx: Tx) -> None:
    """Store a piece of evidence about a contact."""
    evidence.insert_evidence(
        tx, contact, kind, value, at=DAYTIME, source="una lista", quote="así es"
    )


@pytest.mark.slow
async def test_what_could_not_be_stored_is_said_in_plain_words(console: ConsoleServer) -> None:
    """Every kind of signal with every reason, and the dialog that settles it."""
    await console.add_ready_session()
    quarantine = console.services.signal_handlers.quarantine
    reasons = [key.split(".")[2] for key in SPANISH.words if key.startswith("quarantine.why.")]
    kinds = [key.split(".")[2] for key in SPANISH.words if key.startswith("quarantine.what.")]
    for number, reason in enumerate(reasons):
        kind = kinds[number % len(kinds)]
        rejected = RejectedSignal("ventas", "simulated", kind, reason, "It.", {})
        await quarantine.handle_rejected("ventas", rejected)
    signals = await quarantine.list_signals()
    dialogs = (f"/pieces/quarantine/{each.id}/settle" for each in signals)
    await assert_plain(console, "/", "/quarantine", *dialogs)


@pytest.mark.slow
async def test_rules_and_audit_are_in_plain_words(console: ConsoleServer) -> None:
    """Every action of people and of the daemon, with its details; the shipped rules."""
    actions = [key.split(".")[1] for key in SPANISH.words if key.startswith("action.")]
    actors = ["ana", *(key.split(".")[1] for key in SPANISH.words if key.startswith("who."))]
    details = [key.split(".")[1] for key in SPANISH.words if key.startswith("detail.")]
    for number, action in enumerate(actions):
        await console.services.database.write(
            partial(
                audit.insert_audit_entry,
                at=DAYTIME,
                who=actors[number % len(actors)],
                action=action,
                subject="msg_1",
                reason="así lo pidió",
                detail={details[number % len(details)]: number % 3 == 0},
            )
        )
    await assert_plain(console, "/audit?limit=200", "/rules")
    targets = ("gate.thresholds.allow", "gate.groups.fatigue", "gate.scores.unanswered")
    forms = (f"/pieces/rules/change/{target}" for target in targets)
    await assert_plain(console, *forms, "/pieces/rules/preview?target=gate.scores.stale&value=x")


@pytest.mark.slow
async def test_problems_and_sign_in_are_in_plain_words(console: ConsoleServer) -> None:
    """What is not there, and a sign-in of every kind."""
    await assert_plain(console, "/sign-in", "/sign-in?ended", "/sign-in?back=/messages")
    missing = ("/sessions/norte", "/messages/msg_0", "/review/msg_0", "/prospects/pro_0")
    await assert_plain(console, *missing, "/prospects/imports/imp_0", status=404)
