"""The packages in clean Debian roots: installed, upgraded with data, removed, purged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.systemd.built_packages import COMPRESSION, provide_packages
from tests.systemd.page_commands import read_blocks
from tools.build_package import CACHE, MOST_BYTES, UV, build_packages, build_wheel
from tools.debian_roots import (
    RELEASES,
    RootSession,
    ensure_root,
    list_network_settings,
    open_session,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LIMIT = pytest.mark.timeout(1500)  # with roots that have to be made first, on a busy machine
STATE = "var/lib/leadmaster"
SECRET = "etc/leadmaster/secrets/jwt_secret"
SETTING = '\n[daemon]\ntime_zone = "America/Montevideo"\n'
FURTHER_MIGRATION = '''

@MIGRATIONS.add
def m999_version_after(database: SchemaDatabase) -> None:
    """Add a table that the next version might have."""
    database.conn.execute("CREATE TABLE version_after (note TEXT NOT NULL) STRICT")
'''
RUN_DAEMON = """set -eu
install -d -m 700 -o leadmaster /run/credentials
install -m 400 -o leadmaster /etc/leadmaster/secrets/jwt_secret /run/credentials/jwt_secret
export CREDENTIALS_DIRECTORY=/run/credentials PYTHONDONTWRITEBYTECODE=1
setpriv --reuid leadmaster --regid leadmaster --init-groups leadmaster run 2>/run/daemon.log &
daemon=$!
tries=0
until leadmaster status >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 120 ] || ! kill -0 $daemon; then cat /run/daemon.log; exit 1; fi
    sleep 1
done
sh -euc "$1"
kill -TERM $daemon
wait $daemon
"""
"""Starts the daemon as the unit does: by its user, with the secret as a credential."""
ADD_DATA = """
leadmaster users add ana --role admin --link-only
leadmaster suppress add +5491155550101 --reason 'she asked by telephone'
leadmaster tokens add crm --user ana --scope messages:read --json >/root/token.json
"""
READ_DATA = """
leadmaster users list
leadmaster suppress check +541155550101
/opt/leadmaster/bin/python - <<'PYTHON'
import json, urllib.request
token = json.load(open("/root/token.json"))["token"]
asked = urllib.request.Request("http://127.0.0.1:3012/v1/messages")
asked.add_header("Authorization", "Bearer " + token)
print("the token of before:", urllib.request.urlopen(asked, timeout=30).status)
PYTHON
"""


@pytest.fixture(scope="module")
def packages() -> Sequence[Path]:
    """Return the packages of this tree for Debian 12, which others may have built."""
    return provide_packages("12")


def copy_version_after(target: Path) -> Path:
    """Copy this tree with a higher version and one made-up further migration."""
    after = copy_tree(target)
    project = after / "pyproject.toml"
    text, count = re.subn(r'(?m)^version = ".*"$', 'version = "99.0.0"', project.read_text("utf-8"))
    assert count == 1
    project.write_text(text, "utf-8")
    with (after / "storage" / "schema_steps.py").open("a", encoding="utf-8") as file:
        file.write(FURTHER_MIGRATION)
    return after


def copy_tree(target: Path) -> Path:
    """Copy the files of this tree as they are, committed or not, into a repository of their own."""
    command = ["git", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    # Always of one time, so that the packages of the same files are the same.
    environment = os.environ | {"GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "The version after"]):
        subprocess.run(["git", *words], cwd=target, env=environment, check=True)
    return target


def install(session: RootSession, packages: Sequence[Path]) -> str:
    """Install packages by apt, without a network: all that they need is in the root."""
    names = [f"/packages/{path.name}" for path in packages]
    binds = {packages[0].parent: "/packages"}
    return session.run(["apt-get", "install", "-y", *names], binds=binds)


def run_daemon(session: RootSession, commands: str) -> str:
    """Run commands beside the installed daemon, which ends well after them."""
    return session.run(["sh", "-c", RUN_DAEMON, "life", commands])


def describe_secret(session: RootSession) -> tuple[str, int, int]:
    """Return the content, the mode and the owner of the secret."""
    path = session.changes / SECRET
    return path.read_text("utf-8"), path.stat().st_mode & 0o777, path.stat().st_uid


@LIMIT
def test_a_life_on_debian_12(packages: Sequence[Path], tmp_path: Path) -> None:
    """Installed, filled, upgraded by the version after, removed, purged; the data outlives it."""
    root = ensure_root(RELEASES["12"], "boot")
    with open_session(root, tmp_path / "layer") as session:
        assert "Setting up leadmaster (" in install(session, packages)
        check_installation(session)
        check_preparing_again(session)
        run_daemon(session, ADD_DATA)
        with (session.changes / "etc/leadmaster/leadmaster.toml").open("a") as settings:
            settings.write(SETTING)
        secret = describe_secret(session)

        install(session, provide_packages("12", copy_version_after(tmp_path / "after")))
        assert session.run(["leadmaster", "--version"]) == "leadmaster 99.0.0\n"
        assert describe_secret(session) == secret
        assert SETTING in (session.changes / "etc/leadmaster/leadmaster.toml").read_text("utf-8")
        found = run_daemon(session, READ_DATA)
        assert "ana" in found
        assert "she asked by telephone" in found
        assert "the token of before: 200" in found
        backups = list((session.changes / STATE / "backups").glob("before-m999_version_after-*.db"))
        assert len(backups) == 1

        said = session.run(["apt-get", "remove", "-y", "leadmaster", "leadmaster-linked"])
        assert "not empty so not removed" not in said
        assert not (session.changes / "opt/leadmaster").exists()
        check_purge(session)


def check_installation(session: RootSession) -> None:
    """Check the user, the secret, the units, the command and the bytecode."""
    _, mode, owner = describe_secret(session)
    assert (mode, owner) == (0o600, 0)
    wants = session.changes / "etc/systemd/system"
    enabled = {path.name for path in wants.glob("*.wants/leadmaster*")}
    assert {"leadmaster.service", "leadmaster.socket", "leadmaster-linked@1.socket"} <= enabled
    script = """set -eu
    id -un leadmaster
    systemd-analyze verify /usr/lib/systemd/system/leadmaster.service
    leadmaster rules test
    setpriv --reuid leadmaster --regid leadmaster --init-groups sh -c '! touch /opt/leadmaster/x'
    /opt/leadmaster/bin/python -c 'import neonize.client, phonenumbers.timezone'
    cd /opt/leadmaster/lib/python3*/site-packages
    ls -d phonenumbers/geodata phonenumbers/carrierdata pip 2>&1 | grep -c 'No such file' || true
    for file in $(find daemon rules storage statemachines aiohttp neonize -name '*.py'); do
        set -- "${file%/*}"/__pycache__/"$(basename "$file" .py)".*.pyc
        [ -e "$1" ] || echo "not compiled: $file"
    done
    """
    found = session.run(["sh", "-c", script])
    assert found.startswith("leadmaster\n")
    assert "in both engines" in found
    assert "not compiled" not in found
    assert "\n3\n" in found  # what was left out is not there


def check_preparing_again(session: RootSession) -> None:
    """A second run changes nothing but a mode that is too open."""
    secret = describe_secret(session)
    (session.changes / SECRET).chmod(0o644)
    session.run(["leadmaster", "service", "prepare"])
    assert describe_secret(session) == secret


def check_purge(session: RootSession) -> None:
    """Purging keeps the data, and prints a command that deletes it."""
    said = session.run(["apt-get", "purge", "-y", "leadmaster", "leadmaster-linked"])
    assert (session.changes / STATE / "leadmaster.db").exists()
    left = [path for path in (session.changes / "etc").rglob("leadmaster*") if path.is_file()]
    assert left == []
    assert not list((session.changes / "etc/systemd/system").glob("*.wants/leadmaster*"))
    [command] = re.findall(r"for ever: (rm -rf /var/lib/leadmaster .*)", said)
    session.run(["sh", "-c", command])
    assert not (session.changes / STATE).exists()


@LIMIT
def test_debian_13_judges_with_both_engines(tmp_path: Path) -> None:
    """Its Python 3.13 takes the engine that was built with the successor of a name it lacks."""
    root = ensure_root(RELEASES["13"], "boot")
    with open_session(root, tmp_path / "layer") as session:
        install(session, provide_packages("13"))
        check_installation(session)
        assert "ana" in run_daemon(session, f"{ADD_DATA}\nleadmaster users list")
        drop_in = "usr/lib/systemd/system/leadmaster.service.d/10-systemd-255.conf"
        assert (session.changes / drop_in).exists()


def measure_as_shipped(package: Path, folder: Path) -> int:
    """Return the bytes of a package that is compressed like a release, not in a hurry."""
    tree, built = folder / "tree", folder / package.name
    folder.mkdir()
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    pack = ["dpkg-deb", "-Zxz", "-z9", "--threads-max=1"]  # as `tools/build_package.py` does
    subprocess.run([*pack, "--build", tree, built], check=True)
    return built.stat().st_size


@LIMIT
def test_a_package_is_small_and_built_alike_twice(packages: Sequence[Path], tmp_path: Path) -> None:
    """From caches or without: the same bytes. The library of linked phones is not in the core's."""
    core, linked = packages
    shipped = measure_as_shipped(core, tmp_path / "shipped")
    print(f"{core.name}: {shipped:,} bytes as it is shipped")
    assert shipped <= MOST_BYTES
    listed = subprocess.run(["dpkg-deb", "-c", core], capture_output=True, text=True, check=True)
    assert "site-packages/daemon/" in listed.stdout
    assert "site-packages/neonize/" not in listed.stdout
    again = build_packages(
        ROOT, RELEASES["12"], tmp_path / "debs", cache=tmp_path / "cache", compression=COMPRESSION
    )
    assert [path.read_bytes() for path in again] == [core.read_bytes(), linked.read_bytes()]


HIDDEN_TOOL = """
cd /root
unset UV_TOOL_DIR UV_TOOL_BIN_DIR
uv tool install --quiet /wheel/*.whl
if .local/bin/leadmaster service install 2>/root/refused; then exit 1; fi
"""
"""In the home of root, as `uv tool install` does by itself."""


@LIMIT
def test_the_wheel_is_a_second_way(tmp_path: Path) -> None:
    """By the page's commands: all is where the package puts it, or in a home, and refused."""
    root = ensure_root(RELEASES["13"], "build")
    epoch = 1_700_000_000
    wheel = build_wheel(ROOT, tmp_path / "wheel", epoch)
    files, variables = list_network_settings()
    binds = {**files, UV: "/usr/bin/uv", ROOT: "/src", wheel.parent: "/wheel"}
    cache = CACHE / "trixie-tool"
    cache.mkdir(parents=True, exist_ok=True)
    binds[cache] = "/cache"
    environment = {
        **variables,
        "UV_CACHE_DIR": "/cache",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": "copy",
        "UV_CONSTRAINT": "/src/requirements/run.txt",
    }
    [block] = read_blocks("install-on-debian.md", sections=["Without the packages"])
    commands = f"set -eu\ncd /wheel\nPATH=/usr/local/bin:$PATH\n{block.fill_in({})}{HIDDEN_TOOL}"
    with open_session(root, tmp_path / "layer") as session:
        session.run(["sh", "-c", commands], binds=binds, environment=environment, network=True)
        refused = (session.changes / "root/refused").read_text("utf-8")
        assert "is hidden from the service" in refused
        _, mode, owner = describe_secret(session)
        assert (mode, owner) == (0o600, 0)
        units = session.changes / "etc/systemd/system"
        unit = (units / "leadmaster.service").read_text("utf-8")
        assert "ExecStart=/opt/uv-tools/leadmaster/bin/leadmaster " in unit
        assert (units / "multi-user.target.wants/leadmaster.service").is_symlink()
        assert (units / "leadmaster.service.d/10-systemd-255.conf").exists()
        session.run(["systemd-analyze", "verify", "/etc/systemd/system/leadmaster.service"])
        found = run_daemon(session, f"{ADD_DATA}\nleadmaster users list\nleadmaster rules test")
        assert "ana" in found
        assert "in both engines" in found
        assert "The data is kept" in session.run(["leadmaster", "service", "remove"])
        assert not list(units.glob("**/leadmaster*"))
        assert (session.changes / STATE / "leadmaster.db").exists()
