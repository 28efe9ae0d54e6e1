"""Settings: a file and an environment in, frozen values or all the problems at once out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.errors import SettingsRejected
from daemon.settings import Settings, load_settings


def written(folder: Path, text: str) -> Path:
    """Write a settings file."""
    path = folder / "leadmaster.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rejected(path: Path | None, environment: dict[str, str] | None = None) -> str:
    """Return the sentence with the problems."""
    with pytest.raises(SettingsRejected) as caught:
        load_settings(path, environment or {})
    return str(caught.value)


def test_without_a_file_everything_has_its_default() -> None:
    """The port of the house, the budgets of the design."""
    settings = load_settings(None, {})
    assert settings == Settings()
    assert (settings.daemon.port, settings.pacing.new_chats_first_week) == (3012, 3)


def test_how_long_a_validation_holds_has_a_section_of_its_own(tmp_path: Path) -> None:
    """It is no retention: nothing is deleted when it is over."""
    path = written(tmp_path, "[validation]\nvalid_days = 30")
    assert load_settings(path, {}).validation.valid_days == 30
    path = written(tmp_path, "[retention]\nvalidation = 30")
    assert "retention.validation: there is no such setting" in rejected(path)


def test_the_environment_overrules_the_file(tmp_path: Path) -> None:
    """Section and key, two underscores between; other variables are nobody's business."""
    path = written(tmp_path, "[daemon]\nport = 3013\nhost = '0.0.0.0'\n[pacing]\nnumber_checks = 5")
    settings = load_settings(
        path, {"LEADMASTER_DAEMON__PORT": "3014", "LEADMASTER_HOME": "/x", "PATH": "/bin"}
    )
    assert (settings.daemon.port, settings.daemon.host) == (3014, "0.0.0.0")  # noqa: S104
    assert settings.pacing.number_checks == 5


def test_a_variable_makes_the_section_that_the_file_lacks() -> None:
    """No file is needed at all."""
    settings = load_settings(None, {"LEADMASTER_CLOCK__START": "2026-03-03T15:00:00Z"})
    assert settings.clock.start == datetime(2026, 3, 3, 15, tzinfo=UTC)


def test_all_problems_are_named_at_once_with_their_keys(tmp_path: Path) -> None:
    """Nobody mends a file one error at a time."""
    path = written(
        tmp_path,
        "rules = 3\n[daemon]\nport = 70000\nhosts = 'x'\n[pacing]\nmessages_per_minute = 0\n"
        "[nonsense]\nx = 1\n",
    )
    said = rejected(path, {"LEADMASTER_SENDING__RETRIES": "many", "LEADMASTER_OTHER__X": "1"})
    for part in (
        "daemon.port: must be 65535 or less",
        "daemon.hosts: there is no such setting",
        "pacing.messages_per_minute: must be 1 or more",
        "rules: must be a table",
        "nonsense: there is no such section",
        "sending.retries: must be a whole number; it is a text",
        "LEADMASTER_OTHER__X: there is no section 'other'",
    ):
        assert part in said


def test_a_variable_cannot_mend_what_is_no_table(tmp_path: Path) -> None:
    """The file's mistake is still the file's."""
    path = written(tmp_path, "rules = 3\n")
    assert "rules: must be a table" in rejected(path, {"LEADMASTER_RULES__ENGINES": "both"})


@pytest.mark.parametrize(("text", "part"), [("[daemon\n", "not TOML"), (None, "can't be read")])
def test_an_unreadable_file_is_one_sentence(tmp_path: Path, text: str | None, part: str) -> None:
    """With the path in it."""
    path = tmp_path / "none.toml" if text is None else written(tmp_path, text)
    said = rejected(path)
    assert part in said
    assert str(path) in said


def test_bytes_that_are_no_text_are_no_toml(tmp_path: Path) -> None:
    """A file of another encoding is named as such."""
    path = tmp_path / "leadmaster.toml"
    path.write_bytes(b"[daemon]\nhost = '\xff'")
    assert "not TOML" in rejected(path)


def test_paths_follow_from_the_state_folder(tmp_path: Path) -> None:
    """The control socket is in it unless it is set."""
    settings = load_settings(None, {"LEADMASTER_DAEMON__STATE_DIR": str(tmp_path)})
    assert settings.state_dir == tmp_path
    assert settings.control_socket == tmp_path / "control.sock"
    named = load_settings(None, {"LEADMASTER_DAEMON__CONTROL_SOCKET": "/run/x.sock"})
    assert named.control_socket == Path("/run/x.sock")


def test_a_path_with_a_nul_and_a_time_without_end_are_refused(tmp_path: Path) -> None:
    """No file can have the one, and no clock reaches the other."""
    path = written(tmp_path, '[rules]\ndir = "a\\u0000b"\n[alerts]\nping_minutes = 1e12\n')
    problems = rejected(path)
    assert "rules.dir: holds the character NUL" in problems
    assert "alerts.ping_minutes: " in problems
    for word in ("inf", "nan"):
        path = written(tmp_path, f"[alerts]\nreview_hours = {word}\n")
        assert "alerts.review_hours: " in rejected(path)


def test_a_nul_in_a_list_is_refused_and_a_seed_is_no_quantity(tmp_path: Path) -> None:
    """Nothing can be started by such a name; a seed may be a day's date, as it bounds nothing."""
    path = written(
        tmp_path,
        '[backup]\ncommand = ["take", "a\\u0000b"]\nsecrets = ["/etc/a\\u0000b"]\n'
        "[clock]\nrate = 20261201\n[simulated]\nseed = 20261201",
    )
    problems = rejected(path)
    assert "backup.command: holds the character NUL" in problems
    assert "backup.secrets: holds the character NUL" in problems
    assert "clock.rate: must be a number up to 500,000" in problems
    assert "simulated" not in problems
    settings = load_settings(None, {"LEADMASTER_SIMULATED__SEED": "-20261201"})
    assert settings.simulated.seed == -20261201
