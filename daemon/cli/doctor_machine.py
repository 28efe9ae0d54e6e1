"""The checks of `leadmaster doctor` on the machine: disk, memory, clock and systemd units."""

from __future__ import annotations

import contextlib
import ctypes
import re
import shlex
import shutil
import socket
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from daemon import subprocesses
from daemon.cli.doctor_finding import DoctorFinding
from daemon.settings import Settings

MIN_FREE_BYTES: Final = 200 << 20
MIN_AVAILABLE_MB: Final = 100
"""Less, and the kernel may end the daemon or a worker at the next import."""
MAX_DAEMON_MB: Final = 400
"""An import and a backtest take it to about half of this; above it something leaks."""
_UNIT: Final = Path("/usr/lib/systemd/system/leadmaster.service")
UNIT_FOLDERS: Final = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"))
MOST_EXPOSURE: Final = {
    "leadmaster.service": 0.3,
    "leadmaster-linked@.service": 1.2,
    "leadmaster-alerts@.service": 1.2,
    "leadmaster-backup@.service": 1.3,
    "leadmaster-backup.service": 1.3,
    "leadmaster-backup-send.service": 1.6,
}
"""On systemd's scale of 0 (closed) to 10; the core reaches 0.2, a worker with a network 1.2."""
_EARLIEST_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)  # the software is not older
_MOST_OFFSET_MS: Final = 500.0
_UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC of adjtimex(2)
_IN_NANOSECONDS: Final = 0x2000  # STA_NANO
_ANALYZE_SECONDS: Final = 30.0
_EXPOSURE: Final = re.compile(r"Overall exposure level for \S+: ([\d.]+)")
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_SWAP_COMMAND: Final = (
    "fallocate -l 1G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile"
)
_NTP_COMMAND: Final = "timedatectl set-ntp true"


def check_disk(settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the disk has enough free space."""
    # Before the first start the folder does not exist; its parent is on the same disk, most likely.
    free = shutil.disk_usage(_nearest_existing(settings.state_dir)).free
    enough = free > MIN_FREE_BYTES
    yield DoctorFinding(
        "disk",
        ok=enough,
        sentence=f"{free >> 20} MB are free for {settings.state_dir}.",
        hint="" if enough else "Free some space: a full disk stops all sending.",
        command="" if enough else "journalctl --vacuum-size=100M && apt-get clean",
    )


def _nearest_existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def check_memory(
    settings: Settings, least_mb: int = MIN_AVAILABLE_MB, most_mb: int = MAX_DAEMON_MB
) -> Iterator[DoctorFinding]:
    """Check that memory is left on the machine, and that the daemon does not leak."""
    figures = _read_kilobytes(Path("/proc/meminfo"))
    available = figures["MemAvailable"] >> 10
    left = f"{available} of {figures['MemTotal'] >> 10} MB are available"
    used = _read_daemon_memory(settings.control_socket)
    sentence = f"{left}." if used is None else f"{left}; the daemon has {used} MB."
    hint, command = "", ""
    if used is not None and used > most_mb:
        hint = f"The daemon should have less than {most_mb} MB: it leaks."
        command = "systemctl restart leadmaster"
    elif available < least_mb:
        hint = "The kernel may end the daemon or a worker. Stop something, or add swap."
        command = _SWAP_COMMAND
    yield DoctorFinding("memory", ok=not hint, sentence=sentence, hint=hint, command=command)


def _read_kilobytes(path: Path) -> dict[str, int]:
    found = re.findall(r"^(\w+):\s+(\d+) kB", path.read_text(encoding="ascii"), re.MULTILINE)
    return {name: int(value) for name, value in found}


def _read_daemon_memory(path: Path) -> int | None:
    """Return the megabytes of the daemon that listens at a control socket; None without one."""
    with socket.socket(socket.AF_UNIX) as line, contextlib.suppress(OSError):
        line.settimeout(1)
        line.connect(str(path))
        # The kernel says who listens: no file names the process.
        credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid = _CREDENTIALS.unpack(credentials)[0]
        return _read_kilobytes(Path(f"/proc/{pid}/status"))["VmRSS"] >> 10
    return None


class _ClockState(ctypes.Structure):
    """The begin of `struct timex` of adjtimex(2), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


class ClockDiscipline(Struct, frozen=True):
    """Whether something keeps the machine's clock, and by how many milliseconds it was off."""

    kept: bool
    offset_ms: float


def read_clock_discipline() -> ClockDiscipline:
    """Ask the kernel what a time service has set there; modes of 0 change nothing."""
    state = _ClockState()
    ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    status: int = state.status
    units = 1e6 if status & _IN_NANOSECONDS else 1e3
    return ClockDiscipline(not status & _UNSYNCHRONISED, state.offset / units)


def check_clock(_settings: Settings) -> Iterator[DoctorFinding]:
    """Check that the machine's clock is plausible, and kept by a time service."""
    yield judge_clock(datetime.now(UTC), read_clock_discipline())


def judge_clock(now: datetime, clock: ClockDiscipline) -> DoctorFinding:
    """Return the finding about the clock."""
    told = f"The clock says {now:%Y-%m-%d %H:%M:%S} UTC"
    if now <= _EARLIEST_TIME:
        hint = "Set the clock: budgets and quiet hours depend on it."
        return DoctorFinding(
            "clock", ok=False, sentence=f"{told}.", hint=hint, command=_NTP_COMMAND
        )
    if not clock.kept:
        sentence = f"{told}; no time service keeps it."
        return DoctorFinding("clock", ok=True, sentence=sentence, warns=True, command=_NTP_COMMAND)
    sentence = f"{told}; its time service found it {abs(clock.offset_ms):.1f} ms off."
    if abs(clock.offset_ms) > _MOST_OFFSET_MS:
        command = "systemctl restart systemd-timesyncd"
        return DoctorFinding("clock", ok=True, sentence=sentence, warns=True, command=command)
    return DoctorFinding("clock", ok=True, sentence=sentence)


def check_units(
    _settings: Settings, folders: Sequence[Path] = UNIT_FOLDERS
) -> Iterator[DoctorFinding]:
    """Check that systemd accepts each unit, how exposed it is, and that none has failed."""
    units = [name for name in MOST_EXPOSURE if any((each / name).exists() for each in folders)]
    tool = shutil.which("systemd-analyze")
    if not units or tool is None:
        missing = "unit" if tool else "systemd-analyze"
        yield DoctorFinding("unit", ok=True, sentence=f"There is no {missing} here to verify.")
        return
    for unit in units:
        yield _check_unit(tool, unit)
    yield from _find_failed_units()


def _check_unit(tool: str, unit: str) -> DoctorFinding:
    # By name, so that the drop-ins of all folders count; a template by an instance.
    name = unit.replace("@.", "@1.")
    verified = subprocesses.run_command([tool, "verify", "--man=no", name], _ANALYZE_SECONDS)
    if complaint := " ".join(verified.stderr.split()):
        ok, command = verified.returncode == 0, f"systemctl edit --full {name}"
        return DoctorFinding("unit", ok=ok, sentence=complaint, warns=True, command=command)
    scored = subprocesses.run_command(
        [tool, "security", "--offline=true", "--no-pager", name], _ANALYZE_SECONDS
    )
    found, most = _EXPOSURE.search(scored.stdout), MOST_EXPOSURE[unit]
    if found is None:
        sentence = f"{name} is accepted; its exposure can't be read here."
        return DoctorFinding("unit", ok=True, sentence=sentence)
    well = float(found[1]) <= most
    return DoctorFinding(
        "unit",
        ok=well,
        sentence=f"{name} is accepted; exposure {found[1]} of 10, at most {most:g}.",
        hint="" if well else f"A drop-in opens it. Look before it is removed: systemctl cat {name}",
        command="" if well else f"systemctl revert {name}",
    )


def _find_failed_units() -> Iterator[DoctorFinding]:
    if not Path("/run/systemd/system").is_dir():
        return
    listed = subprocesses.run_command(
        ["systemctl", "list-units", "--failed", "--plain", "--no-legend", "leadmaster*"],
        _ANALYZE_SECONDS,
    )
    for line in listed.stdout.splitlines():
        name = shlex.quote(line.split()[0])
        yield DoctorFinding(
            "unit",
            ok=False,
            sentence=f"{name} has failed.",
            hint=f"Why: journalctl -u {name} -n 20",
            command=f"systemctl reset-failed {name} && systemctl start {name}",
        )


def is_unit(settings: Settings) -> bool:
    """Return whether these are the settings of the unit that the package installs."""
    return _UNIT.exists() and settings.state_dir == Settings().state_dir
