"""A certificate authority of one test, and the certificate of `web.whatsapp.com` that it signed."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "web.whatsapp.com"
AUTHORITY_FILE = "authority.pem"
_VALID = dt.timedelta(days=2)
# From Python 3.13 on, a client refuses an authority that does not say what its key is for, and a
# certificate that does not name the key which signed it.
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def create_certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return the file of the authority, for clients, and the server's context."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), _generate_key()
    own_key = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_key)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Virtual WhatsApp")])
    authority = (
        _begin_certificate(issuer, issuer)
        .public_key(authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(own_key, critical=False)
        .sign(authority_key, SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    certificate = (
        _begin_certificate(subject, issuer)
        .public_key(server_key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(signed_by, critical=False)
        .sign(authority_key, SHA256())
    )
    authority_file, server_file = folder / AUTHORITY_FILE, folder / "server.pem"
    authority_file.write_bytes(authority.public_bytes(Encoding.PEM))
    server_file.write_bytes(
        server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_file)
    return authority_file, context


def _generate_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _begin_certificate(subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
    )
