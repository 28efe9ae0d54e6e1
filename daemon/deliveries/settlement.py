"""Settles the rows of a delivery: accepted, disputed, replaced, withdrawn; and the money."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.numbers import format_phone_groups
from daemon.chats.sharing import require_client
from daemon.deliveries.files import FileRow, WrittenFile
from daemon.deliveries.qualification import Qualification
from daemon.deliveries.service import (
    DeliveryDetail,
    DeliveryService,
    DownloadedFile,
    build_detail,
    store_decision,
    store_files,
)
from daemon.errors import BadRequest, Conflict, NotFound, require_reason
from daemon.events import DeliveryRowChanged
from daemon.lists.csv_export import format_csv
from daemon.lists.xlsx_export import WORKBOOK_LIBRARY
from statemachines.delivery import DeliveryRowEvent, DeliveryRowState, move_delivery_row
from statemachines.machine import IllegalTransition
from storage import audit, deliveries, delivery_queries, prospects
from storage.db import Database
from storage.deliveries import (
    DeliveryGround,
    DeliveryRecord,
    DeliveryRow,
    DeliveryRowMove,
    NewDeliveryRow,
)
from storage.delivery_queries import LaterOptOut
from storage.tx import Reader, Tx

RowCheck: TypeAlias = Callable[[DeliveryRecord, DeliveryRow], None]
"""Raises where a row can't be changed so."""
BY_DEADLINE: Final = "deadline"
"""Who accepts what nobody disputed in time."""
_ROWS_AT_ONCE: Final = 200
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_YEARS: Final = range(2000, 9999)
_LAST_MONTH: Final = 12
_MONEY_COLUMNS: Final = (
    *("client_name", "delivery_number", "accepted", "price", "amount", "currency", "month"),
)
_OPT_OUT_COLUMNS: Final = ("delivery", "row", "name", "phone", "opted_out_on")


class DeliveryMoney(Struct, frozen=True, kw_only=True):
    """What a client pays for the rows of one delivery that were accepted in a month."""

    client: str
    client_name: str
    delivery: str
    delivery_number: int
    accepted: int
    price_cents: int
    amount_cents: int
    currency: str


class SettlementService:
    """Writes what a client says of a row, and settles disputes; each is audited and announced."""

    def __init__(self, database: Database, making: DeliveryService, clock: Clock) -> None:
        self._database = database
        self._making = making
        self._clock = clock

    async def accept(self, id_: str, number: int, who: str, *, note: str = "") -> DeliveryDetail:
        """Accept a row; of a disputed one, ``note`` says why. Raises NotFound and Conflict."""

        def check(_delivery: DeliveryRecord, row: DeliveryRow) -> None:
            if row.state is DeliveryRowState.DISPUTED:
                require_reason(note, hint="Say how the dispute was settled.")

        return await self._move(id_, number, who, DeliveryRowEvent.ACCEPTED, note, check=check)

    async def dispute(
        self, id_: str, number: int, who: str, *, reason: str, on: date, note: str = ""
    ) -> DeliveryDetail:
        """Write down that the client disputed a row on a day, for a reason that counts.

        Raises NotFound, Conflict, and BadRequest for another reason or a day that is too late.
        """
        today = self._making.find_day(self._clock.now())

        def check(delivery: DeliveryRecord, row: DeliveryRow) -> None:
            _require_disputable(delivery, row, reason, on, today, self._making.find_day(row.at))

        event = DeliveryRowEvent.DISPUTED
        return await self._move(
            id_, number, who, event, note, check=check, reason=reason, disputed_on=on
        )

    async def withdraw(self, id_: str, number: int, who: str, *, note: str) -> DeliveryDetail:
        """Take a disputed row back: the client is right, and pays nothing for it."""
        stated = require_reason(note, hint="Say how the dispute was settled.")
        return await self._move(id_, number, who, DeliveryRowEvent.WITHDRAWN, stated)

    async def replace(
        self, id_: str, number: int, who: str, *, prospect: str, note: str, decision: str = ""
    ) -> DeliveryDetail:
        """Give another person for a disputed row: a row more, with a file of its own.

        They must qualify like anybody in a new delivery; ``decision`` is why, where they were not
        asked about this client. Raises NotFound and Conflict.
        """
        stated, now = require_reason(note, hint="Say how the dispute was settled."), self._now()
        await WORKBOOK_LIBRARY.ensure_loaded()

        def read(reader: Reader) -> tuple[DeliveryDetail, NewDeliveryRow]:
            detail = build_detail(reader, id_)
            _plan_move(_find_row(detail.rows, number), DeliveryRowEvent.REPLACED)
            return detail, self._qualify(reader, detail.delivery, prospect, who, decision, now)

        detail, row = await self._database.read(read)
        files = await asyncio.to_thread(self._write, detail, row, now)

        def job(tx: Tx) -> DeliveryDetail:
            if read(tx) != (detail, row):
                raise Conflict("It has changed in between. Nothing was replaced.")
            new = len(detail.rows) + 1
            self._making.store_rows(tx, id_, detail.delivery, [(new, row)], now, replaces=number)
            store_files(tx, id_, new, files)
            if row.ground is DeliveryGround.DECISION:
                store_decision(tx, id_, 1, row, now)
            _store_move(tx, detail.rows[number - 1], DeliveryRowEvent.REPLACED, who, now, stated)
            return build_detail(tx, id_)

        return await self._database.write(job, urgent=True)

    async def accept_silent_rows(self) -> int:
        """Accept what nobody disputed in time, where the client's terms say so; return how many."""
        now, done = self._now(), 0
        today = self._making.find_day(now)

        def job(tx: Tx) -> int:
            rows = deliveries.list_silent_rows(tx, today, _ROWS_AT_ONCE)
            for row in rows:
                _store_move(tx, row, DeliveryRowEvent.ACCEPTED, BY_DEADLINE, now, "")
            return len(rows)

        # In pieces, so that no transaction is long.
        while count := await self._database.write(job):
            done += count
        return done

    async def list_money(self, month: str, *, client: str = "") -> list[DeliveryMoney]:
        """Return the money of the rows accepted in a month (``2026-11``), by delivery.

        Raises BadRequest for another form of month.
        """
        since, until = _find_month(month, self._making.zone)
        found = await self._database.read(
            lambda reader: delivery_queries.list_accepted_rows(
                reader, since=since, until=until, client=client
            )
        )
        counts = Counter(each.delivery for each in found)
        first = {each.delivery: each for each in reversed(found)}
        return [
            DeliveryMoney(
                client=each.client,
                client_name=each.client_name,
                delivery=id_,
                delivery_number=each.delivery_number,
                accepted=counts[id_],
                price_cents=each.price_cents,
                amount_cents=counts[id_] * each.price_cents,
                currency=each.currency,
            )
            for id_, each in sorted(first.items())
        ]

    async def export_money(self, month: str, *, client: str = "") -> str:
        """Return the same as CSV, with a line for each delivery. Raises BadRequest."""
        rows = [
            (
                *(each.client_name, each.delivery_number, each.accepted),
                *(format_cents(each.price_cents), format_cents(each.amount_cents)),
                *(each.currency, month),
            )
            for each in await self.list_money(month, client=client)
        ]
        return format_csv([_MONEY_COLUMNS, *rows])

    async def list_later_opt_outs(self, client: str = "") -> list[LaterOptOut]:
        """Return who opted out after they were handed over. Raises NotFound."""

        def read(reader: Reader) -> list[LaterOptOut]:
            known = require_client(reader, client).id if client else ""
            return delivery_queries.list_later_opt_outs(reader, client=known)

        return await self._database.read(read)

    async def download_later_opt_outs(self, client: str, who: str) -> DownloadedFile:
        """Return the file by which a client learns who opted out; audited. Raises NotFound."""
        now = self._now()

        def job(tx: Tx) -> list[LaterOptOut]:
            named = require_client(tx, client)
            found = delivery_queries.list_later_opt_outs(tx, client=named.id)
            action, detail = "later_opt_outs_downloaded", {"rows": len(found)}
            audit.insert_audit_entry(
                tx, at=now, who=who, action=action, subject=named.id, detail=detail
            )
            return found

        found = await self._database.write(job, urgent=True)
        rows = [self._format_opt_out(each) for each in found]
        content = ("\ufeff" + format_csv([_OPT_OUT_COLUMNS, *rows])).encode()
        return DownloadedFile(name="later-opt-outs.csv", content=content, whole=True)

    async def report_later_opt_outs(
        self, client: str, who: str, *, count: int
    ) -> list[LaterOptOut]:
        """Write down that the client has the file, with this many people in it.

        Raises NotFound, and Conflict where it would have others by now.
        """
        now = self._now()

        def job(tx: Tx) -> list[LaterOptOut]:
            named = require_client(tx, client)
            found = delivery_queries.list_later_opt_outs(tx, client=named.id)
            if len(found) != count:
                raise Conflict(
                    f"The file has {len(found)} people now.",
                    hint="Download it again, and hand it over.",
                )
            delivery_queries.mark_opt_outs_reported(tx, found, at=now)
            action, detail = "later_opt_outs_reported", {"rows": count}
            audit.insert_audit_entry(
                tx, at=now, who=who, action=action, subject=named.id, detail=detail
            )
            return delivery_queries.list_later_opt_outs(tx, client=named.id)

        return await self._database.write(job, urgent=True)

    def _format_opt_out(self, each: LaterOptOut) -> tuple[object, ...]:
        day = self._making.find_day(each.opted_out_at) if each.opted_out_at else ""
        phone = format_phone_groups(each.phone) if each.phone else ""
        return each.delivery_number, each.row, each.name, phone, day

    def _now(self) -> datetime:
        return self._clock.now()

    async def _move(
        self,
        id_: str,
        number: int,
        who: str,
        event: DeliveryRowEvent,
        note: str,
        *,
        check: RowCheck | None = None,
        reason: str = "",
        disputed_on: date | None = None,
    ) -> DeliveryDetail:
        now = self._now()

        def job(tx: Tx) -> DeliveryDetail:
            detail = build_detail(tx, id_)
            row = _find_row(detail.rows, number)
            _plan_move(row, event)
            if check is not None:
                check(detail.delivery, row)
            _store_move(tx, row, event, who, now, note, reason=reason, disputed_on=disputed_on)
            return build_detail(tx, id_)

        return await self._database.write(job, urgent=True)

    def _qualify(
        self,
        reader: Reader,
        delivery: DeliveryRecord,
        prospect: str,
        who: str,
        decision: str,
        now: datetime,
    ) -> NewDeliveryRow:
        found = prospects.get_prospect(reader, prospect)
        if found is None:
            raise NotFound(f"There is no prospect {prospect}.")
        qualification = Qualification(
            client=require_client(reader, delivery.client),
            columns=delivery.columns,
            now=now,
            today=self._making.find_day(now),
            decided=frozenset({prospect} if decision.strip() else ()),
            decided_by=who,
            decision=decision.strip(),
        )
        taken, left_out = qualification.judge(reader, [found.as_of(now)])
        if left_out:
            raise Conflict(f"They can't be handed over. {left_out[0].sentence}")
        return taken[0].row

    def _write(
        self, detail: DeliveryDetail, row: NewDeliveryRow, now: datetime
    ) -> list[WrittenFile]:
        rows = [FileRow(number=len(detail.rows) + 1, person=row)]
        plan = self._making.build_plan(detail.delivery, detail.delivery.number, now, rows)
        return self._making.write(plan, detail.delivery.language)


def format_cents(cents: int) -> str:
    """Return an amount in hundredths as a decimal number: 450050 is 4500.50."""
    return f"{cents // 100}.{cents % 100:02}"


def _find_row(rows: Sequence[DeliveryRow], number: int) -> DeliveryRow:
    found = next((each for each in rows if each.number == number), None)
    if found is None:
        raise NotFound(f"There is no row {number} in this delivery.")
    return found


def _plan_move(row: DeliveryRow, event: DeliveryRowEvent) -> DeliveryRowState:
    """Return the state that follows. Raises Conflict where the declaration has none."""
    try:
        return move_delivery_row(row.state, event)
    except IllegalTransition as refusal:
        raise Conflict(
            f"Row {row.number} is {row.state}, and can't be {event} from there.",
            hint="A dispute is settled by accepting, replacing or withdrawing the row.",
        ) from refusal


def _store_move(
    tx: Tx,
    row: DeliveryRow,
    event: DeliveryRowEvent,
    who: str,
    now: datetime,
    note: str,
    *,
    reason: str = "",
    disputed_on: date | None = None,
) -> None:
    """Store the new state of a row with its history, audit and event."""
    move = DeliveryRowMove(
        row=row.number,
        at=now,
        previous=row.state,
        state=_plan_move(row, event),
        who=who,
        reason=reason,
        disputed_on=disputed_on,
        note=note.strip(),
    )
    deliveries.move_row(tx, row.delivery, move)
    detail = {"row": row.number, "previous": move.previous.value}
    audit.insert_audit_entry(tx, now, who, f"delivery_row_{event}", row.delivery, reason, detail)
    tx.emit(
        DeliveryRowChanged(
            subject=row.delivery,
            at=now,
            row=row.number,
            state=move.state.value,
            previous=move.previous.value,
            who=who,
        )
    )


def _require_disputable(
    delivery: DeliveryRecord, row: DeliveryRow, reason: str, on: date, today: date, since: date
) -> None:
    """Raise BadRequest unless the client's terms allow a dispute for this reason on this day."""
    if reason not in delivery.reasons:
        raise BadRequest(
            "reason: it is none of those that count for this client.",
            hint=f"They are: {'; '.join(delivery.reasons)}.",
        )
    if on > today or on < since:
        raise BadRequest(f"on: it must be a day from {since} to {today}.")
    if on > row.dispute_until:
        raise BadRequest(f"on: row {row.number} could be disputed until {row.dispute_until}.")


def _find_month(month: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    match = _MONTH.fullmatch(month)
    if match is None or int(match[1]) not in _YEARS:
        raise BadRequest("month: it must be a year and a month, such as 2026-11.")
    year, number = int(match[1]), int(match[2])
    after = (year + 1, 1) if number == _LAST_MONTH else (year, number + 1)
    begin, end = datetime(year, number, 1, tzinfo=zone), datetime(*after, 1, tzinfo=zone)
    return begin.astimezone(UTC), end.astimezone(UTC)
