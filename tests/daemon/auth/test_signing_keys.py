"""Keys: made once and privately, rotated with overlap, taken from the service manager if it can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from daemon.auth import AuthService
from daemon.auth.errors import TokenKeyUnknown
from daemon.auth.signing_keys import CREDENTIAL, KEY_FILE, FileKeySource, choose_key_source
from daemon.errors import Conflict, StartRefused
from storage import tokens
from storage.errors import DiskFull
from storage.tx import Tx
from tests.helpers.client.auth import AuthServices
from tests.helpers.process_limits import limit_file_size

DAY = 24 * 3600.0
SECRET = b"0123456789abcdef0123456789abcdef"


def pem(key: Ed25519PrivateKey) -> bytes:
    """Return a key as a file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


async def reopened(services: AuthServices, credentials: Path | None = None) -> AuthService:
    """Return the auth room as a restart would find it."""
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)} if credentials else {}
    return await AuthService.open(
        services.database, services.clock, services.settings, environ=environ
    )


async def test_the_first_start_makes_a_private_key(services: AuthServices) -> None:
    """Nobody else can read it, whatever the umask; the next start takes the same one."""
    path = services.settings.state_dir / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await reopened(services)).keys.kid == services.auth.keys.kid
    assert await services.list_audited_actions("installation") == ["sign_with_new_key"]


def test_the_key_file_never_replaces_another(tmp_path: Path) -> None:
    """Two first starts at once do not end with two keys: the file is made exclusively."""
    path = tmp_path / KEY_FILE
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        FileKeySource(path).read()


async def test_a_full_disk_leaves_the_old_key(services: AuthServices) -> None:
    """Nothing is rotated by half: the old key signs, now and after a restart."""
    kid = services.auth.keys.kid
    with limit_file_size(10), pytest.raises(DiskFull):
        await services.auth.keys.rotate("root")
    assert services.auth.keys.kid == kid
    assert (await reopened(services)).keys.kid == kid
    assert await services.auth.keys.rotate("root") != kid


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever read it could be anybody: the daemon does not start on it."""
    source = FileKeySource(tmp_path / KEY_FILE)
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
        b"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n",
        pem(Ed25519PrivateKey.from_private_bytes(SECRET))[:-20],
        pem(Ed25519PrivateKey.from_private_bytes(SECRET)).replace(b"MC4C", b"MC4B"),
        Ed25519PrivateKey.from_private_bytes(SECRET).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password"),
        ),
        generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    ],
    ids=["empty", "short", "31", "nonsense", "der", "cut", "altered", "password", "curve"],
)
async def test_a_credential_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """Short, damaged or of another kind: one sentence, with none of it in it."""
    (tmp_path / CREDENTIAL).write_bytes(content)
    with pytest.raises(StartRefused, match=CREDENTIAL) as caught:
        choose_key_source(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).read()
    assert "nonsense" not in str(caught.value)


def test_the_made_key_is_one_that_the_library_writes(tmp_path: Path) -> None:
    """The file is the same to the letter, so any program that knows such keys reads it."""
    path = tmp_path / KEY_FILE
    seed = FileKeySource(path).read()
    assert path.read_bytes() == pem(Ed25519PrivateKey.from_private_bytes(seed))


@pytest.mark.parametrize(
    ("old", "new"), [(b"\n", b"\r\n"), (b"KEY-----\nMC4", b"KEY-----\nM\nC4"), (b"=", b"=")]
)
def test_a_key_in_another_form_is_read_too(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Ends of lines as Windows writes them, and lines of another length, are the same key."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / CREDENTIAL).write_bytes(pem(key).replace(old, new))
    source = choose_key_source(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert source.read() == key.private_bytes_raw()


def test_an_unreadable_credential_is_refused(tmp_path: Path) -> None:
    """A folder in the file's place is a sentence, no traceback."""
    (tmp_path / CREDENTIAL).mkdir()
    with pytest.raises(StartRefused, match="can't be read"):
        choose_key_source(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).read()


def test_the_credential_goes_before_the_file(tmp_path: Path) -> None:
    """A secret gives the same key each time, a key is taken as it is, and no file is made."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    key = Ed25519PrivateKey.generate()
    (credentials / CREDENTIAL).write_bytes(pem(key))
    source = choose_key_source(tmp_path, environ)
    assert source.read() == key.private_bytes_raw()
    (credentials / CREDENTIAL).write_bytes(SECRET + b"\n")
    derived = HKDF(hashes.SHA256(), length=32, salt=None, info=b"leadmaster tokens")
    assert source.read() == derived.derive(SECRET + b"\n")
    assert not (tmp_path / KEY_FILE).exists()
    (credentials / CREDENTIAL).unlink()
    assert isinstance(choose_key_source(tmp_path, environ), FileKeySource)


async def test_the_daemon_changes_no_credential(services: AuthServices, tmp_path: Path) -> None:
    """Rotation belongs to whoever holds it; replaced there, the old key's tokens stay good."""
    await services.create_user()
    before = await services.create_token("ana")
    (tmp_path / CREDENTIAL).write_bytes(b"\n" + os.urandom(30) + b" ")
    auth = await reopened(services, tmp_path)
    with pytest.raises(Conflict, match=CREDENTIAL):
        await auth.keys.rotate("root")
    assert auth.keys.kid != services.auth.keys.kid
    assert (await auth.tokens.verify_token(before)).user == "ana"


async def test_rotation_overlaps(services: AuthServices) -> None:
    """What the old key signed verifies for its life; new tokens are the new key's; restarts too."""
    admin = await services.sign_in_browser(await services.create_user())
    old_kid = services.auth.keys.kid
    old = await services.create_token("ana", hours=90 * 24)
    reply = await admin.call("POST", "/v1/keys/rotate")
    assert reply.document["kid"] == services.auth.keys.kid != old_kid
    new = await services.create_token("ana", hours=90 * 24)
    assert (services.settings.state_dir / KEY_FILE).stat().st_mode & 0o077 == 0
    await services.clock.advance(89 * DAY)
    for auth in (services.auth, await reopened(services)):
        for token in (old, new):
            assert (await auth.tokens.verify_token(token)).user == "ana"
        assert auth.keys.get_verifying_key(old_kid) is not None


async def test_an_old_key_ends_with_the_longest_life(services: AuthServices) -> None:
    """After it nothing it signed can be good; the next start forgets it."""
    await services.create_user()
    old_kid = services.auth.keys.kid
    old = await services.create_token("ana", hours=90 * 24)
    await services.clock.advance(1)
    await services.auth.keys.rotate("root")
    await services.clock.advance(90 * DAY)
    assert services.auth.keys.get_verifying_key(old_kid) is None
    with pytest.raises(TokenKeyUnknown):
        await services.auth.tokens.verify_token(old)
    assert (await reopened(services)).keys.get_verifying_key(old_kid) is None
    count = await services.database.read(lambda r: r.value("SELECT count(*) FROM signing_keys"))
    assert count == 1


async def test_a_stolen_key_is_thrown_away_at_once(services: AuthServices) -> None:
    """No overlap, for any key before; a restart does not bring it back."""
    admin = await services.sign_in_browser(await services.create_user())
    old = await services.create_token("ana")
    await services.auth.keys.rotate("root")
    between = await services.create_token("ana")
    assert (await admin.call("POST", "/v1/keys/rotate", at_once=True)).status == 200
    for auth in (services.auth, await reopened(services)):
        for token in (old, between):
            with pytest.raises(TokenKeyUnknown):
                await auth.tokens.verify_token(token)
    good = await services.create_token("ana")
    assert (await services.auth.tokens.verify_token(good)).user == "ana"


async def test_tokens_of_a_key_that_had_another_id_stay_valid(services: AuthServices) -> None:
    """Ids were made of the public key once; the id of today retires that one, with its overlap."""
    await services.create_user()
    private = services.auth.keys.private
    public, kid = private.public_key().public_bytes_raw(), services.auth.keys.kid
    claims = jwt.decode(await services.create_token("ana"), options={"verify_signature": False})
    token = jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": "0123456789abcdef"})

    def store_as_before(tx: Tx) -> None:
        tx.execute("DELETE FROM signing_keys")
        tokens.activate_signing_key(tx, "0123456789abcdef", public, services.clock.now())

    await services.database.write(store_as_before)
    again = await reopened(services)
    assert again.keys.kid == kid
    assert (await again.tokens.verify_token(token)).user == "ana"
    await services.clock.advance(90 * DAY)
    with pytest.raises(TokenKeyUnknown):
        await again.tokens.verify_token(token)


async def test_an_old_key_may_come_back(services: AuthServices) -> None:
    """A credential that is put back signs again, and what it signed stays good."""
    await services.create_user()
    path = services.settings.state_dir / KEY_FILE
    kid, content = services.auth.keys.kid, path.read_bytes()
    token = await services.create_token("ana")
    await services.auth.keys.rotate("root")
    path.write_bytes(content)
    again = await reopened(services)
    assert again.keys.kid == kid
    assert (await again.tokens.verify_token(token)).user == "ana"
