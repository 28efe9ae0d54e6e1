"""Build the Debian packages of one release: `leadmaster` and `leadmaster-linked`.

    python -m tools.build_package --debian 12 [--debian 13] [--output dist] [--source TREE]

The environment `/opt/leadmaster` is made inside a clean root, by that release's own Python, from
the locks with hashes. Times, owners, modes and order are fixed, so that two builds of one commit
are equal. The time in the packages is SOURCE_DATE_EPOCH, or else that of the last commit.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.cli.service import UnitFiles
from tools.debian_roots import (
    RELEASES,
    DebianRelease,
    RootCommandFailed,
    RootNotMade,
    RootSession,
    ensure_root,
    list_network_settings,
    open_session,
)

PREFIX: Final = Path("opt/leadmaster")
UV: Final = Path(sys.executable).with_name("uv")
MOST_BYTES: Final = 16_000_000
"""Of the package without the linked extra."""
LEFT_OUT: Final = re.compile(r"/phonenumbers/(geodata|carrierdata)/|/pip(-[^/]+)?/|/bin/pip")
"""Data that nothing here reads, names of places and of carriers (its time zones stay), and an
installer of packages, which sqlite-utils brings for its own plugins."""
UNREPEATABLE: Final = ("uv_cache.json", "uv_build.json", "direct_url.json", "REQUESTED")
"""What an installer notes of one install: its time, and the place of the wheel."""
CACHE: Final = Path("/var/cache/leadmaster-roots/uv")
_INSTALL: Final = """set -eu
cd /src
step=$1
install() { uv pip install --quiet --python /opt/leadmaster/bin/python --no-compile "$@"; }
if [ "$step" = core ]; then
    python3 -m venv --without-pip /opt/leadmaster
    install --require-hashes --build-constraints requirements/build.txt -r requirements/alerts.txt
    install --no-deps /wheel/*.whl
    # Of what was compiled here: no symbols, and no id made of the paths of this build.
    find /opt/leadmaster -name '*durable_rules*.so' -exec strip --strip-unneeded \\
        --remove-section=.note.gnu.build-id {} +
else
    install --require-hashes --build-constraints requirements/build.txt -r requirements/linked.txt
fi
"""


@dataclass(frozen=True, slots=True)
class PackageBuild:
    """What one build is made of: the tree, its version, the release, the time, the layer."""

    source: Path
    version: str
    release: DebianRelease
    epoch: int
    session: RootSession
    compression: int

    @property
    def installed(self) -> Path:
        """The folder in which the environment was installed."""
        return self.session.changes / PREFIX

    @property
    def package_version(self) -> str:
        """The version of the packages; that of a later Debian is the higher one."""
        return f"{self.version}+deb{self.release.number}"


def build_packages(
    source: Path,
    release: DebianRelease,
    output: Path,
    *,
    cache: Path = CACHE,
    compression: int = 9,
) -> list[Path]:
    """Build both packages of one release, and return their paths.

    Raises :class:`RootNotMade`, and :class:`RootCommandFailed` of a step that failed.
    """
    version = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    epoch = read_epoch(source)
    root = ensure_root(release, "build")
    output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="leadmaster-deb-") as folder,
        open_session(root, Path(folder) / "layer") as session,
    ):
        build = PackageBuild(source, version, release, epoch, session, compression)
        wheel = build_wheel(source, Path(folder) / "wheel", epoch)
        _install(build, "core", wheel, cache)
        core_files = _list_files(build.installed)
        _install(build, "linked", wheel, cache)
        linked_files = _list_files(build.installed) - core_files
        core, linked = Path(folder) / "core", Path(folder) / "linked"
        _stage_core(build, core_files, core)
        _stage_linked(build, linked_files, linked)
        return [_pack(build, tree, output) for tree in (core, linked)]


def read_epoch(source: Path) -> int:
    """Return the time, in seconds, that every file of a build gets."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    command = ["git", "-C", os.fspath(source), "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


def build_wheel(source: Path, output: Path, epoch: int) -> Path:
    """Build the wheel of a tree into a folder, and return its path."""
    constraints = source / "requirements" / "build.txt"
    command: list[str | Path] = [UV, "build", "--quiet", "--wheel", "--python", sys.executable]
    subprocess.run(
        [*command, "--build-constraints", constraints, "--out-dir", output, source],
        env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)},
        check=True,
    )
    [wheel] = output.glob("*.whl")
    return wheel


def _install(build: PackageBuild, step: str, wheel: Path, cache: Path) -> None:
    """Install what is locked into the environment, inside the root."""
    cache.mkdir(parents=True, exist_ok=True)
    files, variables = list_network_settings()
    # A cache for each release: what one compiles is not for the Python of another.
    own_cache = cache / build.release.codename
    own_cache.mkdir(exist_ok=True)
    binds = {**files, UV: "/usr/bin/uv", build.source: "/src", wheel.parent: "/wheel"}
    binds[own_cache] = "/cache"
    environment = {
        **variables,
        "SOURCE_DATE_EPOCH": str(build.epoch),
        "UV_CACHE_DIR": "/cache",
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    command = ["sh", "-c", _INSTALL, "install", step]
    build.session.run(command, binds=binds, environment=environment, network=True)


def _list_files(folder: Path) -> set[Path]:
    """Return all files and links below a folder, relative to it."""
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def _copy_environment(build: PackageBuild, files: Iterable[Path], tree: Path) -> None:
    """Copy what belongs into a package: neither what is left out nor an installer's notes."""
    kept = [path for path in files if not _is_left_out(path)]
    for path in kept:
        target = tree / PREFIX / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(build.installed / path, target, follow_symlinks=False)
        if path.name == "RECORD":
            _write_record(target)


def _is_left_out(path: Path) -> bool:
    return (
        LEFT_OUT.search(f"/{path.as_posix()}") is not None
        or path.name in UNREPEATABLE
        or "__pycache__" in path.parts
        or path.name == ".lock"
    )


def _write_record(path: Path) -> None:
    """Take out of a distribution's list of files what is not in the package, and sort it."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not _is_left_out(Path(line.split(",", 1)[0]))]
    path.write_text("".join(sorted(kept)), "utf-8")


def _stage_core(build: PackageBuild, files: Iterable[Path], tree: Path) -> None:
    """Lay out the package of the core."""
    _copy_environment(build, files, tree)
    units = UnitFiles(build.source / "systemd")
    _copy_units(units.list_units(linked=False), units.folder, tree)
    systemd_version = 257 if build.release.number == "13" else 252
    _copy_units(units.list_drop_ins(systemd_version), units.folder, tree)
    for kind in ("sysusers", "tmpfiles"):
        _copy(units.folder / f"leadmaster.{kind}", tree / f"usr/lib/{kind}.d/leadmaster.conf")
    _copy(units.folder / "debian/leadmaster.toml", tree / "etc/leadmaster/leadmaster.toml")
    shutil.copytree(units.folder / "nginx", tree / "usr/share/leadmaster/nginx")
    command = tree / "usr/bin/leadmaster"
    command.parent.mkdir(parents=True)
    command.symlink_to("/opt/leadmaster/bin/leadmaster")
    low, high = build.release.python, _next_python(build.release.python)
    control = {
        # procps for the `kill` with which the unit reloads.
        "Depends": f"python3 (>= {low}~), python3 (<< {high}~), systemd, procps, libc6, libgcc-s1",
        "Suggests": "leadmaster-linked, nginx",
        "Description": "gate of rules in front of every outbound WhatsApp message\n"
        " A daemon that keeps WhatsApp sessions, and sends nothing that its rules do not allow.",
    }
    _write_control(build, "leadmaster", control, tree)
    (tree / "DEBIAN/conffiles").write_text("/etc/leadmaster/leadmaster.toml\n", "utf-8")
    _write_scripts(build, "leadmaster", tree, stopped="leadmaster.service leadmaster.socket")


def _stage_linked(build: PackageBuild, files: Iterable[Path], tree: Path) -> None:
    """Lay out the package of linked phones: the library, and the units of its workers."""
    _copy_environment(build, files, tree)
    units = UnitFiles(build.source / "systemd")
    _copy_units(units.list_units(linked=True), units.folder, tree)
    control = {
        "Depends": f"leadmaster (= {build.package_version}), libmagic1, libc6",
        "Description": "linked phones for LeadMaster\n"
        " The library that speaks with WhatsApp as a linked device, and its workers' units.",
    }
    _write_control(build, "leadmaster-linked", control, tree)
    stopped = "'leadmaster-linked@*.socket' 'leadmaster-linked@*.service'"
    _write_scripts(build, "leadmaster-linked", tree, stopped=stopped)


def _next_python(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) + 1}"


def _copy_units(paths: Iterable[Path], folder: Path, tree: Path) -> None:
    for path in paths:
        _copy(path, tree / "usr/lib/systemd/system" / path.relative_to(folder))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write_control(build: PackageBuild, name: str, fields: Mapping[str, str], tree: Path) -> None:
    """Write a package's control file, its copyright and its changelog."""
    documents = tree / "usr/share/doc" / name
    _copy(build.source / "LICENSE", documents / "copyright")
    changes = (build.source / "CHANGELOG.md").read_bytes()
    # Without a time and a name in its header.
    (documents / "changelog.gz").write_bytes(gzip.compress(changes, 9, mtime=0))
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    size = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir()) // 1024
    every = {
        "Package": name,
        "Version": build.package_version,
        "Architecture": architecture,
        "Maintainer": "The LeadMaster founders <leadmaster@localhost>",
        "Section": "net",
        "Priority": "optional",
        "Installed-Size": str(size),
    }
    control = tree / "DEBIAN/control"
    control.parent.mkdir()
    lines = [f"{key}: {value}\n" for key, value in {**every, **fields}.items()]
    control.write_text("".join(lines), "utf-8")


def _write_scripts(build: PackageBuild, name: str, tree: Path, *, stopped: str) -> None:
    """Write the maintainer scripts of a package, with the names of its units."""
    folder = build.source / "systemd"
    units = UnitFiles(folder).list_enabled_units(linked=name == "leadmaster-linked")
    values = {
        "PACKAGE": name,
        "UNITS": " ".join(unit for unit in units if "@" not in unit),
        "INSTANCES": " ".join(unit for unit in units if "@" in unit),
        # A service is started by its socket or timer; the core is restarted in any case.
        "STARTED": " ".join(unit for unit in units if not unit.endswith(".service")),
        "STOPPED": stopped,
        "PURGE": (folder / f"debian/{name}.purge").read_text("utf-8").rstrip("\n"),
    }
    for script in ("postinst", "prerm", "postrm"):
        text = (folder / f"debian/{script}.in").read_text("utf-8")
        path = tree / "DEBIAN" / script
        path.write_text(re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text), "utf-8")
        path.chmod(0o755)


def _pack(build: PackageBuild, tree: Path, output: Path) -> Path:
    """Fix modes and times of a tree, and build its package."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (build.epoch, build.epoch), follow_symlinks=False)
    # One thread: the result of several depends on how many there are.
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", f"-z{build.compression}"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(build.epoch)}
    done = subprocess.run(
        [*command, "--threads-max=1", "--build", tree, output],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"in '(.+)'", done.stdout)
    if found is None:
        raise RootNotMade(f"dpkg-deb does not say what it built: {done.stdout}")
    return Path(found[1])


def main() -> None:
    """Build the packages that the command line asks for, and print what they weigh."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--debian", choices=RELEASES, action="append")
    parser.add_argument("--output", type=Path, default=Path("dist"))
    parser.add_argument("--source", type=Path, default=Path.cwd())
    parser.add_argument("--compression", type=int, choices=range(10), default=9)
    wanted = parser.parse_args()
    for number in wanted.debian or RELEASES:
        try:
            built = build_packages(
                wanted.source.resolve(),
                RELEASES[number],
                wanted.output.resolve(),
                compression=wanted.compression,
            )
        except (RootNotMade, RootCommandFailed) as error:
            sys.exit(str(error))
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error}\n{error.output or ''}{error.stderr or ''}")
        for path in built:
            print(f"{path}: {path.stat().st_size:,} bytes")
        if wanted.compression == parser.get_default("compression"):
            _require_small(built[0])


def _require_small(path: Path) -> None:
    """End with a sentence where the core's package is larger than it may be."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{path.name} has {size:,} bytes; it may have {MOST_BYTES:,}.")


if __name__ == "__main__":
    main()
