"""`/v1/rules`: rulesets in force, pending and past; accept, roll back, shadow, explain."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound, RulesRejected
from daemon.gate.explain import VerdictExplanation, build_explanation, parse_what_if
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageLimit,
    ReasonBody,
    RequestQuery,
    ResponseBody,
    json_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.rulesets.history import RulesetHistoryEntry, list_history
from daemon.rulesets.status import RulesetStatus, RulesetSummary
from storage import rulesets, shadow_decisions
from storage.rulesets import (
    RulesetActivationKind,
    RulesetActivationRecord,
    RulesetRecord,
)
from storage.shadow_decisions import ShadowDisagreement, ShadowStatistics
from storage.tx import Reader

routes = web.RouteTableDef()


class RulesetChoiceBody(ReasonBody, frozen=True):
    """A ruleset by its hash or the beginning of it, and why it is chosen."""

    hash: Annotated[
        str,
        msgspec.Meta(
            min_length=4,
            max_length=64,
            pattern="^[0-9a-f]+$",
            description="a hash, such as 3f9a0c12",
        ),
    ]


_MAX_COMPARED: Final = 20
"""Of how many activations one answer says what each changed."""


class LimitQuery(RequestQuery, frozen=True):
    """How many to return, newest first."""

    limit: PageLimit = 50


class RulesetHistoryQuery(LimitQuery, frozen=True):
    """How many to return, newest first; `changes`: and what each changed, of 20 at most."""

    changes: bool = False


class RulesetActivation(ResponseBody, frozen=True):
    """One change of the live ruleset of a format; `previous` is null for the first.

    `changes` are what it changed, in words: null where nobody asked, for the first, and where this
    version can't read one of the two rulesets.
    """

    at: datetime
    format: str
    hash: str
    previous: str | None
    how: RulesetActivationKind
    who: str
    reason: str
    changes: list[str] | None


class RulesetHistory(ResponseBody, frozen=True):
    """Every activation of a ruleset, newest first."""

    items: list[RulesetActivation]


class ShadowReport(ResponseBody, frozen=True):
    """The shadow ruleset's results: how often it ran, and how its decisions differed.

    `problems` are why its newest files are not in use.
    """

    shadow: RulesetSummary | None
    problems: list[str]
    standing: ShadowStatistics | None
    examples: list[ShadowDisagreement]


@routes.get("/v1/rules")
@operation(RulesetStatus)
async def get_rules(request: web.Request) -> web.Response:
    """Return the live rulesets, the one that waits to be accepted, and the last rejection."""
    return json_response(get_services(request).ruleset_service.get_status())


@routes.get("/v1/rules/history")
@operation(RulesetHistory, query=RulesetHistoryQuery)
async def list_ruleset_activations(request: web.Request) -> web.Response:
    """Return which ruleset went live when, who activated it, why, and what it changed if asked."""
    asked = read_query(request, RulesetHistoryQuery)

    def read(reader: Reader) -> list[RulesetActivation]:
        if asked.changes:  # only then: every ruleset in it is compiled anew
            limit = min(asked.limit, _MAX_COMPARED)
            return [_describe_entry(each) for each in list_history(reader, limit)]
        return [
            _describe_activation(each) for each in rulesets.list_activations(reader, asked.limit)
        ]

    return json_response(RulesetHistory(await get_services(request).database.read(read)))


def _describe_entry(entry: RulesetHistoryEntry) -> RulesetActivation:
    changes = None if entry.changes is None else [str(change) for change in entry.changes]
    return _describe_activation(entry.activation, changes)


def _describe_activation(
    stored: RulesetActivationRecord, changes: list[str] | None = None
) -> RulesetActivation:
    return RulesetActivation(
        at=stored.at,
        format=stored.format,
        hash=stored.hash,
        previous=stored.previous,
        how=stored.how,
        who=stored.who,
        reason=stored.reason,
        changes=changes,
    )


@routes.get("/v1/rules/sets/{hash}")
@operation(RulesetRecord, errors=(NotFound,))
async def get_ruleset(request: web.Request) -> web.Response:
    """Return a ruleset that was live, with its files."""
    hash_ = request.match_info["hash"]
    found = await get_services(request).database.read(
        lambda reader: rulesets.find_rulesets(reader, hash_, 1)
    )
    if not found:
        raise NotFound(f"No rules of the hash {hash_} were ever in force.")
    return json_response(found[0])


@routes.post("/v1/rules/reload")
@operation(RulesetStatus)
async def reload_rules(request: web.Request) -> web.Response:
    """Check and load the operator's folder now; return the resulting status."""
    return json_response(await get_services(request).ruleset_service.reload(request[ACTOR]))


@routes.post("/v1/rules/accept")
@operation(RulesetStatus, body=RulesetChoiceBody, errors=(NotFound,))
async def accept_rules(request: web.Request) -> web.Response:
    """Accept the rules that wait; they go live."""
    asked = await read_body(request, RulesetChoiceBody)
    service = get_services(request).ruleset_service
    return json_response(await service.accept(asked.hash, request[ACTOR], asked.reason))


@routes.post("/v1/rules/rollback")
@operation(RulesetStatus, body=RulesetChoiceBody, errors=(NotFound, Conflict, RulesRejected))
async def rollback_rules(request: web.Request) -> web.Response:
    """Make rules that were live before live again."""
    asked = await read_body(request, RulesetChoiceBody)
    service = get_services(request).ruleset_service
    return json_response(await service.rollback(asked.hash, request[ACTOR], asked.reason))


@routes.post("/v1/rules/discard")
@operation(RulesetStatus, body=RulesetChoiceBody, errors=(NotFound, Conflict, RulesRejected))
async def discard_rules(request: web.Request) -> web.Response:
    """Take the rules that wait out of the operator's folder; what is in force stays so."""
    asked = await read_body(request, RulesetChoiceBody)
    service = get_services(request).ruleset_service
    return json_response(await service.discard(asked.hash, request[ACTOR], asked.reason))


@routes.get("/v1/rules/shadow")
@operation(ShadowReport, query=LimitQuery)
async def get_shadow_report(request: web.Request) -> web.Response:
    """Return how often the shadow ruleset decided differently, with the newest examples."""
    asked, services = read_query(request, LimitQuery), get_services(request)
    state = services.ruleset_service.get_status()
    found, problems = state.shadow, list(state.shadow_problems)
    if found is None:
        return json_response(ShadowReport(None, problems, None, []))
    return json_response(
        ShadowReport(
            found,
            problems,
            await services.database.read(
                lambda reader: shadow_decisions.get_shadow_statistics(reader, found.hash)
            ),
            await services.database.read(
                lambda reader: shadow_decisions.list_shadow_disagreements(
                    reader, found.hash, asked.limit
                )
            ),
        )
    )


@routes.get("/v1/rules/explain/{subject}")
@operation(VerdictExplanation, errors=(BadRequest, NotFound))
async def explain_decision(request: web.Request) -> web.Response:
    """Explain the decision on a message or a prospect; each `FACT=VALUE` replaces a fact."""
    services, subject = get_services(request), request.match_info["subject"]
    what_if = parse_what_if(dict(request.query))
    found = await services.database.read(
        lambda reader: build_explanation(
            reader, services.rulesets, subject, what_if, services.clock.now()
        )
    )
    return json_response(found)
