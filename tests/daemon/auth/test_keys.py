"""Keys: made once and privately, rotated with overlap, taken from the service manager if it can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.auth import Auth
from daemon.auth.key_source import CREDENTIAL, KEY_FILE, KeyFile, key_source
from daemon.auth.refusals import TokenKeyUnknown
from daemon.errors import Conflict, StartRefused
from storage.errors import DiskFull
from tests.helpers.auth import AuthHouse
from tests.storage.small import no_file_grows_beyond

DAY = 24 * 3600.0
SECRET = b"0123456789abcdef0123456789abcdef"


def pem(key: Ed25519PrivateKey) -> bytes:
    """Return a key as a file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


async def reopened(house: AuthHouse, credentials: Path | None = None) -> Auth:
    """Return the auth room as a restart would find it."""
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)} if credentials else {}
    return await Auth.open(house.database, house.clock, house.settings, environ=environ)


async def test_the_first_start_makes_a_private_key(house: AuthHouse) -> None:
    """Nobody else can read it, whatever the umask; the next start takes the same one."""
    path = house.settings.state_dir / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await reopened(house)).keys.kid == house.auth.keys.kid
    assert await house.audited("installation") == ["sign_with_new_key"]


def test_the_key_file_never_replaces_another(tmp_path: Path) -> None:
    """Two first starts at once do not end with two keys: the file is made exclusively."""
    path = tmp_path / KEY_FILE
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        KeyFile(path).read()


async def test_a_full_disk_leaves_the_old_key(house: AuthHouse) -> None:
    """Nothing is rotated by half: the old key signs, now and after a restart."""
    kid = house.auth.keys.kid
    with no_file_grows_beyond(10), pytest.raises(DiskFull):
        await house.auth.keys.rotate("root")
    assert house.auth.keys.kid == kid
    assert (await reopened(house)).keys.kid == kid
    assert await house.auth.keys.rotate("root") != kid


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever read it could be anybody: the daemon does not start on it."""
    source = KeyFile(tmp_path / KEY_FILE)
    source.read()
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(StartRefused, match="can be read by others"):
        source.read()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"too short",
        SECRET[:-1],
        b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n",
        generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    ],
)
async def test_a_credential_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """Short, damaged or of another kind: one sentence, with none of it in it."""
    (tmp_path / CREDENTIAL).write_bytes(content)
    with pytest.raises(StartRefused, match=CREDENTIAL) as caught:
        key_source(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).read()
    assert "nonsense" not in str(caught.value)


def test_an_unreadable_credential_is_refused(tmp_path: Path) -> None:
    """A folder in the file's place is a sentence, no traceback."""
    (tmp_path / CREDENTIAL).mkdir()
    with pytest.raises(StartRefused, match="can't be read"):
        key_source(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).read()


def test_the_credential_goes_before_the_file(tmp_path: Path) -> None:
    """A secret gives the same key each time, a key is taken as it is, and no file is made."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    key = Ed25519PrivateKey.generate()
    (credentials / CREDENTIAL).write_bytes(pem(key))
    source = key_source(tmp_path, environ)
    assert source.read().private_bytes_raw() == key.private_bytes_raw()
    (credentials / CREDENTIAL).write_bytes(SECRET + b"\n")
    assert source.read().private_bytes_raw() == source.read().private_bytes_raw()
    assert not (tmp_path / KEY_FILE).exists()
    (credentials / CREDENTIAL).unlink()
    assert isinstance(key_source(tmp_path, environ), KeyFile)


async def test_the_daemon_changes_no_credential(house: AuthHouse, tmp_path: Path) -> None:
    """Rotation belongs to whoever holds it; replaced there, the old key's tokens stay good."""
    await house.user()
    before = await house.token("ana")
    (tmp_path / CREDENTIAL).write_bytes(b"\n" + os.urandom(30) + b" ")
    auth = await reopened(house, tmp_path)
    with pytest.raises(Conflict, match=CREDENTIAL):
        await auth.keys.rotate("root")
    assert auth.keys.kid != house.auth.keys.kid
    assert (await auth.tokens.verify(before)).user == "ana"


async def test_rotation_overlaps(house: AuthHouse) -> None:
    """What the old key signed verifies for its life; new tokens are the new key's; restarts too."""
    admin = await house.browser(await house.user())
    old_kid = house.auth.keys.kid
    old = await house.token("ana", hours=90 * 24)
    reply = await admin.call("POST", "/v1/keys/rotate")
    assert reply.document["kid"] == house.auth.keys.kid != old_kid
    new = await house.token("ana", hours=90 * 24)
    assert (house.settings.state_dir / KEY_FILE).stat().st_mode & 0o077 == 0
    await house.clock.advance(89 * DAY)
    for auth in (house.auth, await reopened(house)):
        for token in (old, new):
            assert (await auth.tokens.verify(token)).user == "ana"
        assert auth.keys.verifying(old_kid) is not None


async def test_an_old_key_ends_with_the_longest_life(house: AuthHouse) -> None:
    """After it nothing it signed can be good; the next start forgets it."""
    await house.user()
    old_kid = house.auth.keys.kid
    old = await house.token("ana", hours=90 * 24)
    await house.clock.advance(1)
    await house.auth.keys.rotate("root")
    await house.clock.advance(90 * DAY)
    assert house.auth.keys.verifying(old_kid) is None
    with pytest.raises(TokenKeyUnknown):
        await house.auth.tokens.verify(old)
    assert (await reopened(house)).keys.verifying(old_kid) is None
    count = await house.database.read(lambda r: r.value("SELECT count(*) FROM signing_keys"))
    assert count == 1


async def test_a_stolen_key_is_thrown_away_at_once(house: AuthHouse) -> None:
    """No overlap, for any key before; a restart does not bring it back."""
    admin = await house.browser(await house.user())
    old = await house.token("ana")
    await house.auth.keys.rotate("root")
    between = await house.token("ana")
    assert (await admin.call("POST", "/v1/keys/rotate", at_once=True)).status == 200
    for auth in (house.auth, await reopened(house)):
        for token in (old, between):
            with pytest.raises(TokenKeyUnknown):
                await auth.tokens.verify(token)
    good = await house.token("ana")
    assert (await house.auth.tokens.verify(good)).user == "ana"


async def test_an_old_key_may_come_back(house: AuthHouse) -> None:
    """A credential that is put back signs again, and what it signed stays good."""
    await house.user()
    path = house.settings.state_dir / KEY_FILE
    kid, content = house.auth.keys.kid, path.read_bytes()
    token = await house.token("ana")
    await house.auth.keys.rotate("root")
    path.write_bytes(content)
    again = await reopened(house)
    assert again.keys.kid == kid
    assert (await again.tokens.verify(token)).user == "ana"
