"""Permission, as it derives from dated evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gate.consent import Permission, derive_permission
from storage.evidence import Evidence, EvidenceKind

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
K = EvidenceKind


def piece(kind: EvidenceKind, value: str, hours_ago: float) -> Evidence:
    """A piece of evidence from so many hours ago."""
    return Evidence(kind, value, NOW - timedelta(hours=hours_ago), "test", "")


def inbound(hours_ago: float, request: str = "interested") -> Evidence:
    """They wrote to us."""
    return piece(K.INBOUND, request, hours_ago)


def refusal(hours_ago: float) -> list[Evidence]:
    """They wrote "no, gracias": the inbound and what it said."""
    return [inbound(hours_ago, "declined"), piece(K.DECLINED, "refused", hours_ago)]


def on_record(value: str, hours_ago: float = 1000) -> Evidence:
    """A list, or an operator, said so."""
    return piece(K.PERMISSION, value, hours_ago)


@pytest.mark.parametrize(
    ("evidence", "permission"),
    [
        ([], Permission.NONE),
        ([on_record("none")], Permission.NONE),
        ([on_record("public_source")], Permission.PUBLIC_SOURCE),
        ([on_record("relationship"), on_record("public_source", 1)], Permission.RELATIONSHIP),
        ([on_record("opted_in"), on_record("relationship", 1)], Permission.OPTED_IN),
        ([on_record("refused"), on_record("opted_in", 1)], Permission.REFUSED),
        ([inbound(1)], Permission.CONVERSATION),
        ([inbound(23.99), on_record("opted_in")], Permission.CONVERSATION),
        ([inbound(24)], Permission.RELATIONSHIP),
        ([inbound(24), on_record("opted_in")], Permission.OPTED_IN),
        ([inbound(24), on_record("public_source")], Permission.RELATIONSHIP),
        (refusal(1), Permission.REFUSED),
        ([*refusal(1), inbound(1)], Permission.REFUSED),
        ([*refusal(2), inbound(1)], Permission.CONVERSATION),
        ([*refusal(30), inbound(29)], Permission.RELATIONSHIP),
        ([on_record("opted_in"), *refusal(30), inbound(29)], Permission.RELATIONSHIP),
        ([inbound(50), *refusal(30), inbound(29, "opt_in")], Permission.NONE),
        ([*refusal(2), inbound(1, "courtesy")], Permission.REFUSED),
        ([*refusal(2), inbound(1, "question_about_us")], Permission.REFUSED),
        ([*refusal(2), inbound(1, "unclear")], Permission.REFUSED),
        ([*refusal(2), inbound(1, "question")], Permission.CONVERSATION),
        ([inbound(1, "unclear"), on_record("public_source")], Permission.PUBLIC_SOURCE),
        ([inbound(1, "automatic"), on_record("public_source")], Permission.PUBLIC_SOURCE),
        ([inbound(30, "unclear")], Permission.NONE),
        ([inbound(1, "courtesy")], Permission.CONVERSATION),
        ([inbound(30, "courtesy"), on_record("public_source")], Permission.PUBLIC_SOURCE),
        ([inbound(1, "question_about_us")], Permission.CONVERSATION),
        ([inbound(30, "question_about_us")], Permission.NONE),
        ([inbound(1, "complaint"), on_record("opted_in")], Permission.REFUSED),
        ([inbound(9, "wrong_person"), inbound(1), on_record("opted_in")], Permission.NONE),
        ([inbound(9, "minor"), inbound(1), on_record("opted_in")], Permission.NONE),
        ([inbound(9, "deceased"), inbound(1), on_record("opted_in")], Permission.NONE),
        ([*refusal(30), on_record("opted_in", 1)], Permission.REFUSED),
        ([inbound(2), *refusal(1)], Permission.REFUSED),
        ([inbound(1, "opt_out")], Permission.REFUSED),
        ([*refusal(2), inbound(1, "opt_out")], Permission.REFUSED),
        ([inbound(1, "review")], Permission.NONE),
        (
            [*refusal(60), inbound(50, "opt_in"), on_record("opted_in", 50)],
            Permission.OPTED_IN,
        ),
        (
            [inbound(60, "opt_in"), on_record("opted_in", 60), *refusal(50)],
            Permission.REFUSED,
        ),
    ],
)
def test_the_order_of_the_derivation(evidence: list[Evidence], permission: Permission) -> None:
    """Refusal, conversation, older refusal, then the best on record."""
    assert derive_permission(evidence, NOW) is permission


pieces = st.builds(
    piece,
    st.sampled_from(K),
    st.sampled_from(
        [
            "refused",
            "opt_out",
            "opt_in",
            "declined",
            "interested",
            "courtesy",
            "unclear",
            "opted_in",
            "relationship",
            "yes",
        ]
    ),
    st.integers(min_value=0, max_value=96),
)


@given(
    st.lists(pieces, max_size=8).flatmap(lambda one: st.tuples(st.just(one), st.permutations(one)))
)
def test_the_order_in_which_evidence_is_given_is_of_no_account(
    both: tuple[list[Evidence], list[Evidence]],
) -> None:
    """Only dates count."""
    given_, shuffled = both
    assert derive_permission(given_, NOW) is derive_permission(shuffled, NOW)


@given(st.lists(pieces, max_size=8))
def test_a_fresh_refusal_always_closes_and_only_their_own_word_reopens(
    evidence: list[Evidence],
) -> None:
    """Whatever went before, a no after it is a no; whatever a list says, it stays one."""
    later = NOW + timedelta(hours=1)
    refused = [*evidence, Evidence(K.DECLINED, "refused", later, "test", "")]
    assert derive_permission(refused, later) is Permission.REFUSED
    listed = [*refused, Evidence(K.PERMISSION, "opted_in", later + timedelta(1), "list", "")]
    assert derive_permission(listed, later + timedelta(2)) is Permission.REFUSED
    polite = [*refused, Evidence(K.INBOUND, "courtesy", later + timedelta(1), "whatsapp", "")]
    assert derive_permission(polite, later + timedelta(1)) is Permission.REFUSED
    wrote = [*refused, Evidence(K.INBOUND, "interested", later + timedelta(1), "whatsapp", "")]
    assert derive_permission(wrote, later + timedelta(1)) is Permission.CONVERSATION


@given(st.lists(pieces, max_size=8), st.integers(min_value=0, max_value=5000))
def test_time_alone_never_warms(evidence: list[Evidence], hours: int) -> None:
    """Waiting turns no refusal into leave, and opens no conversation."""
    before = derive_permission(evidence, NOW)
    after = derive_permission(evidence, NOW + timedelta(hours=hours))
    if before is Permission.REFUSED:
        assert after is Permission.REFUSED
    if before is not Permission.CONVERSATION:
        assert after is before
