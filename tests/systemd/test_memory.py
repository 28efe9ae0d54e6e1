"""MemoryDenyWriteExecute=yes can stay: the C extensions work where no memory is writable code."""

from __future__ import annotations

import subprocess
import sys

CHILD = """
import ctypes, mmap, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    print("this kernel cannot refuse it (Linux 6.3 can)")
    sys.exit()
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    pass
else:
    sys.exit("writable code was allowed")
import aiohttp, durable_rules_engine, msgspec, phonenumbers, rphonenumbers, sqlite3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
Ed25519PrivateKey.generate().sign(b"permit")
sqlite3.connect(":memory:").execute("SELECT 1")
import signal, subprocess
from daemon.subprocesses import with_parent_death_signal
subprocess.run(with_parent_death_signal(["true"], signal.SIGKILL), check=True)
print("works")
"""


def test_the_extensions_work_without_writable_code() -> None:
    """What the unit's directive does is asked of the kernel, before the extensions load."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {"works", "this kernel cannot refuse it (Linux 6.3 can)"}
