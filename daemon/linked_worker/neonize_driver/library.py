"""Whether the library can be loaded here, and if not, what to install."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from msgspec import Struct

from daemon.linked_worker.driver import DriverUnavailable

LIBRARY: Final = "neonize"
REQUIRED_VERSION: Final = "0.5.2"
_ARCHITECTURES: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}
_INSTALL: Final = "pip install 'leadmaster[linked]' && sudo apt-get install libmagic1"


class LoadedLibrary(Struct, frozen=True):
    """The library's modules: its client, and its events."""

    client: ModuleType
    events: ModuleType


def load_library() -> LoadedLibrary:
    """Return the library's modules; raise :class:`DriverUnavailable` without them."""
    try:
        found = version(LIBRARY)
    except PackageNotFoundError:
        raise DriverUnavailable(
            f"The library for linked devices is not installed; install it with: {_INSTALL}"
        ) from None
    if found != REQUIRED_VERSION:
        raise DriverUnavailable(
            f"The library for linked devices is {LIBRARY} {found}, and {REQUIRED_VERSION} is"
            f" needed; install it with: {_INSTALL}"
        )
    _require_shared_library()
    try:
        loaded = LoadedLibrary(
            import_module(f"{LIBRARY}.client"), import_module(f"{LIBRARY}.events")
        )
    except (ImportError, OSError) as error:
        raise DriverUnavailable(_explain_import_error(error)) from None
    _silence_logs()
    return loaded


def _require_shared_library() -> None:
    """Refuse a package without its shared library: importing it would download one."""
    spec = find_spec(LIBRARY)  # finds it without importing it
    machine = platform.machine()
    name = f"{LIBRARY}-linux-{_ARCHITECTURES.get(machine, machine)}.so"
    if spec is None or spec.origin is None or not Path(spec.origin).with_name(name).is_file():
        raise DriverUnavailable(
            f"The installed library for linked devices lacks {name}: there is none for this system"
            " (it needs glibc, on x86_64 or arm64)."
        )


def _explain_import_error(error: Exception) -> str:
    if "magic" in str(error):
        return (
            "The library for linked devices needs libmagic, which is not here; install it with:"
            " sudo apt-get install libmagic1"
        )
    return f"The library for linked devices can't be loaded here ({type(error).__name__}: {error})."


def _silence_logs() -> None:
    """Keep the library's logs in its process: they hold codes and numbers."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(logging.NullHandler())
