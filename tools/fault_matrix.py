"""Prints which test shows that an invariant holds under a fault: `make faults`.

The faults are those of one machine and of its service's units; the page that it renders is
docs/reference/faults.md, and a test holds that every test named here exists.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

INVARIANTS: Final[Mapping[str, str]] = {
    "I1": "An accepted message is never lost.",
    "I2": "None goes out twice, unless the first certainly did not leave.",
    "I3": "None goes out without a stored `allow` for that text, recipient and rules.",
    "I4": "Who is suppressed is never written to again.",
    "I5": "After any crash the daemon is ready again unaided.",
}
_JOURNEY: Final = "tests/journeys/test_machine_faults.py::test_the_invariants_hold_under_a_fault"
_BOOTED: Final = "tests/systemd/booted/test_booted_service.py::"
_LINKED_JOURNEY: Final = "tests/journeys/test_linked_journey.py::"
_LINKED_FAULTS: Final = "tests/journeys/linked/test_linked_faults.py::"
_BURST: Final = "tests/journeys/linked/test_linked_burst.py::"
_DOUBT: Final = "tests/journeys/linked/test_linked_doubt.py::"
_DEADLINES: Final = "tests/daemon/sessions/test_linked_deadlines.py::"
_SIGNALS: Final = "tests/daemon/sessions/test_linked_signals.py::"
_SENDS: Final = "tests/daemon/sessions/test_linked_sends.py::"
_SWAP: Final = "tests/journeys/test_database_swap_journey.py::"
_RULE_FILES: Final = "tests/journeys/test_rule_files_journey.py::"
_CONNECTIONS: Final = "tests/daemon/http/test_connection_limits.py::"
_DAMAGE: Final = "tests/storage/test_damage.py::"
_INTEGRITY: Final = "tests/storage/test_integrity.py::"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, what is expected of it, and further tests by invariant.

    ``journey`` is the parameter of the journey that checks all five, or empty.
    """

    name: str
    expected: str
    journey: str
    others: Mapping[str, Sequence[str]]

    def list_tests(self, invariant: str) -> list[str]:
        """Return the tests of an invariant under this fault."""
        journey = [f"{_JOURNEY}[{self.journey}]"] if self.journey else []
        return [*journey, *self.others.get(invariant, ())]


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        "Limit of descriptors",
        "Connections are refused first, and a halt gets in; what can't open a file waits.",
        "fd_limit",
        {"I5": [f"{_CONNECTIONS}test_half_requests_do_not_keep_a_halt_out"]},
    ),
    Fault(
        "Limit of memory",
        "What asks for more fails or is ended; the next process goes on.",
        "memory_limit",
        {
            "I5": [
                f"{_BOOTED}test_memory_that_runs_out_costs_the_worker_alone",
                f"{_DEADLINES}test_a_worker_beyond_its_memory_is_followed_by_another",
            ]
        },
    ),
    Fault(
        "Hung loop",
        "The watchdog ends it within 30 s; the journal names the line.",
        "hung_loop",
        {
            "I5": [
                f"{_BOOTED}test_the_journal_names_the_line_of_a_hung_loop",
                "tests/daemon/test_runtime.py::test_the_watchdog_is_fed_only_while_nothing_hangs",
            ]
        },
    ),
    Fault(
        "Network cut",
        "What may have left is in doubt; the next wait is longer, and the rest goes later.",
        "network_cut",
        {
            "I1": [
                f"{_LINKED_JOURNEY}test_a_message_whose_connection_was_cut_is_settled_by_its_receipt"
            ],
            "I2": [
                f"{_SENDS}test_a_worker_that_is_slow_to_end_repeats_the_message_that_was_cut_off"
            ],
            "I5": [
                f"{_SIGNALS}test_without_a_network_a_session_waits_and_does_not_count_as_crashed"
            ],
        },
    ),
    Fault(
        "Half-open connection",
        "Nothing is sent after 45 s without a sign, and after 3 min there is another connection.",
        "half_open",
        {
            "I2": [f"{_LINKED_FAULTS}test_a_line_on_which_nothing_comes_stops_sending"],
            "I5": [f"{_DEADLINES}test_a_silence_that_lasts_leads_to_another_worker"],
        },
    ),
    Fault(
        "Slow connections",
        "A request that does not arrive ends its connection; others are served.",
        "slow_connections",
        {
            "I5": [
                f"{_CONNECTIONS}test_a_head_that_does_not_arrive_ends_its_connection",
                f"{_CONNECTIONS}test_two_thousand_connections_are_bounded",
            ]
        },
    ),
    Fault(
        "Worker dead",
        "Another one follows, without a new code.",
        "worker_dead",
        {
            "I1": [f"{_BURST}test_a_burst_survives_a_killed_worker_and_a_killed_daemon"],
            "I2": [f"{_BURST}test_a_burst_survives_a_killed_worker_and_a_killed_daemon"],
            "I5": [f"{_BOOTED}test_a_killed_process_is_there_again[leadmaster-linked@1.service]"],
        },
    ),
    Fault(
        "Worker deaf",
        "It is ended when its heartbeats or events stop; what it says later is nobody's answer.",
        "half_open",
        {
            "I1": [
                f"{_LINKED_FAULTS}test_what_is_sent_to_a_deaf_worker_is_neither_lost_nor_sent_twice"
            ],
            "I2": [
                f"{_LINKED_FAULTS}test_what_is_sent_to_a_deaf_worker_is_neither_lost_nor_sent_twice",
                f"{_DOUBT}test_a_worker_that_hung_and_was_replaced_answers_nobody",
            ],
            "I5": [
                f"{_BOOTED}test_a_worker_that_hangs_is_ended_by_its_watchdog",
                f"{_DEADLINES}test_a_library_that_passes_on_no_more_events_is_followed_by_another",
            ],
        },
    ),
    Fault(
        "Database missing",
        "A start is refused and makes no other.",
        "database_missing",
        {"I4": [f"{_INTEGRITY}test_a_deleted_database_is_missed"]},
    ),
    Fault(
        "Database missing under a running daemon",
        "Nothing is accepted or sent any more, and no other is made; the next start goes on.",
        "database_missing_running",
        {"I5": [f"{_SWAP}test_a_deleted_file_is_named_and_its_place_is_not_filled"]},
    ),
    Fault(
        "Database damaged under a running daemon",
        "Nothing is accepted or sent any more, somebody is woken, and the next start is refused.",
        "database_damaged_running",
        {"I4": [f"{_DAMAGE}test_a_page_that_cannot_be_read_ends_all_sending_until_a_restart"]},
    ),
    Fault(
        "Database of a newer version",
        "A start is refused and changes nothing.",
        "database_newer",
        {"I1": [f"{_INTEGRITY}test_a_newer_database_is_refused_and_left_alone"]},
    ),
    Fault(
        "Database read-only",
        "A start is refused with a sentence, before anything is accepted or sent.",
        "database_read_only",
        {"I1": [f"{_INTEGRITY}test_a_read_only_database_is_refused"]},
    ),
    Fault(
        "Bad rule file",
        "What was in force stays so; file and line are named.",
        "bad_rule_file",
        {"I3": [f"{_RULE_FILES}test_each_file_is_live_or_its_problem_is_named"]},
    ),
    Fault(
        "Restart storm",
        "Each start is as any other.",
        "restart_storm",
        {"I5": [f"{_BOOTED}test_a_killed_process_is_there_again[leadmaster.service]"]},
    ),
)


def list_named_tests() -> list[str]:
    """Return every test of the matrix once, as `file::test` or `file::test[parameter]`."""
    found = (fault.list_tests(each) for fault in FAULTS for each in INVARIANTS)
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def render_matrix() -> str:
    """Return the tables of the page: the invariants, and a row for each fault."""
    lines = ["| | invariant |", "| --- | --- |"]
    lines += [f"| {name} | {sentence} |" for name, sentence in INVARIANTS.items()]
    lines += ["", "| fault | expected | " + " | ".join(INVARIANTS) + " |"]
    lines.append("| --- " * (len(INVARIANTS) + 2) + "|")
    for fault in FAULTS:
        cells = [_render_cell(fault.list_tests(invariant)) for invariant in INVARIANTS]
        lines.append(f"| {fault.name} | {fault.expected} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _render_cell(tests: Sequence[str]) -> str:
    return ", ".join(f"`{test.rpartition('::')[2]}`" for test in tests)


def main() -> None:
    """Print each fault with its tests."""
    for fault in FAULTS:
        print(f"{fault.name}: {fault.expected}")
        for invariant in INVARIANTS:
            for test in fault.list_tests(invariant):
                print(f"  {invariant}  {test}")


if __name__ == "__main__":
    main()
