"""Makes deliveries: terms of clients, a batch from a filter, frozen with its files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from daemon.api.clock import Clock
from daemon.chats.sharing import require_client
from daemon.contacts.prospect_filters import ProspectFilter, build_search
from daemon.deliveries.files import FilePlan, FileRow, Words, WrittenFile, write_files
from daemon.deliveries.qualification import (
    INTERESTED,
    LeftOutPerson,
    Qualification,
    QualifiedPerson,
)
from daemon.deliveries.terms import require_terms
from daemon.errors import BadRequest, Conflict, NotFound, require_reason
from daemon.events import DecisionRecorded, DeliveryFrozen
from daemon.lists.xlsx_export import WORKBOOK_LIBRARY
from daemon.settings import DaemonSettings
from storage import audit, decision_entries, deliveries, prospect_search
from storage.client_terms import ClientTerms, DeliveryTerms
from storage.clients import ClientRecord
from storage.db import Database
from storage.deliveries import (
    DeliveryFact,
    DeliveryFile,
    DeliveryFormat,
    DeliveryGround,
    DeliveryRecord,
    DeliveryRow,
    DeliveryRowMove,
    NewDeliveryRow,
)
from storage.prospects import ProspectRecord
from storage.tx import Reader, Tx

MAX_ROWS: Final = 500
"""How many people a delivery may have."""
MAX_CANDIDATES: Final = 1000
"""How many people are judged for one."""
_DELIVERIES_HINT: Final = "List them: leadmaster deliveries list"


class DeliveryRequest(Struct, frozen=True, kw_only=True):
    """Who is to be handed to a client: prospects by their ids, or all that a filter finds.

    Without ids, only people who have shown a clear intent to buy are looked at. ``decided`` are
    those who go by a person's decision, where they were not asked about this client.
    """

    client: str
    ids: Sequence[str] | None = None
    text: str = ""
    import_id: str = ""
    decided: Sequence[str] = ()


class DeliveryPreview(Struct, frozen=True, kw_only=True):
    """A delivery as it would be frozen now, and everybody who is left out, with the reason.

    ``hash`` goes with the freezing, which is refused where it would be another delivery by then.
    """

    client: ClientRecord
    terms: ClientTerms
    people: Sequence[QualifiedPerson]
    left_out: Sequence[LeftOutPerson]
    hash: str


class DeliveryDetail(Struct, frozen=True, kw_only=True):
    """A delivery with its rows, what became of each, and the files that were handed over."""

    delivery: DeliveryRecord
    rows: Sequence[DeliveryRow]
    moves: Sequence[DeliveryRowMove]
    files: Sequence[DeliveryFile]


class DownloadedFile(Struct, frozen=True, kw_only=True):
    """A file for the client; ``whole`` is false where somebody in it was erased since."""

    name: str
    content: bytes
    whole: bool


class DeliveryDraft(Struct, frozen=True, kw_only=True):
    """What was judged, and when; ``number`` is the one that the delivery would have."""

    request: DeliveryRequest
    preview: DeliveryPreview
    number: int
    now: datetime
    rows: Sequence[NewDeliveryRow] = field(default=())


class DeliveryService:
    """Previews and freezes deliveries. What is frozen never changes; a correction is a new row."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: DaemonSettings,
        load_words: Callable[[str], Words],
    ) -> None:
        self._database = database
        self._clock = clock
        self._region = settings.default_region
        self.zone = ZoneInfo(settings.time_zone)
        """Where the installation is, for days and months."""
        self._load_words = load_words

    async def preview(self, request: DeliveryRequest) -> DeliveryPreview:
        """Return who would be in a delivery now, and who is left out. Raises NotFound, BadRequest.

        Raises Conflict where the client has no terms.
        """
        now = self._clock.now()
        return await self._database.read(lambda reader: self._draft(reader, request, now).preview)

    async def freeze(
        self, request: DeliveryRequest, who: str, *, hash_: str, decision: str = ""
    ) -> DeliveryDetail:
        """Freeze a delivery as it was previewed, with its files.

        ``decision`` is why the people in ``decided`` are handed over without being asked. Raises
        Conflict where it would be another delivery by now, and where nobody is in it.
        """
        now = self._clock.now()
        stated = require_reason(decision) if request.decided else ""
        await WORKBOOK_LIBRARY.ensure_loaded()
        draft = await self._database.read(
            lambda reader: self._draft(reader, request, now, who=who, decision=stated)
        )
        _require_previewed(draft, hash_)
        files = await asyncio.to_thread(self._write, draft)

        def job(tx: Tx) -> DeliveryDetail:
            # Judged again: somebody may have opted out while the files were written.
            again = self._draft(tx, request, now, who=who, decision=stated)
            if again.number != draft.number or again.rows != draft.rows:
                raise _moved()
            return self._store(tx, draft, files, who)

        return await self._database.write(job, urgent=True)

    async def list_deliveries(
        self, *, client: str = "", before: str = "", limit: int = 50
    ) -> list[DeliveryRecord]:
        """Return deliveries, the newest first; of one client, if given."""
        return await self._database.read(
            lambda reader: deliveries.list_deliveries(
                reader, client=client, before=before, limit=limit
            )
        )

    async def get_delivery(self, id_: str) -> DeliveryDetail:
        """Return a delivery with its rows. Raises NotFound."""
        return await self._database.read(lambda reader: build_detail(reader, id_))

    async def download(
        self, id_: str, part: int, format_: DeliveryFormat, who: str
    ) -> DownloadedFile:
        """Return a file of a delivery, as it was handed over; audited. Raises NotFound.

        Once somebody in it was erased, it is written again without them.
        """
        now = self._clock.now()
        await WORKBOOK_LIBRARY.ensure_loaded()

        def job(tx: Tx) -> tuple[DeliveryDetail, bytes | None]:
            detail = build_detail(tx, id_)
            file = next((f for f in detail.files if (f.part, f.format) == (part, format_)), None)
            if file is None:
                raise NotFound(f"Delivery {detail.delivery.number} has no such file.")
            audit.insert_audit_entry(
                tx,
                at=now,
                who=who,
                action="delivery_downloaded",
                subject=id_,
                detail={"part": part, "format": format_, "hash": file.hash, "whole": file.whole},
            )
            return detail, deliveries.read_delivery_file(tx, id_, part, format_)

        detail, content = await self._database.write(job, urgent=True)
        whole = content is not None
        if content is None:
            content = await asyncio.to_thread(self._write_again, detail, part, format_)
        row = f"-row-{part}" if part else ""
        name = f"delivery-{detail.delivery.number}{row}.{format_}"
        return DownloadedFile(name=name, content=content, whole=whole)

    def build_plan(
        self, delivery: DeliveryTerms, number: int, at: datetime, rows: Sequence[FileRow]
    ) -> FilePlan:
        """Return what the files of a delivery are made of."""
        return FilePlan(
            title=f"{number}", at=at, zone=self.zone, columns=delivery.columns, rows=rows
        )

    def write(self, plan: FilePlan, language: str) -> list[WrittenFile]:
        """Return the files of a plan in a language."""
        return write_files(plan, self._load_words(language))

    def _draft(
        self,
        reader: Reader,
        request: DeliveryRequest,
        now: datetime,
        *,
        who: str = "",
        decision: str = "",
    ) -> DeliveryDraft:
        client = require_client(reader, request.client)
        terms = require_terms(reader, client)
        qualification = Qualification(
            client=client,
            columns=terms.columns,
            now=now,
            today=now.astimezone(self.zone).date(),
            decided=frozenset(request.decided),
            decided_by=who,
            decision=decision,
        )
        people, left_out = qualification.judge(reader, self._find_people(reader, request, now))
        if len(people) > MAX_ROWS:
            raise BadRequest(
                f"A delivery has up to {MAX_ROWS} people, and these are {len(people)}.",
                hint="Narrow the filter first.",
            )
        preview = DeliveryPreview(
            client=client,
            terms=terms,
            people=people,
            left_out=left_out,
            hash=_hash(terms, people),
        )
        return DeliveryDraft(
            request=request,
            preview=preview,
            number=deliveries.get_next_number(reader),
            now=now,
            rows=[each.row for each in people],
        )

    def _find_people(
        self, reader: Reader, request: DeliveryRequest, now: datetime
    ) -> list[ProspectRecord]:
        chosen = ProspectFilter(text=request.text, import_id=request.import_id)
        found = prospect_search.search_prospects(
            reader,
            build_search(chosen, self._region),
            now=now,
            ids=request.ids,
            intents=INTERESTED if request.ids is None else None,
            limit=MAX_CANDIDATES + 1,
        )
        if len(found) > MAX_CANDIDATES:
            raise BadRequest(
                f"These are more than {MAX_CANDIDATES} people.", hint="Narrow the filter first."
            )
        return found

    def _write(self, draft: DeliveryDraft) -> list[WrittenFile]:
        rows = [FileRow(number=n, person=row) for n, row in enumerate(draft.rows, 1)]
        terms = draft.preview.terms
        return self.write(self.build_plan(terms, draft.number, draft.now, rows), terms.language)

    def _write_again(self, detail: DeliveryDetail, part: int, format_: DeliveryFormat) -> bytes:
        delivery = detail.delivery
        rows = [
            FileRow(number=each.number, person=None if each.erased else _to_new_row(each))
            for each in detail.rows
            if part == (0 if each.replaces is None else each.number)
        ]
        plan = self.build_plan(delivery, delivery.number, delivery.at, rows)
        found = {each.format: each.content for each in self.write(plan, delivery.language)}
        return found[format_]

    def _store(
        self, tx: Tx, draft: DeliveryDraft, files: Sequence[WrittenFile], who: str
    ) -> DeliveryDetail:
        terms, now = draft.preview.terms, draft.now
        id_ = deliveries.insert_delivery(
            tx, terms.client, terms, number=draft.number, at=now, who=who
        )
        self.store_rows(tx, id_, terms, list(enumerate(draft.rows, 1)), now)
        store_files(tx, id_, 0, files)
        decided = [row for row in draft.rows if row.ground is DeliveryGround.DECISION]
        if decided:
            store_decision(tx, id_, len(decided), decided[0], now)
        hashes = {each.format.value: each.hash for each in files}
        detail = {"client": terms.client, "rows": len(draft.rows), "hashes": hashes}
        audit.insert_audit_entry(
            tx, at=now, who=who, action="delivery_frozen", subject=id_, detail=detail
        )
        tx.emit(
            DeliveryFrozen(
                subject=id_,
                at=now,
                number=draft.number,
                client=terms.client,
                rows=len(draft.rows),
                who=who,
            )
        )
        return build_detail(tx, id_)

    def store_rows(
        self,
        tx: Tx,
        delivery: str,
        terms: DeliveryTerms,
        rows: Sequence[tuple[int, NewDeliveryRow]],
        now: datetime,
        *,
        replaces: int | None = None,
    ) -> None:
        """Freeze rows with the days that follow from the terms."""
        today = self.find_day(now)
        for number, row in rows:
            deliveries.insert_delivery_row(
                tx,
                delivery,
                number,
                row,
                at=now,
                dispute_until=today + timedelta(days=terms.dispute_days),
                exclusive_until=today + timedelta(days=terms.exclusive_days - 1),
                replaces=replaces,
            )

    def find_day(self, at: datetime) -> date:
        """Return the day of a moment where the installation is."""
        return at.astimezone(self.zone).date()


def build_detail(reader: Reader, id_: str) -> DeliveryDetail:
    """Return a delivery with its rows, moves and files. Raises NotFound."""
    found = deliveries.get_delivery(reader, id_)
    if found is None:
        raise NotFound(f"There is no delivery {id_}.", hint=_DELIVERIES_HINT)
    return DeliveryDetail(
        delivery=found,
        rows=deliveries.list_delivery_rows(reader, id_),
        moves=deliveries.list_row_moves(reader, id_),
        files=deliveries.list_delivery_files(reader, id_),
    )


def store_files(tx: Tx, delivery: str, part: int, files: Sequence[WrittenFile]) -> None:
    """Store the files of a batch, or of the row that replaces another."""
    for each in files:
        deliveries.insert_delivery_file(
            tx,
            delivery,
            part=part,
            format_=each.format,
            hash_=each.hash,
            content=each.content,
        )


def store_decision(tx: Tx, delivery: str, count: int, row: NewDeliveryRow, now: datetime) -> None:
    """Store the decision to hand over people who were not asked about this client."""
    sharing = next(each for each in row.evidence if each.fact is DeliveryFact.SHARING)
    subject, who, reason = f"delivery.{delivery}", sharing.source, sharing.quote
    decision_entries.insert_decision_entry(
        tx, at=now, who=who, subject=subject, value=count, reason=reason
    )
    audit.insert_audit_entry(
        tx, now, who, "decision_recorded", subject, reason, {"value": float(count)}
    )
    tx.emit(DecisionRecorded(subject=subject, at=now, who=who, value=float(count), reason=reason))


def _to_new_row(row: DeliveryRow) -> NewDeliveryRow:
    return NewDeliveryRow(
        contact=row.contact or "",
        name=row.name,
        phone=row.phone,
        cells=row.cells,
        evidence=row.evidence,
        ground=row.ground,
    )


def _require_previewed(draft: DeliveryDraft, hash_: str) -> None:
    if draft.preview.hash != hash_:
        raise _moved()
    if not draft.rows:
        raise Conflict("Nobody qualifies, so there is nothing to deliver.")


def _moved() -> Conflict:
    return Conflict(
        "The delivery would be another one by now. Nothing was frozen.",
        hint="Look at it again, and freeze what you see then.",
    )


def _hash(terms: ClientTerms, people: Sequence[QualifiedPerson]) -> str:
    """Return a hash of what would be frozen, but for a decision, which is not written yet."""
    rows = [
        [
            *(each.id, each.row.name, each.row.phone, dict(each.row.cells), each.row.ground),
            [p for p in each.row.evidence if p.fact is not DeliveryFact.SHARING],
        ]
        for each in people
    ]
    document = msgspec.json.encode([terms, rows], order="sorted")
    return hashlib.sha256(document).hexdigest()
